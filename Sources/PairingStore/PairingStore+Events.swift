import PairingCore
import Postgres

extension PairingStore {
    /// The channel that hints at new events, for LISTEN.
    public static let eventsChannel = "nodes_events"

    /// The channel that tells gateways which of their sessions were replaced, for LISTEN.
    public static let sessionsChannel = "nodes_sessions"

    /// One row of the event feed.
    public struct Event: Sendable, Equatable {
        /// Its place; positions appear in commit order.
        public var position: Int64
        /// When, by the database's clock.
        public var at: Timestamp
        /// What happened; an ``PairingCore/EventName`` unless a newer program wrote it.
        public var event: String
        /// The device's channel, where it is about a device.
        public var channel: String?
        /// The device's identifier, where it is about a device.
        public var senderID: String?
        /// The kind of actor.
        public var actorKind: String
        /// The name of the actor.
        public var actor: String
        /// The request, where it is about one.
        public var requestID: String?
        /// The generation after the event, where it is about a pairing.
        public var generation: Int64?
        /// The address the action came from, where it is known.
        public var address: String?
        /// Further facts: the text of a JSON object.
        public var details: String
    }

    /// The newest position; 0 where nothing has happened.
    public func newestPosition() async throws -> Int64 {
        try await pool.query("SELECT position FROM event_counter").only().int64("position")
    }

    /// The events after a position, oldest first.
    public func events(after position: Int64, limit: Int) async throws -> [Event] {
        try await pool.query(
            "SELECT \(Self.eventColumns) FROM events WHERE position > $1 ORDER BY position LIMIT $2",
            [.int64(position), .int(limit)]
        ).map { try $0.event() }
    }

    static let eventColumns = """
        position, at, event, channel, sender_id, actor_kind, actor, request_id::text AS request_id, generation,
        address, details::text AS details
        """
}

extension PostgresRow {
    func event() throws -> PairingStore.Event {
        PairingStore.Event(
            position: try int64("position"), at: try moment("at"), event: try text("event"),
            channel: try optionalText("channel"), senderID: try optionalText("sender_id"),
            actorKind: try text("actor_kind"), actor: try text("actor"),
            requestID: try optionalText("request_id"), generation: try optionalInt64("generation"),
            address: try optionalText("address"), details: try text("details"))
    }
}
