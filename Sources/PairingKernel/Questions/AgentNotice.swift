import PairingCore
import Synchronization

/// What is told of an answer while it is made; never stored, may be lost.
public enum AgentNotice: Sendable, Equatable {
    /// A piece of the answer to a message; of each attempt they are numbered from 0.
    case part(messageID: String, agent: String, number: Int, text: String)
    /// An agent begins to answer a message.
    case typing(messageID: String, agent: String)
    /// An agent failed to answer a message, and whether it is to be asked again.
    case failed(messageID: String, reason: String, isRetrying: Bool)

    /// The device's message it is about.
    var messageID: String {
        switch self {
        case .part(let messageID, _, _, _), .typing(let messageID, _), .failed(let messageID, _, _): messageID
        }
    }

    /// The event for a socket.
    var frame: ChannelFrame {
        switch self {
        case .part(let messageID, let agent, let number, let text):
            ChannelFrame(
                event: "message.part",
                payload: JSONValue.object([
                    "inReplyTo": .string(messageID), "agent": .string(agent),
                    "part": .integer(Int64(number)), "text": .string(text),
                ]).text)
        case .typing(let messageID, let agent):
            ChannelFrame(
                event: "typing",
                payload: JSONValue.object([
                    "inReplyTo": .string(messageID), "agent": .string(agent),
                ]).text)
        case .failed(let messageID, let reason, let isRetrying):
            ChannelFrame(
                event: "message.failed",
                payload: JSONValue.object([
                    "inReplyTo": .string(messageID), "reason": .string(reason),
                    "retrying": .bool(isRetrying),
                ]).text)
        }
    }
}

/// Counts the pieces of one attempt at an answer.
final class PartNumber: Sendable {
    private let count = Atomic(0)

    func next() -> Int { count.wrappingAdd(1, ordering: .relaxed).oldValue }
}
