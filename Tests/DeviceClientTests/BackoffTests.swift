import Testing

@testable import DeviceClient

@Suite("The delay before a device dials again")
struct BackoffTests {
    @Test("Doubles from the first to the greatest delay", arguments: [(0.0, 0.5), (0.999_999, 1.0)])
    func doubles(random: Double, share: Double) {
        var backoff = Backoff(first: .seconds(1), greatest: .seconds(10))
        for ceiling in [1.0, 2, 4, 8, 10, 10] {
            let delay = backoff.next(random: random)
            #expect(abs(delay / Duration.seconds(1) - ceiling * share) < 0.001)
        }
    }

    @Test("Begins anew after a reset")
    func resets() {
        var backoff = Backoff()
        for _ in 0..<8 { _ = backoff.next(random: 0) }
        backoff.reset()
        #expect(backoff == Backoff())
    }

    @Test("Waits what the server asks for, and still spreads")
    func honoursTheServer() {
        var backoff = Backoff()
        #expect(backoff.next(random: 0, notBefore: .seconds(600)) == .milliseconds(600_500))
        #expect(backoff.next(random: 0, notBefore: .seconds(-5)) == .seconds(1))
    }
}
