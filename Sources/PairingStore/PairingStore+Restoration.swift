import PairingCore
import Postgres

extension PairingStore {
    /// What a database holds, for whoever decides whether it is the copy that was wanted.
    public struct Inventory: Sendable, Equatable {
        /// How often it was taken back to an earlier moment, counted from 1.
        public var epoch: Int64
        /// When the newest event was written; `nil` where nothing has happened.
        public var newestEventAt: Timestamp?
        /// The newest position.
        public var position: Int64
        /// Devices whose pairing is active.
        public var devices: Int64
        /// Requests that wait.
        public var requests: Int64
        /// Messages that nobody has answered or acknowledged.
        public var messages: Int64
        /// The gateways that hold a lease, by name.
        public var gateways: [String]
    }

    /// What the database holds.
    public func inventory() async throws -> Inventory {
        let row = try await pool.query(
            """
            SELECT epoch, position, (SELECT at FROM events ORDER BY events.position DESC LIMIT 1) AS newest,
                (SELECT count(*) FROM paired_devices WHERE state = 'active') AS devices,
                (SELECT count(*) FROM pairing_requests WHERE state = 'pending') AS requests,
                (SELECT count(*) FROM messages WHERE done_at IS NULL) AS messages,
                ARRAY(SELECT name FROM instances WHERE lease_until > clock_timestamp() ORDER BY name) AS gateways
            FROM event_counter
            """
        ).only()
        return Inventory(
            epoch: try row.int64("epoch"), newestEventAt: try row.optionalMoment("newest"),
            position: try row.int64("position"), devices: try row.int64("devices"),
            requests: try row.int64("requests"), messages: try row.int64("messages"),
            gateways: try row.texts("gateways"))
    }

    /// Rows of one kind that contradict each other.
    public struct Contradiction: Sendable, Equatable {
        /// What is wrong with them, as a sentence without its number.
        public var sentence: String
        /// How many.
        public var count: Int64
        /// One of them.
        public var example: String
    }

    /// Whatever contradicts itself. Reads the whole database once.
    ///
    /// - Parameter progress: told what is looked at.
    public func contradictions(_ progress: (String) -> Void) async throws -> [Contradiction] {
        var found: [Contradiction] = []
        for rule in Self.rules {
            progress(rule.name)
            let row = try await pool.query(
                "SELECT count(*) AS count, min(example) AS example FROM (\(rule.sql)) AS bad (example)"
            ).only()
            guard let example = try row.optionalText("example") else { continue }
            found.append(
                Contradiction(sentence: rule.sentence, count: try row.int64("count"), example: example))
        }
        return found
    }

    /// Says that the database was taken back to an earlier moment: what was numbered after it is never given again.
    ///
    /// - Returns: the epoch that begins.
    public func recordRestoration(by actor: Actor) async throws -> Int64 {
        try await pool.query(
            "SELECT record_restoration($1, $2) AS epoch", [.text(actor.kind), .text(actor.name)]
        ).only().int64("epoch")
    }

    private struct Rule {
        let name: String
        /// Gives the text of each bad row.
        let sql: String
        let sentence: String
    }

    /// What the servers rest on and no constraint of the schema can say.
    private static let rules = [
        Rule(
            name: "indexes",
            sql: """
                SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indrelid
                WHERE NOT (indisvalid AND indisready) AND c.relnamespace = current_schema()::regnamespace
                """,
            sentence: "Indexes are not usable: REINDEX them"),
        Rule(
            name: "events",
            sql: """
                SELECT 'position ' || events.position FROM events, event_counter c
                WHERE events.position > c.position
                """,
            sentence: "Events lie behind the feed's end"),
        Rule(
            name: "pairings",
            sql: """
                SELECT coalesce(d.sender_id, s.sender_key)
                FROM (SELECT * FROM paired_devices WHERE state = 'active') AS d
                FULL JOIN (SELECT * FROM device_streams WHERE active) AS s USING (sender_key)
                WHERE d.generation IS DISTINCT FROM s.generation
                """,
            sentence:
                "Devices are paired for administrators and not for their messages, or the other way round"),
        Rule(
            name: "numbers",
            sql: """
                SELECT s.sender_key FROM device_streams s WHERE EXISTS (
                    SELECT FROM messages m WHERE m.sender_key = s.sender_key AND m.generation = s.generation
                        AND m.direction = 'in' AND m.sequence >= s.next_in)
                OR EXISTS (
                    SELECT FROM messages m WHERE m.sender_key = s.sender_key AND m.generation = s.generation
                        AND m.direction = 'out' AND m.sequence >= s.next_out)
                """,
            sentence: "Devices have messages with numbers that would be given again"),
        Rule(
            name: "counters",
            sql: """
                SELECT s.sender_key FROM device_streams s LEFT JOIN (
                    SELECT sender_key, generation, count(*) AS unanswered FROM messages
                    WHERE done_at IS NULL AND direction = 'in' GROUP BY sender_key, generation) AS m
                USING (sender_key, generation)
                WHERE s.active AND s.unanswered <> coalesce(m.unanswered, 0)
                """,
            sentence: "Devices have another number of messages without an answer than is counted"),
    ]
}
