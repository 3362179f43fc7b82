import PairingCore
import Postgres

extension PairingStore {
    /// A device's message whose answer somebody waits for.
    public struct AwaitedMessage: Sendable, Hashable {
        /// Whose it is.
        public var sender: PairedSender
        /// Its number.
        public var sequence: Int64

        /// Wraps the two.
        public init(sender: PairedSender, sequence: Int64) {
            self.sender = sender
            self.sequence = sequence
        }
    }

    /// How far an answer is.
    public enum AnswerState: Sendable, Equatable {
        /// There is none yet.
        case open
        /// There is, or there never will be; in that case the message's end.
        case over(MessageEnd?)
        /// The pairing has ended.
        case pairingEnded
        /// The message is no longer kept.
        case gone
    }

    /// How far the answers to these messages are. Nothing is locked.
    public func answerStates(of messages: [AwaitedMessage]) async throws -> [AnswerState] {
        if messages.isEmpty { return [] }
        return try await pool.query(
            """
            SELECT d.live, m.open, m.ended, m.end_reason
            FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
                AS a (sender_key, generation, sequence, place)
            LEFT JOIN LATERAL (SELECT active AND generation = a.generation AS live FROM device_streams
                WHERE sender_key = a.sender_key LIMIT 1) AS d ON true
            LEFT JOIN LATERAL (SELECT done_at IS NULL AS open, ended, end_reason FROM messages
                WHERE sender_key = a.sender_key AND generation = a.generation AND direction = 'in'
                    AND sequence = a.sequence LIMIT 1) AS m ON true
            ORDER BY a.place
            """,
            [
                .texts(messages.map(\.sender.senderID.key)),
                .int64s(messages.map(\.sender.generation.number)), .int64s(messages.map(\.sequence)),
            ]
        ).map { row in
            guard try row.optionalBool("live") == true else { return .pairingEnded }
            guard let isOpen = try row.optionalBool("open") else { return .gone }
            if isOpen { return .open }
            guard try row.optionalText("ended") != nil else { return .over(nil) }
            return .over(
                MessageEnd(
                    try row.parsed("ended", MessageEnd.State.init(rawValue:)),
                    reason: try row.optionalText("end_reason") ?? ""))
        }
    }

    /// The answers to a device's message, claimed under the device's lock (I3).
    ///
    /// - Returns: in their order; `nil` where the pairing has ended.
    public func claimAnswers(to message: AwaitedMessage) async throws -> [StoredMessage]? {
        let sender = message.sender
        return try await pool.transaction { transaction in
            let (streams, answers) = try transaction.lockStreams(
                [sender.senderID], waiting: lockWait,
                then: [
                    (
                        """
                        SELECT sequence, agent, body, message_id, conversation FROM messages
                        WHERE sender_key || '/' || generation::text || '/' || reply_to::text = $1
                            AND direction = 'out' ORDER BY reply_part
                        """,
                        [.text("\(sender.senderID.key)/\(sender.generation.number)/\(message.sequence)")]
                    )
                ])
            guard let stream = streams[sender.senderID.key], stream.active,
                stream.generation == sender.generation
            else { return nil }
            return try answers[0].map {
                StoredMessage(
                    sequence: try $0.int64("sequence"), agent: try $0.optionalText("agent"),
                    body: try $0.text("body"), inReplyTo: try $0.optionalText("message_id"),
                    conversation: try $0.conversation())
            }
        }
    }

    /// The active pairings whose credential is a token of these hashes.
    ///
    /// - Parameter hashes: SHA-256 of the tokens.
    /// - Returns: for each hash the newest, if there is one.
    public func activeDevices(ofTokens hashes: [[UInt8]]) async throws -> [PairedDevice?] {
        let rows = try await pool.query(
            """
            SELECT a.place, \(Columns.device) FROM unnest($1::bytea[]) WITH ORDINALITY AS a (hash, place), LATERAL (
                SELECT * FROM paired_devices WHERE token_hash = a.hash AND state = 'active'
                ORDER BY paired_at DESC LIMIT 1) AS d
            """, [.bytesArray(hashes)])
        var devices: [PairedDevice?] = hashes.map { _ in nil }
        for row in rows { devices[try row.int("place") - 1] = try row.pairedDevice() }
        return devices
    }

    /// What is known of a token's past and present: the newest pairing and the newest request of it.
    ///
    /// - Parameter hash: SHA-256 of the token.
    public func history(ofToken hash: [UInt8]) async throws -> History {
        try await pool.transaction { transaction in
            let answers = try transaction.query([
                (
                    """
                    SELECT \(Columns.request), cooldown_cleared FROM pairing_requests
                    WHERE token_hash = $1 AND state <> 'approved' ORDER BY created_at DESC LIMIT 1
                    """, [.bytes(hash)]
                ),
                (
                    """
                    SELECT \(Columns.device) FROM paired_devices d
                    WHERE token_hash = $1 ORDER BY paired_at DESC LIMIT 1
                    """, [.bytes(hash)]
                ),
                ("SELECT clock_timestamp() AS now", []),
            ])
            return History(
                devices: try answers[1].map { try $0.pairedDevice() },
                requests: try answers[0].map { try $0.pairingRequest() },
                now: try answers[2].only().moment("now"),
                cooldownCleared: Set(
                    try answers[0].filter { try $0.bool("cooldown_cleared") }.map { try $0.requestID() }))
        }
    }

    /// A device without a session did something.
    public func noteSeen(
        _ devices: [(sender: PairedSender, address: ClientAddress)]
    ) async throws {
        if devices.isEmpty { return }
        try await pool.execute(
            """
            INSERT INTO device_sessions AS s (sender_key, epoch, generation, session_id, address, connected_at,
                last_seen_at)
            SELECT sender_key, 0, generation, gen_random_uuid(), address, clock_timestamp(), clock_timestamp()
            FROM unnest($1::text[], $2::bigint[], $3::text[]) AS a (sender_key, generation, address)
            ORDER BY sender_key
            ON CONFLICT (sender_key) DO UPDATE SET last_seen_at = excluded.last_seen_at,
                address = excluded.address
            WHERE s.instance_id IS NULL
            """,
            [
                .texts(devices.map(\.sender.senderID.key)),
                .int64s(devices.map(\.sender.generation.number)),
                .texts(devices.map(\.address.description)),
            ])
    }
}
