import PairingCore
import Postgres

extension Transaction {
    /// Ends the oldest messages that wait for devices to which more was stored than may wait; under their locks.
    ///
    /// - Returns: how many ended of each device.
    func endOverflow(
        _ streams: inout [String: Stream], of keys: Set<String>, _ limits: MessageLimits
    ) throws -> [String: Int] {
        let full = keys.compactMap { key -> (key: String, index: String, messages: Int64, bytes: Int64)? in
            guard let stream = streams[key], let excess = stream.excess(over: limits) else { return nil }
            return (key, "\(key)/\(stream.generation.number)/out", excess.messages, excess.bytes)
        }
        if full.isEmpty { return [:] }
        let answers = try query([
            (
                """
                UPDATE messages SET done_at = clock_timestamp(), ended = 'overflowed', end_reason = 'overflowed'
                WHERE ctid = ANY(ARRAY(
                    SELECT m.place FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (key, messages, bytes),
                        LATERAL (
                        SELECT place, row_number() OVER (ORDER BY sequence) AS number,
                            sum(size) OVER (ORDER BY sequence) - size AS before,
                            row_number() OVER (ORDER BY sequence DESC) = 1 AS newest
                        FROM (SELECT ctid AS place, sequence, octet_length(body) AS size FROM messages
                            WHERE sender_key || '/' || generation::text || '/' || direction = a.key
                                AND done_at IS NULL OFFSET 0) AS open) AS m
                    WHERE NOT m.newest AND (m.number <= a.messages OR m.before < a.bytes)))
                RETURNING sender_key, octet_length(body)::bigint AS bytes
                """,
                [
                    .texts(full.map(\.index)), .int64s(full.map(\.messages)), .int64s(full.map(\.bytes)),
                ]
            ),
            Self.firstOpen(full.map { ($0.key, $0.index) }),
        ])
        var ended: [String: Int] = [:]
        for row in answers[0] {
            let key = try row.text("sender_key")
            streams[key]?.settled(bytes: try row.int64("bytes"))
            ended[key, default: 0] += 1
        }
        let open = try firstOpen(answers[1])
        for (key, _, _, _) in full {
            guard let stream = streams[key] else { continue }
            streams[key]?.acknowledgedOut = max(stream.acknowledgedOut, (open[key] ?? stream.nextOut) - 1)
        }
        return ended
    }

    /// The oldest message that waits for each device.
    ///
    /// - Parameter devices: with their keys in the index `messages_open`.
    static func firstOpen(
        _ devices: [(key: String, index: String)]
    ) -> (sql: String, parameters: [PostgresValue]) {
        (
            """
            SELECT a.sender_key, m.sequence FROM unnest($1::text[], $2::text[]) AS a (sender_key, key), LATERAL (
                SELECT sequence FROM messages
                WHERE sender_key || '/' || generation::text || '/' || direction = a.key AND done_at IS NULL
                ORDER BY sequence LIMIT 1) AS m
            """, [.texts(devices.map(\.key)), .texts(devices.map(\.index))]
        )
    }

    /// Reads the answer to ``firstOpen(_:)``.
    func firstOpen(_ rows: PostgresRows) throws -> [String: Int64] {
        Dictionary(
            try rows.map { (try $0.text("sender_key"), try $0.int64("sequence")) }, uniquingKeysWith: min)
    }
}
