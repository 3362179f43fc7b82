import PairingCore

/// Who answers devices' messages: named in the configuration and reached through a connector.
package protocol Agent: Sendable {
    /// What the configuration and the event `message` call it.
    var name: String { get }

    /// How often, and after which pauses, whoever asks should try again what failed.
    var retries: RetryPolicy { get }

    /// What of a conversation it wants to be told with each message.
    var context: ContextLimits { get }

    /// Whether it has any use for ``AgentRequest/tools``.
    var usesTools: Bool { get }

    /// Whether it wants to hear what is no message: what became of one of its own on the device.
    var hearsNotices: Bool { get }

    /// The answer to a message, where that takes neither time nor anybody else; `nil` where it has to be asked for.
    ///
    /// - Parameter body: the message: JSON text.
    func answerAtOnce(to body: String) -> AgentAnswer?

    /// Asks for the answer to one message. Cancelling the task ends the request.
    ///
    /// - Parameters:
    ///   - request: what is asked. An agent may be asked the same again, after a crash or a failure, with the same
    ///     ``AgentRequest/key``.
    ///   - part: is handed each piece of the answer's text as it arrives, in order; the next is not read before it
    ///     returns. The pieces may end without the whole: only what is returned counts.
    /// - Returns: the whole answer.
    func answer(
        _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> AgentAnswer
}

extension Agent {
    /// None.
    package func answerAtOnce(to body: String) -> AgentAnswer? { nil }

    /// The rule as shipped.
    package var retries: RetryPolicy { RetryPolicy() }

    /// No.
    package var usesTools: Bool { false }

    /// No: a model has nothing to say to them.
    package var hearsNotices: Bool { false }

    /// Nothing.
    package var context: ContextLimits { .none }
}

/// One message for an agent.
package struct AgentRequest: Sendable, Equatable {
    /// A message of the conversation before this one.
    package struct Turn: Sendable, Equatable {
        /// Whether the device said it; else the agent.
        package var isFromDevice: Bool
        /// What was said: JSON text.
        package var body: String

        /// Wraps the two.
        package init(isFromDevice: Bool, body: String) {
            self.isFromDevice = isFromDevice
            self.body = body
        }
    }

    /// The same for every repeat of this request and for no other: printable ASCII without blanks.
    package var key: String
    /// The channel that the message came by.
    package var channel: ChannelID
    /// The device.
    package var senderID: SenderID
    /// The message: JSON text.
    package var body: String
    /// What was said before, oldest first.
    package var context: [Turn]
    /// Which of the device's conversations it belongs to.
    package var conversation: ConversationName
    /// What it may have done before it answers; `nil` for nothing.
    package var tools: AgentTools?

    /// Wraps the parts.
    package init(
        key: String, channel: ChannelID, senderID: SenderID, body: String, context: [Turn] = [],
        conversation: ConversationName = .main, tools: AgentTools? = nil
    ) {
        self.conversation = conversation
        self.key = key
        self.channel = channel
        self.senderID = senderID
        self.body = body
        self.context = context
        self.tools = tools
    }
}

/// What an agent makes of a message.
package enum AgentAnswer: Sendable, Equatable {
    /// The answer: JSON text.
    case reply(String)
    /// It took the message and answers later, if at all.
    case accepted
}

/// Why an agent did not answer.
package struct AgentFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of failure it is.
    package enum Reason: String, Sendable, CaseIterable {
        /// It cannot be reached, or the connection broke.
        case unreachable
        /// It took too long.
        case timedOut = "timed_out"
        /// It, or this process on its behalf, has too much to do.
        case busy
        /// It refuses the request, and would refuse it again.
        case refused
        /// It answers what is no answer.
        case invalidAnswer = "invalid_answer"
        /// It was not waited for.
        case cancelled
    }

    /// The kind.
    package var reason: Reason
    /// What happened, for logs and administrators: one sentence without secrets or the message's text.
    package var message: String
    /// When it asks to be tried again.
    package var retryAfter: Duration?
    /// The status that it answered with, where it answered at all (RFC 9110 §15).
    package var status: UInt?

    /// Wraps the parts.
    package init(_ reason: Reason, _ message: String, retryAfter: Duration? = nil) {
        self.reason = reason
        self.message = message
        self.retryAfter = retryAfter
    }

    /// Whether the same request may succeed later.
    package var isRetryable: Bool {
        switch reason {
        case .unreachable, .timedOut, .busy, .invalidAnswer, .cancelled: true
        case .refused: false
        }
    }

    /// The kind and what happened.
    package var description: String { "\(reason.rawValue): \(message)" }
}
