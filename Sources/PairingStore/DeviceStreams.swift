import PairingCore
import Postgres

/// A row of `device_streams`, held until the transaction ends.
struct Stream {
    var generation: Generation
    var active: Bool
    /// The newest session's, where it was asked for.
    var epoch: Epoch?
    var nextIn: Int64
    var nextOut: Int64
    var acknowledgedOut: Int64
    /// How many messages from the device wait for an answer, and their bytes.
    var unanswered: Int64
    var unansweredBytes: Int64
    /// The bytes of the messages to the device that it has not acknowledged.
    var unacknowledgedBytes: Int64

    /// Whether messages of either direction wait.
    var hasOpenMessages: Bool { unanswered > 0 || acknowledgedOut < nextOut - 1 }

    /// Why the session may act no more; `nil` while it may.
    func refusal(of session: PairingStore.LiveSession) -> Refusal? {
        guard active, generation == session.generation else { return .pairingEnded }
        return epoch == session.epoch ? nil : .sessionEnded
    }

    /// Why a message may not be accepted on top of what waits; `nil` where it may.
    func refusal(of message: PairingStore.InboundMessage) -> Refusal? {
        guard nextOut - 1 - acknowledgedOut < PairingStore.maximumUnacknowledged else {
            return .unacknowledged
        }
        guard unacknowledgedBytes < PairingStore.maximumUnacknowledgedBytes else {
            return .unacknowledgedBytes
        }
        if message.forwarded.isEmpty { return nil }
        guard unanswered < PairingStore.maximumUnanswered else { return .unanswered }
        // One message always fits.
        let bytes = unanswered == 0 ? 0 : unansweredBytes + message.storedBytes
        return bytes <= PairingStore.maximumUnansweredBytes ? nil : .unansweredBytes
    }

    /// A message of the device has an answer.
    mutating func answered(bytes: Int64) {
        // Never below nothing, should a program of an older version have stored messages without counting them.
        unanswered = max(0, unanswered - 1)
        unansweredBytes = max(0, unansweredBytes - bytes)
    }

    /// Messages to the device are settled.
    mutating func settled(bytes: Int64) { unacknowledgedBytes = max(0, unacknowledgedBytes - bytes) }
}

extension Refusal {
    fileprivate static let unacknowledged = Refusal(
        .resourceExhausted, "unacknowledged",
        "\(PairingStore.maximumUnacknowledged) messages wait for this device's message.ack. Acknowledge them before "
            + "sending more.", retryable: true, retryAfter: .seconds(1))

    fileprivate static let unacknowledgedBytes = Refusal(
        .resourceExhausted, "unacknowledged_bytes",
        "Messages of \(PairingStore.maximumUnacknowledgedBytes >> 20) MiB wait for this device's message.ack. "
            + "Acknowledge them before sending more.", retryable: true, retryAfter: .seconds(1))

    fileprivate static let unanswered = Refusal(
        .resourceExhausted, "unanswered",
        "\(PairingStore.maximumUnanswered) messages of this device wait for an answer. Wait before sending more.",
        retryable: true, retryAfter: .seconds(5))

    fileprivate static let unansweredBytes = Refusal(
        .resourceExhausted, "unanswered_bytes",
        "With this one, messages of more than \(PairingStore.maximumUnansweredBytes >> 20) MiB would wait for an "
            + "answer. Wait before sending more.", retryable: true, retryAfter: .seconds(5))
}

extension PairingStore {
    /// Which of the devices somebody else has locked at this moment. Waits for nobody.
    public func lockedDevices(among keys: [String]) async throws -> Set<String> {
        try await pool.transaction { transaction in
            let answers = try transaction.query([
                ("SELECT sender_key FROM device_streams WHERE sender_key = ANY($1)", [.texts(keys)]),
                (
                    "SELECT sender_key FROM device_streams WHERE sender_key = ANY($1) FOR UPDATE SKIP LOCKED",
                    [.texts(keys)]
                ),
            ])
            let free = Set(try answers[1].map { try $0.text("sender_key") })
            return Set(try answers[0].map { try $0.text("sender_key") }).subtracting(free)
        }
    }
}

extension Transaction {
    /// Locks the devices' rows in the order of their keys, so that batches cannot deadlock.
    func lockStreams(_ senderIDs: [SenderID], waiting limit: Duration? = nil) throws -> [String: Stream] {
        try lockStreams(senderIDs, waiting: limit, then: []).streams
    }

