import Testing

@testable import Agents

@Suite("When a request is tried again")
struct RetryPolicyTests {
    private let policy = RetryPolicy()

    @Test("The pause doubles from attempt to attempt, and half of it is left to chance")
    func doubling() {
        let failure = AgentFailure(.unreachable, "down")
        #expect(policy.pause(afterAttempt: 1, failure: failure, jitter: 1) == .milliseconds(500))
        #expect(policy.pause(afterAttempt: 1, failure: failure, jitter: 0) == .milliseconds(250))
        #expect(policy.pause(afterAttempt: 2, failure: failure, jitter: 1) == .seconds(1))
        #expect(policy.pause(afterAttempt: 3, failure: failure, jitter: 1) == nil)
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
