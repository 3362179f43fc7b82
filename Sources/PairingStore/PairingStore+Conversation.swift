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

    /// What an agent and a device said to each other in a conversation before one of the device's messages, oldest
    /// first. What the agent has not answered is left out, and so is what other agents heard.
    ///
    /// - Parameters:
    ///   - sequence: the device's message.
    ///   - limit: the most exchanges.
    ///   - bytes: the most bytes of them together as they are stored; the newest stay.
    public func conversation(
        of senderID: SenderID, _ generation: Generation, with agent: String,
        in conversation: ConversationName = .main,
        before sequence: Int64, limit: Int, bytes: Int
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
                    WHERE \(Self.outbound(in: conversation)) AND agent = $3
                        AND (reply_to IS NULL OR reply_to < $4)
                    ORDER BY sequence DESC LIMIT $5
                ) AS o
                LEFT JOIN messages AS i ON i.sender_key = $1 AND i.generation = $2 AND i.direction = 'in'
                    AND i.sequence = o.reply_to
            ) AS exchanges WHERE bytes <= $6 ORDER BY sequence
            """,
            [
                .text(senderID.key), .int64(generation.number), .text(agent), .int64(sequence), .int(limit),
                .int64(Int64(bytes)), .text(conversation.text), .int64(Self.window),
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

    /// Where the main conversation is looked for: it has no index of its own, so that what lies farther back than so many
    /// messages of other conversations is found a page later, or not by agents.
    static let window: Int64 = 2000

    /// The condition for what was said to the device in a conversation, by the index that fits; `$1` is the device's key,
    /// `$2` its generation, `$7` the conversation and `$8` the window.
    private static func outbound(in conversation: ConversationName) -> String {
        conversation.isMain
            ? """
            sender_key = $1 AND generation = $2 AND direction = 'out' AND conversation = $7 AND sequence
                >= (SELECT next_out FROM device_streams WHERE sender_key = $1 LIMIT 1) - $8
            """
            : """
            sender_key || '/' || generation::text || '/' || direction || '/' || conversation
                = $1 || '/' || $2::bigint::text || '/out/' || $7 AND conversation <> '' AND $8::bigint > 0
            """
    }
}
