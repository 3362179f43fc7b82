import PairingCore
import PairingStore

/// Names a question on this instance.
public struct QuestionID: Sendable, Hashable {
    let number: UInt64
}

/// A device's message whose answer somebody waits for on the connection that brought it, without a session.
public struct Question: Sendable, Equatable {
    /// Names it here.
    public let id: QuestionID
    /// The device's identifier of the message.
    public let messageID: String
    /// The message's number among those from the device; ``MessageReceipt/ephemeral`` where its channel keeps nothing
    /// of it, so that nobody answers.
    public let sequence: Int64
    let channel: ChannelID
    let sender: PairingStore.PairedSender
}

/// What whoever waits for an answer is told, in this order: any number of pieces and failures, then one end.
public enum AnswerEvent: Sendable, Equatable {
    /// A piece of it; of each attempt they are numbered from 0. Pieces may be missing.
    case part(agent: String, number: Int, text: String)
    /// The agent failed and is to be asked again; what comes next begins anew.
    case retrying(reason: String)
    /// The end: the answers, each an agent's message; none where there is nothing to say.
    case answered([AnsweredMessage])
    /// The end: there will be none; what became of the message, and why, in words for programs.
    case unanswered(state: String, reason: String)
    /// The end: no more may be said on this connection.
    case ended(Refusal)

    /// Whether nothing follows.
    public var isLast: Bool {
        switch self {
        case .part, .retrying: false
        case .answered, .unanswered, .ended: true
        }
    }
}

/// A whole answer.
public struct AnsweredMessage: Sendable, Equatable {
    /// Its number among the messages to the device.
    public var sequence: Int64
    /// Who answers.
    public var agent: String
    /// The answer: JSON text.
    public var body: String

    /// Wraps the parts.
    public init(sequence: Int64, agent: String, body: String) {
        self.sequence = sequence
        self.agent = agent
        self.body = body
    }

    init(_ message: PairingStore.StoredMessage) {
        self.init(sequence: message.sequence, agent: message.agent ?? "", body: message.body)
    }
}
