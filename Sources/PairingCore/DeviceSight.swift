/// What a device's page shows beside its pairings.
public struct DeviceSight: Sendable, Equatable {
    /// A device's newest session.
    public struct Session: Sendable, Equatable {
        /// Whether the gateway that holds it runs.
        public var isConnected: Bool
        /// What operators call that gateway, where there is one.
        public var instanceName: String?
        /// Where it came from.
        public var address: ClientAddress?
        /// Since when.
        public var connectedAt: Timestamp
        /// When it was last known to be there.
        public var lastSeenAt: Timestamp

        /// Wraps the parts.
        public init(
            isConnected: Bool, instanceName: String?, address: ClientAddress?, connectedAt: Timestamp,
            lastSeenAt: Timestamp
        ) {
            self.isConnected = isConnected
            self.instanceName = instanceName
            self.address = address
            self.connectedAt = connectedAt
            self.lastSeenAt = lastSeenAt
        }
    }

    /// A message as administrators see it.
    public struct Message: Sendable, Equatable {
        /// Whether it came from the device.
        public var isFromDevice: Bool
        /// Its number in its direction.
        public var sequence: Int64
        /// Which agent speaks, or was chosen to answer; `nil` for the channel's agent.
        public var agent: String?
        /// Its bytes as JSON.
        public var bytes: Int64
        /// When it was accepted.
        public var createdAt: Timestamp
        /// When it was answered or acknowledged, or came to another end.
        public var doneAt: Timestamp?
        /// How it ended and why, where that is neither an answer nor an acknowledgement; words for programs.
        public var end: (state: String, reason: String)?
        /// How often it failed so far.
        public var attempts: Int
        /// The beginning of its JSON text, where that was asked for.
        public var text: String?

        /// Wraps the parts.
        public init(
            isFromDevice: Bool, sequence: Int64, agent: String?, bytes: Int64, createdAt: Timestamp,
            doneAt: Timestamp?, end: (state: String, reason: String)?, attempts: Int, text: String?
        ) {
            self.isFromDevice = isFromDevice
            self.sequence = sequence
            self.agent = agent
            self.bytes = bytes
            self.createdAt = createdAt
            self.doneAt = doneAt
            self.end = end
            self.attempts = attempts
            self.text = text
        }

        /// Whether both are the same in everything.
        public static func == (one: Message, other: Message) -> Bool {
            one.isFromDevice == other.isFromDevice && one.sequence == other.sequence
                && one.agent == other.agent && one.bytes == other.bytes
                && one.createdAt == other.createdAt && one.doneAt == other.doneAt
                && one.end?.state == other.end?.state && one.end?.reason == other.end?.reason
                && one.attempts == other.attempts && one.text == other.text
        }
    }

    /// Something that happened to a device.
    public struct Event: Sendable, Equatable {
        /// When, by the database's clock.
        public var at: Timestamp
        /// What; an ``EventName`` unless a newer program wrote it.
        public var event: String
        /// Who did it.
        public var actor: String
        /// Where from, where that is known.
        public var address: String?
        /// Further facts: the text of a JSON object.
        public var details: String

        /// Wraps the parts.
        public init(at: Timestamp, event: String, actor: String, address: String?, details: String) {
            self.at = at
            self.event = event
            self.actor = actor
            self.address = address
            self.details = details
        }
    }

    /// Its newest session; `nil` where it never connected under this pairing.
    public var session: Session?
    /// Its newest messages of both directions, the newest first.
    public var messages: [Message]
    /// What happened to it, the newest first.
    public var events: [Event]

    /// Wraps the parts.
    public init(session: Session?, messages: [Message], events: [Event]) {
        self.session = session
        self.messages = messages
        self.events = events
    }
}
