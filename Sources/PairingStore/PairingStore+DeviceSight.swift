import PairingCore
import Postgres

extension PairingStore {
    /// What a device's page shows beside its pairings, in one round trip.
    ///
    /// - Parameters:
    ///   - textLength: how many characters of each message's text; `nil` for none.
    ///   - limit: the messages of each direction, and the events, at most.
    public func sight(
        of senderID: SenderID, _ generation: Generation, textLength: Int? = nil, limit: Int = 20
    ) async throws -> DeviceSight {
        let answers = try await pool.read([
            (
                """
                SELECT (i.lease_until > clock_timestamp()) IS TRUE AS connected, i.name, s.address, s.connected_at,
                    greatest(s.last_seen_at, least(i.lease_until, clock_timestamp())) AS last_seen_at
                FROM device_sessions s LEFT JOIN instances i ON i.instance_id = s.instance_id
                WHERE s.sender_key = $1 AND s.generation = $2
                """, [.text(senderID.key), .int64(generation.number)]
            ),
            (
                """
                SELECT * FROM (
                    (SELECT \(Self.sightedColumns) FROM messages
                    WHERE sender_key = $1 AND generation = $2 AND direction = 'in' ORDER BY sequence DESC LIMIT $3)
                    UNION ALL
                    (SELECT \(Self.sightedColumns) FROM messages
                    WHERE sender_key = $1 AND generation = $2 AND direction = 'out' ORDER BY sequence DESC LIMIT $3)
                ) AS m ORDER BY created_at DESC, direction DESC, sequence DESC LIMIT $3
                """,
                [
                    .text(senderID.key), .int64(generation.number), .int(limit), .int(textLength),
                ]
            ),
            (
                """
                SELECT \(Columns.event) FROM events
                WHERE lower(sender_id COLLATE "C") = $1 AND sender_id IS NOT NULL ORDER BY position DESC LIMIT $2
                """, [.text(senderID.key), .int(limit)]
            ),
        ])
        return DeviceSight(
            session: try answers[0].first.map {
                DeviceSight.Session(
                    isConnected: try $0.bool("connected"), instanceName: try $0.optionalText("name"),
                    address: try $0.address(), connectedAt: try $0.moment("connected_at"),
                    lastSeenAt: try $0.moment("last_seen_at"))
            },
            messages: try answers[1].map { try $0.sightedMessage() },
            events: try answers[2].map { try $0.event() }.map {
                DeviceSight.Event(
                    at: $0.at, event: $0.event, actor: $0.actor, address: $0.address, details: $0.details)
            })
    }

    /// Records that somebody looks at what a device and its agents said.
    public func recordReading(of device: PairedDevice, by origination: Origination) async throws {
        try await pool.transaction { transaction in
            try transaction.record(
                .deviceMessagesRead, channel: device.channel, senderID: device.senderID, by: origination,
                generation: device.generation)
        }
    }

    private static let sightedColumns = """
        direction, sequence, agent, octet_length(body)::bigint AS bytes, created_at, done_at, ended, end_reason, attempts,
        CASE WHEN $4::bigint IS NOT NULL THEN left(body, $4::int) END AS text
        """
}

extension PostgresRow {
    fileprivate func sightedMessage() throws -> DeviceSight.Message {
        var end: (state: String, reason: String)?
        if let state = try optionalText("ended") { end = (state, try optionalText("end_reason") ?? "") }
        return DeviceSight.Message(
            isFromDevice: try text("direction") == PairingStore.MessageDirection.inbound.rawValue,
            sequence: try int64("sequence"), agent: try optionalText("agent"), bytes: try int64("bytes"),
            createdAt: try moment("created_at"), doneAt: try optionalMoment("done_at"), end: end,
            attempts: try int("attempts"), text: try optionalText("text"))
    }
}
