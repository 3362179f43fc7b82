import PairingCore
import Postgres

extension PairingStore {
    /// A message of a device, as it came.
    public struct ReceivedMessage: Sendable, Equatable {
        /// Its number.
        public var sequence: Int64
        /// When it was accepted.
        public var createdAt: Timestamp
        /// The message: JSON text.
        public var body: String
    }

    /// The newest messages from a device under its pairing that are kept, newest first.
    ///
    /// - Parameter maximumBytes: larger ones are left out.
    public func newestReceived(
        from senderID: SenderID, _ generation: Generation, limit: Int, maximumBytes: Int
    ) async throws -> [ReceivedMessage] {
        try await pool.query(
            """
            SELECT sequence, created_at, body FROM (
                SELECT sequence, created_at, CASE WHEN octet_length(body) <= $4 THEN body END AS body
                FROM messages WHERE sender_key = $1 AND generation = $2 AND direction = 'in'
                ORDER BY sequence DESC LIMIT $3) AS m
            WHERE body IS NOT NULL ORDER BY sequence DESC
            """,
            [.text(senderID.key), .int64(generation.number), .int(limit), .int(maximumBytes)]
        ).map {
            ReceivedMessage(
                sequence: try $0.int64("sequence"), createdAt: try $0.moment("created_at"),
                body: try $0.text("body"))
        }
    }

    /// Records that a program used a tool.
    ///
    /// - Parameter device: which device it is about, if it is about one.
    public func recordToolCall(
        _ tool: String, of device: PairedDevice?, by origination: Origination
    ) async throws {
        try await pool.transaction { transaction in
            try transaction.record(
                .toolCalled, channel: device?.channel, senderID: device?.senderID, by: origination,
                generation: device?.generation, details: .object(["tool": .string(tool)]))
        }
    }
}
