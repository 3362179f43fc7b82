import Metrics
import PairingStore

/// What is counted of agents' work.
struct AgentWorkMetrics: Sendable {
    private let answered = Counter(label: "agent_messages", dimensions: [("outcome", "answered")])
    private let undeliverable = Counter(label: "agent_messages", dimensions: [("outcome", "undeliverable")])
    private let failed = Counter(label: "agent_messages", dimensions: [("outcome", "failed")])
    private let held = Gauge(label: "agent_messages_held")
    private let calls = Gauge(label: "agent_calls")

    /// - Parameter overflowed: messages that ended to make room for the answers.
    func settled(_ result: PairingStore.Settlement.Result, overflowed: Int) {
        if overflowed > 0 { MessageEnds.overflowed.increment(by: overflowed) }
        switch result {
        case .answered: answered.increment()
        case .undeliverable:
            undeliverable.increment()
            MessageEnds.undeliverable.increment()
        case .failed: failed.increment()
        }
    }

    func record(_ state: (held: Int, calls: Int)) {
        held.record(state.held)
        calls.record(state.calls)
    }
}
