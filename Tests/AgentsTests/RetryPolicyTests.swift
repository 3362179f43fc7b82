import Testing

@testable import Agents

@Suite("When a request is tried again")
struct RetryPolicyTests {
    private let policy = RetryPolicy()

    @Test("The pause doubles from attempt to attempt, and half of it is left to chance")
    func doubling() {
        let failure = AgentFailure(.unreachable, "down")
        #expect(policy.pause(afterAttempt: 1, failure: failure, jitter: 1) == .seconds(1))
        #expect(policy.pause(afterAttempt: 1, failure: failure, jitter: 0) == .milliseconds(500))
        #expect(policy.pause(afterAttempt: 2, failure: failure, jitter: 1) == .seconds(2))
        #expect(policy.pause(afterAttempt: 9, failure: failure, jitter: 1) == .seconds(60))
        #expect(policy.pause(afterAttempt: 10, failure: failure, jitter: 1) == nil)
    }

    @Test("An agent that is away for two minutes costs no message its answer")
    func outage() {
        let failure = AgentFailure(.unreachable, "down")
        let pauses = (1..<policy.attempts).compactMap {
            policy.pause(afterAttempt: $0, failure: failure, jitter: 0)
        }
        #expect(pauses.count == policy.attempts - 1)
        #expect(pauses.reduce(.zero, +) > .seconds(120))
    }

    @Test("However many attempts there were, the pause is bounded")
    func bound() {
        var policy = policy
        policy.attempts = .max
        let failure = AgentFailure(.unreachable, "down")
        for attempt in [10, 100, 1_000_000, Int.max - 1] {
            #expect(policy.pause(afterAttempt: attempt, failure: failure, jitter: 1) == .seconds(60))
        }
    }

    @Test("What the agent asks for is waited for at least")
    func asked() {
        let failure = AgentFailure(.busy, "no", retryAfter: .seconds(90))
        #expect(policy.pause(afterAttempt: 1, failure: failure, jitter: 0) == .seconds(90))
    }

    @Test("A failure for good is not tried again")
    func refused() {
        #expect(policy.pause(afterAttempt: 1, failure: AgentFailure(.refused, "no"), jitter: 0) == nil)
    }
}
