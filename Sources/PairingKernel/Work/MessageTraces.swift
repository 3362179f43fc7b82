import PairingCore
import PairingStore
import Synchronization
import Tracing

/// What accepted messages were a part of, for the requests to agents about them. Where it is forgotten, or another
/// instance asks the agent, that request is no part of it. Thread-safe.
final class MessageTraces: Sendable {
    /// How many messages are remembered at most; the oldest is forgotten first.
    private static let capacity = 1024

    private struct Key: Hashable {
        let sender: String
        let messageID: String
    }

    private struct State {
        var contexts: [Key: ServiceContext] = [:]
        var order: [Key] = []
    }

    private let state = Mutex(State())

    /// Remembers what is under way, where it is recorded.
    func remember(_ messages: [SentMessage], of sender: SenderID) {
        guard let context = ServiceContext.current else { return }
        state.withLock { state in
            for message in messages {
                let key = Key(sender: sender.key, messageID: message.id)
                if state.contexts.updateValue(context, forKey: key) == nil { state.order.append(key) }
            }
            let excess = max(0, state.order.count - Self.capacity)
            for key in state.order.prefix(excess) { state.contexts[key] = nil }
            state.order.removeFirst(excess)
        }
    }

    /// Asks an agent within the span of what the message came with.
    ///
    /// - Parameter body: returns whether the agent answered.
    func asking(_ ask: AgentWorkMachine.Ask, _ body: () async -> Bool) async {
        let key = Key(sender: ask.sender.senderID.key, messageID: ask.messageID)
        guard let context = state.withLock({ $0.contexts[key] }) else {
            _ = await body()
            return
        }
        let span = InstrumentationSystem.tracer.startSpan("agent", context: context, ofKind: .client)
        defer { span.end() }
        span.updateAttributes { attributes in
            attributes["nodes.agent"] = ask.agent
            attributes["nodes.attempt"] = ask.attempts + 1
        }
        let hasAnswered = await ServiceContext.withValue(span.context) { await body() }
        if !hasAnswered { span.setStatus(SpanStatus(code: .error)) }
    }
}
