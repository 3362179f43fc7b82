import PairingCore
import Postgres

extension PairingStore {
    /// What an agent said to a device, and what the device had said before that.
    public struct Exchange: Sendable, Equatable {
        /// What the agent was told: JSON text; `nil` where it spoke by itself.
        public var heard: String?
        /// What it said: JSON text.
        public var said: String

        /// Wraps the two.
        public init(heard: String?, said: String) {
            self.heard = heard
            self.said = said
        }
    }

    /// A message of either direction, as it is shown later.
    public struct Line: Sendable, Equatable {
        /// Which agent spoke; `nil` where the device did.
        public var agent: String?
        /// JSON text.
        public var body: String
        /// When it was stored.
        public var at: Timestamp
    }

    /// The newest messages of a pairing, oldest first; what was given up is left out.
    public func history(of sender: PairedSender, limit: Int) async throws -> [Line] {
        func newest(_ direction: String) -> String {
            """
            (SELECT CASE WHEN direction = 'out' THEN agent END AS agent, body, created_at, direction, sequence
            FROM messages
            WHERE sender_key = $1 AND generation = $2 AND direction = '\(direction)'
                AND ended IS DISTINCT FROM 'withdrawn'
            ORDER BY sequence DESC LIMIT $3)
            """
        }
        return try await pool.query(
            """
            SELECT agent, body, created_at FROM (\(newest("in")) UNION ALL \(newest("out"))) AS lines
            ORDER BY created_at DESC, direction DESC, sequence DESC LIMIT $3
            """, [.text(sender.senderID.key), .int64(sender.generation.number), .int(limit)]
        ).map {
            Line(
                agent: try $0.optionalText("agent"), body: try $0.text("body"),
                at: try $0.moment("created_at")
            )
        }.reversed()
    }

    /// What an agent and a device said to each other before one of the device's messages, oldest first. What the
    /// agent has not answered is left out, and so is what other agents heard.
    ///
    /// - Parameters:
    ///   - sequence: the device's message.
    ///   - limit: the most exchanges.
    ///   - bytes: the most bytes of them together as they are stored; the newest stay.
    public func conversation(
        of senderID: SenderID, _ generation: Generation, with agent: String, before sequence: Int64,
        limit: Int, bytes: Int
    ) async throws -> [Exchange] {
        if limit <= 0 || bytes <= 0 { return [] }
        // The sizes of large texts are known without reading them.
        return try await pool.query(
            """
            SELECT said, body, forwarded, reply_part FROM (
                SELECT o.sequence, o.body AS said, i.body, i.forwarded, o.reply_part,
                    sum(octet_length(o.body) + coalesce(octet_length(i.forwarded), octet_length(i.body), 0))
                        OVER (ORDER BY o.sequence DESC) AS bytes
                FROM (
                    SELECT sequence, body, reply_to, reply_part FROM messages
                    WHERE sender_key = $1 AND generation = $2 AND direction = 'out' AND agent = $3
                        AND (reply_to IS NULL OR reply_to < $4)
                    ORDER BY sequence DESC LIMIT $5
                ) AS o
                LEFT JOIN messages AS i ON i.sender_key = $1 AND i.generation = $2 AND i.direction = 'in'
                    AND i.sequence = o.reply_to
            ) AS exchanges WHERE bytes <= $6 ORDER BY sequence
            """,
            [
                .text(senderID.key), .int64(generation.number), .text(agent), .int64(sequence), .int(limit),
                .int64(Int64(bytes)),
            ]
        ).map { row in
            var heard: String?
            if try row.optionalText("body") != nil {
                let parts = try row.forwarded()
                let part = try row.int("reply_part")
                heard = parts.indices.contains(part) ? parts[part].body : nil
            }
            return Exchange(heard: heard, said: try row.text("said"))
        }
    }
}