    /// As ``lockStreams(_:waiting:)``, with statements that run under the locks, in the same round trip.
    ///
    /// - Returns: the rows by key, and the statements' answers.
    func lockStreams(
        _ senderIDs: [SenderID], waiting limit: Duration?,
        then statements: [(sql: String, parameters: [PostgresValue])]
    ) throws -> (streams: [String: Stream], answers: [PostgresRows]) {
        try limitLockWait(limit)
        let answers = try query([(Self.lockStreams, [.texts(senderIDs.map(\.key))])] + statements)
        return (try streams(answers[0]), Array(answers.dropFirst()))
    }

    /// Locks the devices' rows, with the epochs of their newest sessions: a newer one can't begin meanwhile.
    ///
    /// - Parameters:
    ///   - limit: how long each lock is waited for; `nil` for the connection's own limit.
    ///   - questions: what is read under the locks, in the same round trip.
    /// - Returns: the rows by key, and the answers to the questions.
    func lockStreams(
        of sessions: [PairingStore.LiveSession], waiting limit: Duration? = nil,
        then questions: [(sql: String, parameters: [PostgresValue])] = []
    ) throws -> (streams: [String: Stream], answers: [PostgresRows]) {
        try limitLockWait(limit)
        let keys = PostgresValue.texts(sessions.map(\.senderID.key))
        // All in statements of their own: one that waited for the locks would still see what was at its start.
        let answers = try query(
            [
                (Self.lockStreams, [keys]),
                ("SELECT sender_key, epoch FROM device_sessions WHERE sender_key = ANY($1)", [keys]),
            ] + questions)
        var streams = try streams(answers[0])
        for row in answers[1] { streams[try row.text("sender_key")]?.epoch = Epoch(try row.int64("epoch")) }
        return (streams, Array(answers.dropFirst(2)))
    }

    private static let lockStreams = """
        SELECT sender_key, generation, active, next_in, next_out, acknowledged_out, unanswered, unanswered_bytes,
            unacknowledged_bytes
        FROM device_streams WHERE sender_key = ANY($1) ORDER BY sender_key FOR UPDATE
        """

    private func limitLockWait(_ limit: Duration?) throws {
        guard let limit else { return }
        let (seconds, attoseconds) = limit.components
        try enqueue(
            "SELECT set_config('lock_timeout', $1, true)",
            [.text("\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms")])
    }

    private func streams(_ rows: PostgresRows) throws -> [String: Stream] {
        Dictionary(
            try rows.map {
                (
                    try $0.text("sender_key"),
                    Stream(
                        generation: Generation(try $0.int64("generation")), active: try $0.bool("active"),
                        nextIn: try $0.int64("next_in"), nextOut: try $0.int64("next_out"),
                        acknowledgedOut: try $0.int64("acknowledged_out"),
                        unanswered: try $0.int64("unanswered"),
                        unansweredBytes: try $0.int64("unanswered_bytes"),
                        unacknowledgedBytes: try $0.int64("unacknowledged_bytes"))
                )
            }, uniquingKeysWith: { first, _ in first })
    }

    /// Writes what has changed of rows that this transaction has locked.
    ///
    /// As an insertion that always conflicts: that finds the rows by the key's index without a plan that could be
    /// another one.
    func write(_ streams: [String: Stream], of keys: Set<String>) throws {
        let rows = keys.compactMap { key in streams[key].map { (key: key, stream: $0) } }
        if rows.isEmpty { return }
        try enqueue(
            """
            INSERT INTO device_streams (sender_key, generation, active, next_in, next_out, acknowledged_out, unanswered,
                unanswered_bytes, unacknowledged_bytes)
            SELECT sender_key, generation, true, next_in, next_out, acknowledged_out, unanswered, unanswered_bytes,
                unacknowledged_bytes
            FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                $7::bigint[], $8::bigint[])
                AS a (sender_key, generation, next_in, next_out, acknowledged_out, unanswered, unanswered_bytes,
                unacknowledged_bytes)
            ON CONFLICT (sender_key) DO UPDATE SET next_in = excluded.next_in, next_out = excluded.next_out,
                acknowledged_out = excluded.acknowledged_out, unanswered = excluded.unanswered,
                unanswered_bytes = excluded.unanswered_bytes,
                unacknowledged_bytes = excluded.unacknowledged_bytes
            """,
            [
                .texts(rows.map(\.key)), .int64s(rows.map(\.stream.generation.number)),
                .int64s(rows.map(\.stream.nextIn)), .int64s(rows.map(\.stream.nextOut)),
                .int64s(rows.map(\.stream.acknowledgedOut)), .int64s(rows.map(\.stream.unanswered)),
                .int64s(rows.map(\.stream.unansweredBytes)), .int64s(rows.map(\.stream.unacknowledgedBytes)),
            ])
    }
}
