import PairingCore

extension PairingStore {
    /// A device under one of its pairings: whose messages are counted together.
    public struct PairedSender: Sendable, Hashable {
        /// The device's identifier.
        public var senderID: SenderID
        /// The pairing.
        public var generation: Generation

        /// Wraps the two.
        public init(senderID: SenderID, generation: Generation) {
            self.senderID = senderID
            self.generation = generation
        }
    }

    /// Who works on devices' messages, and how long that holds without being renewed.
    public struct WorkClaim: Sendable {
        /// The gateway.
        public var instance: InstanceID
        /// How long a claim lasts.
        public var lease: Duration

        /// Wraps the two.
        public init(instance: InstanceID, lease: Duration) {
            self.instance = instance
            self.lease = lease
        }
    }

    /// A message from a device that waits for an answer.
    public struct OpenWork: Sendable, Equatable {
        /// Its number among those from the device.
        public var sequence: Int64
        /// The device's identifier of it.
        public var messageID: String
        /// What its channel made of it for agents; one at least.
        public var parts: [ForwardedMessage]
        /// How often it failed.
        public var attempts: Int
        /// How long it waits before it is tried again.
        public var delay: Duration
        /// Which of the device's conversations it belongs to.
        public var conversation: ConversationName

        /// Wraps the parts.
        public init(
            sequence: Int64, messageID: String, parts: [ForwardedMessage], attempts: Int = 0,
            delay: Duration = .zero, conversation: ConversationName = .main
        ) {
            self.conversation = conversation
            self.sequence = sequence
            self.messageID = messageID
            self.parts = parts
            self.attempts = attempts
            self.delay = delay
        }

        /// The bytes of ``parts``.
        public var bytes: Int { parts.reduce(0) { $0 + $1.body.utf8.count } }
    }

    /// Some of a device's messages that wait for an answer, claimed.
    public struct ClaimedWork: Sendable, Equatable {
        /// Whose they are.
        public var sender: PairedSender
        /// The device's channel.
        public var channel: ChannelID
        /// In order.
        public var messages: [OpenWork]
        /// Whether no others wait behind these.
        public var isWhole: Bool
        /// The number of the device's newest message, whether it waits or not.
        public var newest: Int64

        /// Wraps the parts.
        public init(
            sender: PairedSender, channel: ChannelID, messages: [OpenWork], isWhole: Bool, newest: Int64
        ) {
            self.sender = sender
            self.channel = channel
            self.messages = messages
            self.isWhole = isWhole
            self.newest = newest
        }
    }

    /// What came of claiming a device's work.
    public enum ClaimOutcome: Sendable, Equatable {
        case claimed(ClaimedWork)
        /// Somebody has locked the device at this moment.
        case locked
        /// Another instance works on it.
        case taken
        /// There is none.
        case nothing
    }

    /// One agent's answer.
    public struct AgentReply: Sendable, Equatable {
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

    /// What came of the work on a message from a device.
    public struct Settlement: Sendable, Equatable {
        /// What is to be stored.
        public enum Result: Sendable, Equatable {
            /// It is answered, perhaps by nothing.
            case answered([AgentReply])
            /// No agent will answer it.
            case undeliverable(reason: String)
            /// It failed for the time being; it has been tried so often and is tried again after that time.
            case failed(attempts: Int, delay: Duration)
        }

        /// Whose message it is.
        public var sender: PairedSender
        /// Its number.
        public var sequence: Int64
        /// The device's identifier of it.
        public var messageID: String
        /// What is to be stored.
        public var result: Result
        /// How long an answer is worth delivering; `nil` for ever.
        public var lifetime: Duration?
        /// Which of the device's conversations it belongs to.
        public var conversation: ConversationName

        /// Wraps the parts.
        public init(
            sender: PairedSender, sequence: Int64, messageID: String, result: Result,
            lifetime: Duration? = nil, conversation: ConversationName = .main
        ) {
            self.conversation = conversation
            self.lifetime = lifetime
            self.sender = sender
            self.sequence = sequence
            self.messageID = messageID
            self.result = result
        }
    }

    /// What came of storing a ``Settlement``.
    public enum SettlementOutcome: Sendable, Equatable {
        /// It is stored.
        case stored(StoredSettlement)
        /// The message had come to its end before: by a commit in doubt, a device that gave it up or a revocation.
        /// What was answered then may never have been handed out.
        case over
        /// The pairing has ended, or another instance works on the device's messages.
        case lost
        /// Somebody has locked the device at this moment.
        case locked
    }

    /// A settlement that is stored.
    public struct StoredSettlement: Sendable, Equatable {
        /// The messages to the device that it made.
        public var messages: [StoredMessage]
        /// The device's newest session, if it is one of the gateway that asked: under the same lock its messages were
        /// claimed for it (I3).
        public var epoch: Epoch?
        /// Whether the device's session is on another gateway that runs.
        public var isElsewhere: Bool
        /// How many of the device's messages still wait for an answer.
        public var open: Int64
        /// How many messages to the device ended with the batch, because more waited for it than may; told once.
        public var overflowed = 0

        /// Wraps the parts.
        public init(messages: [StoredMessage], epoch: Epoch?, isElsewhere: Bool, open: Int64) {
            self.messages = messages
            self.epoch = epoch
            self.isElsewhere = isElsewhere
            self.open = open
        }
    }

    /// How a message ended that was neither answered nor acknowledged.
    public struct MessageEnd: Sendable, Equatable {
        /// What became of it.
        public enum State: String, Sendable, CaseIterable {
            /// Its time was over.
            case expired
            /// There was no room for it.
            case overflowed
            /// Its agent, or its channel, failed on it too often.
            case undeliverable
            /// It was given up: the pairing was revoked, or whoever sent it wanted it no more.
            case withdrawn
        }

        /// What became of it.
        public var state: State
        /// Why: a word for programs.
        public var reason: String

        /// Wraps the two.
        public init(_ state: State, reason: String) {
            self.state = state
            self.reason = reason
        }
    }

    /// The channel on which gateways wake each other.
    public static let wakesChannel = "nodes_wakes"

    /// What one gateway has for another, for some devices.
    public enum Wake: String, Sendable, CaseIterable {
        /// Messages to them were stored.
        case deliver
        /// Their work is free again.
        case work
        /// Messages of them were given up; each device's key is followed by `=` and the message's number.
        case abort

        /// Reads a notification of ``PairingStore/wakesChannel``: an instance, what it is about, then the devices.
        static func parse(_ payload: String) -> (InstanceID, Wake, [String])? {
            let words = payload.split(separator: " ").map(String.init)
            guard words.count > 2, let instance = InstanceID(words[0]), let wake = Wake(rawValue: words[1])
            else { return nil }
            return (instance, wake, Array(words.dropFirst(2)))
        }
    }
}
