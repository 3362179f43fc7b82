import PairingCore
import Postgres

extension PairingStore {
    /// What of the event feed is wanted; what is `nil` is not asked for.
    public struct AuditFilter: Sendable, Equatable {
        /// Who, by the whole name.
        public var actor: String?
        /// What happened, by the event's name.
        public var event: String?
        /// Which device.
        public var senderID: SenderID?
        /// From which address.
        public var address: String?
        /// From when on.
        public var from: Timestamp?
        /// Until when, itself excluded.
        public var until: Timestamp?

        /// Asks for everything.
        public init() {}
    }

    /// The events that a filter lets through, newest first.
    ///
    /// - Parameters:
    ///   - before: only those before this position; `nil` for the newest.
    ///   - limit: at most so many.
    public func audit(_ filter: AuditFilter, before: Int64?, limit: Int) async throws -> [Event] {
        var conditions: [String] = []
        var parameters: [PostgresValue] = []
        func add(_ condition: String, _ value: PostgresValue) {
            parameters.append(value)
            conditions.append("\(condition) $\(parameters.count)")
        }
        if let before { add("position <", .int64(before)) }
        if let actor = filter.actor { add("actor =", .text(actor)) }
        if let event = filter.event { add("event =", .text(event)) }
        if let senderID = filter.senderID { add("lower(sender_id COLLATE \"C\") =", .text(senderID.key)) }
        if let address = filter.address { add("address =", .text(address)) }
        if let from = filter.from {
            // Times follow positions, so that the list goes on being read by position.
            parameters.append(.timestamp(milliseconds: from.milliseconds))
            conditions.append(
                """
                position >= (SELECT coalesce(min(position), 9223372036854775807) FROM (
                    SELECT position FROM events WHERE at >= $\(parameters.count) ORDER BY at LIMIT 1) AS first)
                """)
        }
        if let until = filter.until {
            parameters.append(.timestamp(milliseconds: until.milliseconds))
            conditions.append(
                """
                position <= (SELECT coalesce(max(position), 0) FROM (
                    SELECT position FROM events WHERE at < $\(parameters.count) ORDER BY at DESC LIMIT 1) AS last)
                """)
        }
        parameters.append(.int(limit))
        return try await pool.query(
            """
            SELECT \(Columns.event) FROM events
            \(conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND "))
            ORDER BY position DESC LIMIT $\(parameters.count)
            """, parameters
        ).map { try $0.event() }
    }

    /// Where the chain of hashes begins and ends.
    public struct ChainEnds: Sendable {
        /// The newest position.
        public var position: Int64
        /// The hash there.
        public var head: [UInt8]
        /// The last position that is not in the chain any more, or never was.
        public var after: Int64
        /// The hash there.
        public var hash: [UInt8]

        /// Wraps the parts.
        public init(position: Int64, head: [UInt8], after: Int64, hash: [UInt8]) {
            self.position = position
            self.head = head
            self.after = after
            self.hash = hash
        }
    }

    /// Where the chain of hashes begins and ends.
    public func chainEnds() async throws -> ChainEnds {
        let row = try await pool.query("SELECT position, head, chain_after, chain_hash FROM event_counter")
            .only()
        return ChainEnds(
            position: try row.int64("position"), head: try row.bytes("head"),
            after: try row.int64("chain_after"), hash: try row.bytes("chain_hash"))
    }

    /// A row as its hash is made of it.
    public struct ChainedEvent: Sendable {
        /// Its place.
        public var position: Int64
        /// Every value's text, in the order of the columns; `nil` for null.
        public var values: [String?]
        /// The hash that it has; `nil` where it has none.
        public var hash: [UInt8]?

        /// Wraps the parts.
        public init(position: Int64, values: [String?], hash: [UInt8]?) {
            self.position = position
            self.values = values
            self.hash = hash
        }
    }

    /// The rows after a position up to another, as the chain is made of them.
    public func chainedEvents(
        after position: Int64, through last: Int64, limit: Int
    ) async throws -> [ChainedEvent] {
        try await pool.query(
            """
            SELECT position, position::text AS v0, (extract(epoch FROM at) * 1000000)::bigint::text AS v1, event AS v2,
                channel AS v3, sender_id AS v4, actor_kind AS v5, actor AS v6, request_id::text AS v7,
                generation::text AS v8, address AS v9, details::text AS v10, hash
            FROM events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3
            """, [.int64(position), .int64(last), .int(limit)]
        ).map { row in
            ChainedEvent(
                position: try row.int64("position"),
                values: try (0...10).map { try row.optionalText("v\($0)") },
                hash: try row.optionalBytes("hash"))
        }
    }
}
