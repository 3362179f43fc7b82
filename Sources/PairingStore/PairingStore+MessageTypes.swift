import PairingCore

extension PairingStore {
    /// Something for an agent that a channel made of a device's message.
    public struct ForwardedMessage: Sendable, Equatable {
        /// The agent's name; empty where the channel names none.
        public var agent: String
        /// The message: JSON text.
        public var body: String
        /// Whether its agent is told, and asked nothing: what became of a message of the agent's own.
        public var isNotice: Bool

        /// Wraps the parts.
        public init(agent: String, body: String, isNotice: Bool = false) {
            self.agent = agent
            self.body = body
            self.isNotice = isNotice
        }
    }

    /// An agent that a device names.
    public struct NamedAgent: Sendable, Equatable {
        /// Its name, as the device wrote it.
        public var name: String
        /// Whether it is the one that answers the channel's devices anyway.
        public var answersChannel: Bool

        /// Wraps the two.
        public init(name: String, answersChannel: Bool) {
            self.name = name
            self.answersChannel = answersChannel
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
        /// Who the device wants to answer what its channel leaves open; `nil` where it names nobody.
        public var agent: NamedAgent?
        /// How it ended, where no agent is to answer it for a reason that is to be recorded.
        public var end: MessageEnd?
        /// The number that its channel was told it would get; `nil` where none was told.
        public var number: Int64?
        /// Which of the device's conversations it belongs to.
        public var conversation: ConversationName

        /// Wraps the parts.
        public init(
            session: LiveSession, messageID: String, body: String, forwarded: [ForwardedMessage],
            agent: NamedAgent? = nil, end: MessageEnd? = nil, number: Int64? = nil,
            conversation: ConversationName = .main
        ) {
            self.conversation = conversation
            self.session = session
            self.messageID = messageID
            self.body = body
            self.forwarded = forwarded
            self.agent = agent
            self.end = end
            self.number = number
        }

        /// What its channel made of it, with the name of `agent` where the channel names none.
        public func parts(for agent: String) -> [ForwardedMessage] {
            forwarded.map { $0.agent.isEmpty ? ForwardedMessage(agent: agent, body: $0.body) : $0 }
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
        /// How many of the device's messages waited for an answer before it, where the work on it was claimed with
        /// it. Of a repeat: how many wait, where it is one of them, whoever works on it.
        public var openBefore: Int64?
        /// Who answers it where its channel names nobody; empty for the channel's agent.
        public var agent = ""
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
        /// The device's identifier of the message that this one answers.
        public var inReplyTo: String?
        /// How often its channel failed to deliver it.
        public var attempts = 0
        /// Which of the device's conversations it belongs to.
        public var conversation = ConversationName.main

        /// Wraps the parts.
        public init(
            sequence: Int64, agent: String?, body: String, forwarded: [ForwardedMessage] = [],
            inReplyTo: String? = nil, attempts: Int = 0, conversation: ConversationName = .main
        ) {
            self.conversation = conversation
            self.sequence = sequence
            self.agent = agent
            self.body = body
            self.forwarded = forwarded
            self.inReplyTo = inReplyTo
            self.attempts = attempts
        }
    }

    /// What a device says it has.
    public struct Acknowledgement: Sendable {
        /// The session that says so.
        public var session: LiveSession
        /// The number up to which, and including, the device has everything.
        public var sequence: Int64
        /// A number up to which everything is known to be settled: nothing is looked for there, where an index still
        /// leads to what was.
        public var after: Int64

        /// Wraps the parts.
        public init(session: LiveSession, sequence: Int64, after: Int64 = 0) {
            self.session = session
            self.sequence = sequence
            self.after = after
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
