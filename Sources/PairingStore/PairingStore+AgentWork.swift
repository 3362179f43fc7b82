import PairingCore
import Postgres

extension PairingStore {
    /// How many messages of a device are read at once for agents, and how many bytes of them after the first.
    static let workPage = (messages: 32, bytes: 1 << 20)

    /// Claims devices' work, and reads the first of the messages that wait.
    ///
    /// - Parameters:
    ///   - senders: no two of one sender ID, with the number after which to read.
    /// - Returns: what came of each, by key.
    public func claimWork(
        of senders: [(senderID: SenderID, after: Int64)], for claim: WorkClaim
    ) async throws -> [String: ClaimOutcome] {
        if senders.isEmpty { return [:] }
        let after = Dictionary(
            senders.map { ($0.senderID.key, $0.after) }, uniquingKeysWith: { first, _ in first })
        return try await pool.transaction { transaction in
            var (streams, answers) = try transaction.lockFreeStreams(
                Array(after.keys),
                then: [
                    (
                        "SELECT sender_key FROM device_streams WHERE sender_key = ANY($1)",
                        [.texts(Array(after.keys))]
                    )
                ])
            let known = Set(try answers[0].map { try $0.text("sender_key") })
            var outcomes: [String: ClaimOutcome] = [:]
            var claimed: [String] = []
            for key in after.keys {
                guard let stream = streams[key] else {
                    outcomes[key] = known.contains(key) ? .locked : .nothing
                    continue
                }
                if !stream.active || stream.unanswered == 0 {
                    outcomes[key] = .nothing
                } else if !stream.isFree(for: claim.instance) {
                    outcomes[key] = .taken
                } else {
                    streams[key]?.claim(for: claim.instance, lease: claim.lease)
                    claimed.append(key)
                }
            }
            try transaction.write(streams, of: Set(claimed))
            outcomes.merge(
                try transaction.work(of: claimed.map { ($0, after[$0] ?? 0) }, streams)
                    .mapValues { .claimed($0) }
            ) { $1 }
            return outcomes
        }
    }

    /// Claims work that nobody does: of gateways that died, of devices without a session, and what others gave back.
    ///
    /// Work that is free for less than `preference` is left to the gateway that holds the device's socket.
    ///
    /// - Parameter limit: devices at most.
    public func claimDueWork(
        limit: Int, for claim: WorkClaim, preference: Duration = .milliseconds(2500)
    ) async throws -> [ClaimedWork] {
        try await pool.transaction { transaction in
            var streams = try transaction.streams(
                transaction.query(
                    """
                    SELECT \(Transaction.streamColumns) FROM device_streams
                    WHERE claimed_until <= now() ORDER BY claimed_until LIMIT $1 FOR UPDATE SKIP LOCKED
                    """, [.int(limit)]))
            if streams.isEmpty { return [] }
            let idle = streams.filter { !$0.value.active || $0.value.unanswered == 0 }.map(\.key)
            let due = Array(streams.keys).filter { !idle.contains($0) }
            let sessions = try transaction.workSessions(of: due)
            let claimed = due.filter { key in
                guard let session = sessions[key], session.isLive, session.instance != claim.instance else {
                    return true
                }
                return (streams[key]?.claimLeft ?? .zero) <= .zero - preference
            }
            if !idle.isEmpty {
                try transaction.enqueue(
                    "UPDATE device_streams SET claimed_by = NULL, claimed_until = NULL WHERE sender_key = ANY($1)",
                    [.texts(idle)])
            }
            for key in claimed { streams[key]?.claim(for: claim.instance, lease: claim.lease) }
            try transaction.write(streams, of: Set(claimed))
            return Array(try transaction.work(of: claimed.map { ($0, 0) }, streams).values)
        }
    }

    /// Renews claims.
    ///
    /// - Returns: the keys of those devices on whose messages the gateway still works.
    public func renewWork(of keys: [String], for claim: WorkClaim) async throws -> Set<String> {
        if keys.isEmpty { return [] }
        return try await pool.transaction { transaction in
            var (streams, answers) = try transaction.lockFreeStreams(
                keys,
                then: [("SELECT sender_key FROM device_streams WHERE sender_key = ANY($1)", [.texts(keys)])])
            let held = Set(
                streams.filter { $0.value.active && $0.value.claimedBy == claim.instance }.map(\.key))
            for key in held { streams[key]?.claim(for: claim.instance, lease: claim.lease) }
            try transaction.write(streams, of: held)
            // Of those that are locked nothing is known.
            let known = Set(try answers[0].map { try $0.text("sender_key") })
            return held.union(known.subtracting(streams.keys))
        }
    }

    /// Gives claims back, and wakes the gateways that hold the devices' sessions.
    ///
    /// - Returns: those that somebody has locked at this moment, whose claims stay.
    @discardableResult
    public func releaseWork(of keys: [String], by instance: InstanceID) async throws -> [String] {
        if keys.isEmpty { return [] }
        return try await pool.transaction { transaction in
            var streams = try transaction.lockFreeStreams(keys, then: []).streams
            let held = streams.filter { $0.value.claimedBy == instance }.map(\.key)
            for key in held { streams[key]?.offer() }
            try transaction.write(streams, of: Set(held))
            let sessions = try transaction.workSessions(of: held)
            var woken: [InstanceID: [String]] = [:]
            for (key, session) in sessions where session.isLive && session.instance != instance {
                woken[session.instance, default: []].append(key)
            }
            try transaction.wake(.work, woken)
            return keys.filter { streams[$0] == nil }
        }
    }
}

