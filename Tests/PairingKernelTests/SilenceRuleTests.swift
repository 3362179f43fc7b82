import Testing

@testable import PairingKernel

@Suite("Silence of devices")
struct SilenceRuleTests {
    @Test(
        "An agent is told of each period that passes, of the greatest where several did, and of a return",
        arguments: [
            (0, 0, .look(after: .seconds(60))), (0, 59, .look(after: .seconds(1))), (0, 60, .tell(1)),
            (0, 3600, .tell(2)), (1, 61, .look(after: .seconds(6))), (1, 3598, .look(after: .seconds(2))),
            (1, 3600, .tell(2)), (1, 5, .tellReturn), (2, 5, .tellReturn), (2, 70, .tellReturn),
            (2, 7200, .look(after: .seconds(6))),
        ] as [(Int, Int, SilenceRule.Step)])
    func steps(told: Int, silence: Int, step: SilenceRule.Step) {
        let rule = SilenceRule(periods: [.seconds(60), .seconds(3600)])
        #expect(rule.step(told: told, silence: .seconds(silence)) == step)
    }

    @Test("Of a device without periods nothing is told but a return")
    func none() {
        let rule = SilenceRule(periods: [])
        #expect(rule.step(told: 0, silence: .seconds(99)) == .look(after: .seconds(86400)))
        #expect(rule.step(told: 1, silence: .seconds(99)) == .tellReturn)
    }
}
