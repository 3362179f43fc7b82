import PairingCore

extension PairingStore {
    /// A message for a device that no message of the device asked for.
    public struct Push: Sendable {
        /// Whom it is for.
        public var senderID: SenderID
        /// What whoever sends it calls it.
        public var pushID: String
        /// Which agent speaks.
        public var agent: String
        /// The message: JSON text.
        public let body: String
        /// How long it is wanted; `nil` for ever.
        public var lifetime: Duration?
        /// Who sends it.
        public var actor: Actor
        /// The command that it has the device carry out; `nil` for a message of another kind.
        public let command: String?

        /// Wraps the parts.
        public init(
            senderID: SenderID, pushID: String, agent: String, body: String, lifetime: Duration?, actor: Actor
        ) {
            self.senderID = senderID
            self.pushID = pushID
            self.agent = agent
            self.body = body
            self.lifetime = lifetime
            self.actor = actor
            command = DeviceCommand.name(in: body)
        }
    }

    /// A push that is stored.
    public struct StoredPush: Sendable {
        /// What is known of it; of one that was sent before, what became of it.
        public var report: MessageReport
        /// Whose message it is.
        public var sender: PairedSender
        /// The message, where it is new and was claimed for a session of the gateway that asked.
        public var message: StoredMessage?
        /// That session's.
        public var epoch: Epoch?
    }

    /// A message that its device gave up.
    public struct AbortedMessage: Sendable, Equatable {
        /// What became of it.
        public var report: MessageReport
        /// Whether it had waited until now.
        public var isNew: Bool
    }
}
