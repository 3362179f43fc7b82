import Agents
import PairingCore
import Synchronization

@testable import PairingKernel

/// An agent that answers a message with itself, as soon as it may; it fails for as long as it is told to, and on some
/// messages always.
final class TestAgent: Agent {
    let name: String
    let retries: RetryPolicy
    private let isFailing: Atomic<Bool>
    private let isHolding: Atomic<Bool>
    private let asked = Mutex<[AgentRequest]>([])
    private let cancelled = Atomic(0)

    init(_ name: String = "test", isFailing: Bool = false, isHolding: Bool = false, attempts: Int = 4) {
        self.name = name
        self.isFailing = Atomic(isFailing)
        self.isHolding = Atomic(isHolding)
        var retries = RetryPolicy()
        retries.attempts = isFailing ? 10_000 : attempts
        retries.firstPause = .milliseconds(20)
        retries.longestPause = .milliseconds(100)
        self.retries = retries
    }

    /// From now on it answers.
    func recover() {
        isFailing.store(false, ordering: .relaxed)
        isHolding.store(false, ordering: .relaxed)
    }

    /// What it was asked.
    var requests: [AgentRequest] { asked.withLock { $0 } }

    /// How many requests were cancelled.
    var cancellations: Int { cancelled.load(ordering: .relaxed) }

    func answer(
        _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> AgentAnswer {
        asked.withLock { $0.append(request) }
        while isHolding.load(ordering: .relaxed) || request.body.contains("hold") {
            guard (try? await Task.sleep(for: .milliseconds(5))) != nil else {
                cancelled.add(1, ordering: .relaxed)
                throw AgentFailure(.cancelled, "cancelled")
            }
        }
        if request.body.contains("poison") { throw AgentFailure(.refused, "It is poison.") }
        if isFailing.load(ordering: .relaxed) || request.body.contains("broken") {
            throw AgentFailure(.unreachable, "It is away.")
        }
        if request.body.contains("accept") { return .accepted }
        if request.body.contains("parts") {
            await part("one ")
            await part("two")
        }
        return .reply(request.body)
    }
}
