import PairingCore
import Postgres

extension PairingStore {
    /// A page of a device's conversation: what is still kept of it, the newest before a place. What was given up or ended
    /// with a revocation is left out.
    ///
    /// - Parameters:
    ///   - cursor: where the page before ended.
    ///   - limit: the most messages, one at least.
    ///   - bytes: the most bytes of their bodies together.
    public func history(
        of sender: PairedSender, in conversation: ConversationName,
        before cursor: MessageHistory.Cursor, limit: Int, bytes: Int = MessageHistory.maximumBytes
    ) async throws -> MessageHistory.Page {
        let (key, generation) = (sender.senderID.key, sender.generation.number)
        guard
            let next = try await pool.query(
                "SELECT next_in, next_out FROM device_streams WHERE sender_key = $1 AND generation = $2",
                [.text(key), .int64(generation)]
            ).first
        else { return MessageHistory.Page(lines: [], next: nil) }
        let start = MessageHistory.Cursor(
            sent: min(cursor.sent, try next.int64("next_in")),
            received: min(cursor.received, try next.int64("next_out")))
        let sent = try await side(.inbound, of: sender, in: conversation, before: start.sent, limit, bytes)
        let received = try await side(
            .outbound, of: sender, in: conversation, before: start.received, limit, bytes)
        return MessageHistory.page(
            sent: sent, received: received, before: start, limit: limit, bytes: bytes)
    }

    /// The newest messages of one direction before a number.
    private func side(
        _ direction: MessageDirection, of sender: PairedSender, in conversation: ConversationName,
        before number: Int64, _ limit: Int, _ bytes: Int
    ) async throws -> MessageHistory.Side {
        // The main conversation has no index of its own: so many numbers are looked through for a page.
        let floor = conversation.isMain ? max(1, number - Self.window) : 1
        if number <= 1 { return MessageHistory.Side(lines: [], floor: 1) }
        let place =
            conversation.isMain
            ? """
            sender_key = $1 AND generation = $2 AND direction = '\(direction.rawValue)' AND conversation = $7
            """
            : """
            sender_key || '/' || generation::text || '/' || direction || '/' || conversation
                = $1 || '/' || $2::bigint::text || '/\(direction.rawValue)/' || $7 AND conversation <> ''
            """
        // The sizes of large texts are known without reading them.
        let rows = try await pool.query(
            """
            SELECT sequence, agent, message_id, body, created_at, found FROM (
                SELECT *, count(*) OVER () AS found,
                    sum(octet_length(body)) OVER (ORDER BY sequence DESC) - octet_length(body) AS preceding
                FROM (
                    SELECT sequence, CASE WHEN direction = 'out' THEN coalesce(agent, '') END AS agent, message_id, body,
                        created_at
                    FROM messages WHERE \(place) AND sequence < $3 AND sequence >= $4
                        AND ended IS DISTINCT FROM 'withdrawn'
                    ORDER BY sequence DESC LIMIT $5
                ) AS newest
            ) AS page WHERE preceding < $6 ORDER BY sequence DESC
            """,
            [
                .text(sender.senderID.key), .int64(sender.generation.number), .int64(number), .int64(floor),
                .int(limit), .int64(Int64(bytes)), .text(conversation.text),
            ])
        let lines = try rows.map { row in
            MessageHistory.Line(
                sequence: try row.int64("sequence"), agent: try row.optionalText("agent"),
                messageID: try row.optionalText("message_id"), body: try row.text("body"),
                at: try row.moment("created_at"))
        }
        let found = try rows.first?.int("found") ?? 0
        let isWhole = found < limit && lines.count == found
        return MessageHistory.Side(
            lines: lines, floor: isWhole ? floor : lines.last?.sequence ?? floor)
    }
}
