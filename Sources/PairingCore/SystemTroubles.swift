/// What keeps devices from where they want to be, as far as the database shows it; a few of each kind.
public struct SystemTroubles: Sendable, Equatable {
    /// An address that may have no further request waiting.
    public struct FullAddress: Sendable, Equatable {
        /// The address, or the /64 of an IPv6 address.
        public var address: String
        /// How many of its requests wait.
        public var waiting: Int

        /// Wraps the parts.
        public init(address: String, waiting: Int) {
            self.address = address
            self.waiting = waiting
        }
    }

    /// A device whose sessions replace each other again and again.
    public struct Contention: Sendable, Equatable {
        /// The device.
        public var senderID: SenderID
        /// How often, in ten minutes at most.
        public var replaced: Int
        /// The last time.
        public var lastAt: Timestamp
        /// Where the newest session came from.
        public var address: ClientAddress?
        /// Where the one came from that it replaced.
        public var otherAddress: ClientAddress?

        /// Wraps the parts.
        public init(
            senderID: SenderID, replaced: Int, lastAt: Timestamp, address: ClientAddress?,
            otherAddress: ClientAddress?
        ) {
            self.senderID = senderID
            self.replaced = replaced
            self.lastAt = lastAt
            self.address = address
            self.otherAddress = otherAddress
        }
    }

    /// A gateway that no longer keeps its lease and did not say that it stops.
    public struct LostGateway: Sendable, Equatable {
        /// What operators call it.
        public var name: String
        /// When its lease ended.
        public var since: Timestamp

        /// Wraps the parts.
        public init(name: String, since: Timestamp) {
            self.name = name
            self.since = since
        }
    }

    /// The addresses with most requests.
    public var fullAddresses: [FullAddress] = []
    /// The newest first.
    public var contentions: [Contention] = []
    /// Those of the last ten minutes, by name.
    public var lostGateways: [LostGateway] = []

    /// Nothing is known to be wrong.
    public init() {}
}