/// Where a device's session is.
struct WorkSession {
    var epoch: Epoch
    var instance: InstanceID
    /// Whether that gateway runs.
    var isLive: Bool
}

extension Transaction {
    /// Where the devices' sessions are.
    static func workSessions(_ keys: [String]) -> (sql: String, parameters: [PostgresValue]) {
        (
            """
            SELECT s.sender_key, s.epoch, s.instance_id::text AS instance_id,
                coalesce((SELECT lease_until > clock_timestamp() FROM instances
                    WHERE instance_id = s.instance_id LIMIT 1), false) AS live
            FROM device_sessions AS s WHERE s.sender_key = ANY($1)
            """, [.texts(keys)]
        )
    }

    func workSessions(of keys: [String]) throws -> [String: WorkSession] {
        if keys.isEmpty { return [:] }
        let question = Self.workSessions(keys)
        return try sessions(query(question.sql, question.parameters))
    }

    func sessions(_ rows: PostgresRows) throws -> [String: WorkSession] {
        Dictionary(
            try rows.compactMap { row in
                // A session that has ended is on none.
                guard let instance = try row.optionalText("instance_id").flatMap({ InstanceID($0) }) else {
                    return nil
                }
                return (
                    try row.text("sender_key"),
                    WorkSession(
                        epoch: Epoch(try row.int64("epoch")), instance: instance,
                        isLive: try row.bool("live"))
                )
            }, uniquingKeysWith: { first, _ in first })
    }

    /// Tells gateways of devices; a payload stays under PostgreSQL's 8,000 bytes.
    func wake(_ wake: PairingStore.Wake, _ devices: [InstanceID: [String]]) throws {
        for (instance, keys) in devices {
            var rest = keys[...]
            while !rest.isEmpty {
                let payload = ([instance.text, wake.rawValue] + rest.prefix(40)).joined(separator: " ")
                try enqueue("SELECT pg_notify($1, $2)", [.text(PairingStore.wakesChannel), .text(payload)])
                rest = rest.dropFirst(40)
            }
        }
    }

    /// The first messages of each device that wait for an answer.
    fileprivate func work(
        of devices: [(key: String, after: Int64)], _ streams: [String: Stream]
    ) throws -> [String: PairingStore.ClaimedWork] {
        if devices.isEmpty { return [:] }
        let keys = devices.map(\.key)
        let limit = PairingStore.workPage.messages
        let answers = try query([
            (
                """
                SELECT a.key, d.sender_id, d.channel
                FROM unnest($1::text[], $2::bigint[]) AS a (key, generation), LATERAL (
                    SELECT sender_id, channel FROM paired_devices
                    WHERE sender_key = a.key AND generation = a.generation LIMIT 1) AS d
                """,
                [.texts(keys), .int64s(keys.map { streams[$0]?.generation.number ?? 0 })]
            ),
            (
                """
                SELECT a.key, m.* FROM unnest($1::text[], $2::text[], $3::bigint[]) AS a (key, open, after), LATERAL (
                    SELECT sequence, message_id, body, forwarded, agent, attempts, conversation,
                        greatest(0, extract(epoch FROM next_try_at - clock_timestamp()) * 1000)::bigint AS delay,
                        sum(octet_length(body) + coalesce(octet_length(forwarded), 0)) OVER (ORDER BY sequence)
                            - octet_length(body) - coalesce(octet_length(forwarded), 0) AS before
                    FROM (SELECT sequence, message_id, body, forwarded, agent, attempts, next_try_at, conversation
                        FROM messages
                        WHERE sender_key || '/' || generation::text || '/' || direction = a.open
                            AND sequence > a.after AND done_at IS NULL
                        ORDER BY sequence LIMIT $4) AS page) AS m
                WHERE m.before < $5 ORDER BY m.sequence
                """,
                [
                    .texts(keys),
                    .texts(keys.map { "\($0)/\(streams[$0]?.generation.number ?? 0)/in" }),
                    .int64s(devices.map(\.after)), .int(limit), .int(PairingStore.workPage.bytes),
                ]
            ),
        ])
        var work: [String: PairingStore.ClaimedWork] = [:]
        for row in answers[0] {
            let key = try row.text("key")
            guard let stream = streams[key] else { continue }
            work[key] = PairingStore.ClaimedWork(
                sender: PairingStore.PairedSender(
                    senderID: try row.senderID(), generation: stream.generation),
                channel: try row.channel(), messages: [], isWhole: true, newest: stream.nextIn - 1)
        }
        for row in answers[1] {
            work[try row.text("key")]?.messages.append(
                PairingStore.OpenWork(
                    sequence: try row.int64("sequence"), messageID: try row.text("message_id"),
                    parts: try row.forwarded(to: row.optionalText("agent")),
                    attempts: try row.int("attempts"),
                    delay: .milliseconds(try row.optionalInt64("delay") ?? 0),
                    conversation: try row.conversation()))
        }
        for device in devices {
            guard let messages = work[device.key]?.messages else { continue }
            // Behind the first page bytes may have ended it as well: it is whole only once another finds nothing.
            work[device.key]?.isWhole =
                device.after == 0
                ? Int64(messages.count) >= streams[device.key]?.unanswered ?? 0 : messages.isEmpty
        }
        return work
    }
}
