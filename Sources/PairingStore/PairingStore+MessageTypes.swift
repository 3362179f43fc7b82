import PairingCore

extension PairingStore {
    /// Something for an agent that a channel made of a device's message.
    public struct ForwardedMessage: Sendable, Equatable {
        /// The agent's name; empty where the channel names none.
        public var agent: String
        /// The message: JSON text.
        public var body: String

        /// Wraps the two.
        public init(agent: String, body: String) {
            self.agent = agent
            self.body = body
        }
    }

    /// A message from a device's session.
    public struct InboundMessage: Sendable {
        /// The session that sent it.
        public var session: LiveSession
        /// The device's identifier of the message.
        public var messageID: String
        /// The message: JSON text.
        public var body: String
        /// What its channel made of it for agents; a message of which nothing is left needs no answer.
        public var forwarded: [ForwardedMessage]

        /// Wraps the parts.
        public init(
            session: LiveSession, messageID: String, body: String, forwarded: [ForwardedMessage]
        ) {
            self.session = session
            self.messageID = messageID
            self.body = body
            self.forwarded = forwarded
        }

        /// Wraps the parts of a message that goes to an agent as it is.
        public init(session: LiveSession, messageID: String, body: String) {
            self.init(
                session: session, messageID: messageID, body: body,
                forwarded: [ForwardedMessage(agent: "", body: body)])
        }
    }

    /// A message that a device sends, before its channel has seen it.
    public struct MessageKey: Sendable {
        /// The session that sends it.
        public var session: LiveSession
        /// The device's identifier of the message.
        public var messageID: String

        /// Wraps the two.
        public init(session: LiveSession, messageID: String) {
            self.session = session
            self.messageID = messageID
        }
    }

    /// The number of a message that a device sends.
    public struct MessageNumber: Sendable, Equatable {
        /// Its number among those from the device: its own, or the next that is free.
        public var number: Int64
        /// What was accepted under its identifier before: JSON text; `nil` for a message that is no repeat.
        public var accepted: String?
    }

    /// A message that was accepted.
    public struct Acceptance: Sendable, Equatable {
        /// Its number among those from the device.
        public var sequence: Int64
        /// Whether it had been accepted before: a repeat is acknowledged again and answered once.
        public var isRepeat: Bool
    }

    /// What agents answer to one message of a device.
    public struct Reply: Sendable {
        /// One agent's answer.
        public struct Answer: Sendable, Equatable {
            /// Which agent answers.
            public var agent: String
            /// The answer: JSON text.
            public var body: String

            /// Wraps the two.
            public init(agent: String, body: String) {
                self.agent = agent
                self.body = body
            }
        }

        /// The session that the answered message came by.
        public var session: LiveSession
        /// The number of the answered message.
        public var inReplyTo: Int64
        /// All of its answers, one at least, in order.
        public var answers: [Answer]

        /// Wraps the parts.
        public init(session: LiveSession, inReplyTo: Int64, answers: [Answer]) {
            self.session = session
            self.inReplyTo = inReplyTo
            self.answers = answers
        }
    }

    /// A stored message of either direction.
    public struct StoredMessage: Sendable, Equatable {
        /// Its number in its direction.
        public var sequence: Int64
        /// Which agent speaks; `nil` for one from the device.
        public var agent: String?
        /// The message: JSON text.
        public var body: String
        /// What a device's message became for agents; empty for an agent's.
        public var forwarded: [ForwardedMessage] = []
    }

    /// What a device says it has.
    public struct Acknowledgement: Sendable {
        /// The session that says so.
        public var session: LiveSession
        /// The number up to which, and including, the device has everything.
        public var sequence: Int64

        /// Wraps the two.
        public init(session: LiveSession, sequence: Int64) {
            self.session = session
            self.sequence = sequence
        }
    }

    /// Which way a message goes.
    public enum MessageDirection: String, Sendable {
        /// From the device; open until an agent has answered it.
        case inbound = "in"
        /// To the device; open until the device has acknowledged it.
        case outbound = "out"
    }

    /// Some of the messages that a session has to catch up with.
    public struct OpenMessages: Sendable {
        /// Oldest first.
        public var messages: [StoredMessage]
        /// The number of the newest message there is in this direction, open or not.
        public var newest: Int64
    }
}
