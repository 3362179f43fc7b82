import PairingCore
import Postgres

extension PairingStore {
    /// Stores messages for devices. One that is stored already, by its push ID, is not stored again. Gateways that hold
    /// the devices' sessions are woken, once a batch.
    ///
    /// - Parameters:
    ///   - instance: the gateway that asks, which needs no waking; `nil` where none does.
    ///   - lifetimes: how long messages to devices of these channels are wanted, where the push does not say.
    /// - Returns: for each what came of it: refused where no device is paired under that sender ID, or where too much
    ///   waits for it.
    public func push(
        _ pushes: [Push], by instance: InstanceID?, lifetimes: [ChannelID: Duration] = [:]
    ) async throws -> [Outcome<StoredPush>] {
        if pushes.isEmpty { return [] }
        let keys = pushes.map(\.senderID.key)
        return try await pool.transaction { transaction in
            var (streams, answers) = try transaction.lockStreams(
                pushes.map(\.senderID), waiting: lockWait,
                then: [
                    Transaction.workSessions(Array(Set(keys))),
                    (
                        """
                        SELECT a.place, m.* FROM unnest($1::text[], $2::text[]) WITH ORDINALITY
                            AS a (key, push_id, place), LATERAL (SELECT generation FROM device_streams
                                WHERE sender_key = a.key LIMIT 1) AS d, LATERAL (
                            SELECT sequence, done_at IS NULL AS open, ended, end_reason, read_at FROM messages
                            WHERE sender_key || '/' || generation::text || '/' || push_id
                                = a.key || '/' || d.generation::text || '/' || a.push_id
                                AND push_id IS NOT NULL LIMIT 1) AS m
                        """, [.texts(keys), .texts(pushes.map(\.pushID))]
                    ),
                ])
            let sessions = try transaction.sessions(answers[0])
            let known = Dictionary(
                try answers[1].map { (try $0.int("place") - 1, try $0.pushReport()) },
                uniquingKeysWith: { first, _ in first })
            var new: [NewPush] = []
            var woken: [InstanceID: Set<String>] = [:]
            var numbers: [String: Int64] = [:]
            let outcomes = pushes.enumerated().map { place, push -> Outcome<StoredPush> in
                let key = push.senderID.key
                guard var stream = streams[key], stream.active else { return .refused(.noSuchDevice) }
                let sender = PairedSender(senderID: push.senderID, generation: stream.generation)
                let name = "\(key)/\(push.pushID)"
                let repeated =
                    known[place] ?? numbers[name].map { MessageReport(sequence: $0, status: .accepted) }
                if let repeated { return .done(StoredPush(report: repeated, sender: sender)) }
                if let command = push.command, stream.isSwitchedOff(command) {
                    return .refused(.switchedOff(command))
                }
                if let refusal = stream.refusal(ofPushing: push.body.utf8.count, limits) {
                    return .refused(refusal)
                }
                let message = StoredMessage(sequence: stream.nextOut, agent: push.agent, body: push.body)
                stream.nextOut += 1
                stream.unacknowledgedBytes += Int64(push.body.utf8.count)
                streams[key] = stream
                numbers[name] = message.sequence
                new.append(NewPush(push: push, generation: stream.generation, sequence: message.sequence))
                var stored = StoredPush(
                    report: MessageReport(sequence: message.sequence, status: .accepted), sender: sender)
                if let session = sessions[key] {
                    if session.instance == instance {
                        stored.message = message
                        stored.epoch = session.epoch
                    } else if session.isLive {
                        woken[session.instance, default: []].insert(key)
                    }
                }
                return .done(stored)
            }
            try transaction.insert(new, lifetimes)
            let receivers = Set(new.map(\.push.senderID.key))
            try transaction.write(streams, of: receivers)
            try transaction.noteWaiting(
                receivers, connected: Set(sessions.filter(\.value.isLive).keys))
            try transaction.wake(.deliver, woken.mapValues(Array.init))
            return outcomes
        }
    }

    /// What became of a push.
    ///
    /// - Returns: `nil` where there is none of that ID, or no longer.
    public func pushReport(of senderID: SenderID, pushID: String) async throws -> MessageReport? {
        try await pool.query(
            """
            SELECT m.* FROM (SELECT generation FROM device_streams WHERE sender_key = $1 LIMIT 1) AS d, LATERAL (
                SELECT sequence, done_at IS NULL AS open, ended, end_reason, read_at FROM messages
                WHERE sender_key || '/' || generation::text || '/' || push_id
                    = $1 || '/' || d.generation::text || '/' || $2 AND push_id IS NOT NULL LIMIT 1) AS m
            """, [.text(senderID.key), .text(pushID)]
        ).first?.pushReport()
    }

    /// What became of a device's message.
    ///
    /// - Returns: `nil` where the device sent none of that ID under this pairing, or it is no longer kept.
    public func messageReport(of message: MessageKey) async throws -> MessageReport? {
        guard
            let row = try await pool.query(
                """
                SELECT m.sequence, m.open, m.ended, m.end_reason,
                    r.unread IS TRUE AS unread, r.ended AS reply_ended,
                    r.end_reason AS reply_end_reason,
                    m.open AND (SELECT claimed_until > clock_timestamp() FROM device_streams
                        WHERE sender_key = $4 LIMIT 1) IS TRUE
                        AND m.sequence = (SELECT sequence FROM messages
                            WHERE sender_key || '/' || generation::text || '/' || direction = $3 AND done_at IS NULL
                            ORDER BY sequence LIMIT 1) AS working
                FROM (SELECT sequence, done_at IS NULL AS open, ended, end_reason FROM messages
                    WHERE sender_key || '/' || generation::text || '/' || message_id = $1 AND direction = 'in'
                    LIMIT 1) AS m, LATERAL (
                    -- By the index of replies, the one that fits: the index of open messages holds everybody's.
                    SELECT bool_or(done_at IS NULL) AS unread, min(ended) AS ended, min(end_reason) AS end_reason
                    FROM (SELECT done_at, ended, end_reason FROM messages
                        WHERE sender_key || '/' || generation::text || '/' || reply_to::text = $2 || m.sequence::text
                            AND direction = 'out' OFFSET 0) AS replies) AS r
                """,
                [
                    .text(message.indexKey),
                    .text("\(message.session.senderID.key)/\(message.session.generation.number)/"),
                    .text(
                        MessageDirection.inbound.key(of: message.session.senderID, message.session.generation)
                    ),
                    .text(message.session.senderID.key),
                ]
            ).first
        else { return nil }
        let status: MessageStatus =
            if let end = try row.end() {
                end
            } else if try row.bool("open") {
                try row.bool("working") ? .working : .accepted
            } else if let end = try row.optionalText("reply_ended").flatMap(MessageStatus.init(rawValue:)) {
                end
            } else {
                try row.bool("unread") ? .answered : .delivered
            }
        return MessageReport(
            sequence: try row.int64("sequence"), status: status,
            reason: try row.optionalText("end_reason") ?? row.optionalText("reply_end_reason"))
    }

    /// A device gives a message up: it is answered no more. Another gateway that works on it is told.
    ///
    /// - Returns: what became of the message; `nil` where there is none of that ID. Refused where the session is over.
    public func abort(
        _ message: MessageKey, by instance: InstanceID
    ) async throws -> Outcome<AbortedMessage?> {
        let key = message.session.senderID.key
        let before = try await messageReport(of: message)
        guard let before, before.status == .accepted || before.status == .working else {
            return .done(before.map { AbortedMessage(report: $0, isNew: false) })
        }
        let isNew = try await pool.transaction { transaction -> Outcome<Bool> in
            var streams = try transaction.lockStreams(of: [message.session]).streams
            guard var stream = streams[key] else { return .refused(.pairingEnded) }
            if let refusal = stream.refusal(of: message.session) { return .refused(refusal) }
            let row = try transaction.query(
                """
                UPDATE messages SET done_at = clock_timestamp(), ended = 'withdrawn', end_reason = 'aborted'
                WHERE sender_key || '/' || generation::text || '/' || direction = $1 AND sequence = $2
                    AND done_at IS NULL
                RETURNING (octet_length(body) + coalesce(octet_length(forwarded), 0))::bigint AS bytes
                """,
                [
                    .text(
                        MessageDirection.inbound.key(of: message.session.senderID, message.session.generation)
                    ),
                    .int64(before.sequence),
                ]
            ).first
            guard let row else { return .done(false) }
            stream.answered(bytes: try row.int64("bytes"))
            streams[key] = stream
            try transaction.write(streams, of: [key])
            if let worker = stream.claimedBy, worker != instance, (stream.claimLeft ?? .zero) > .zero {
                try transaction.wake(.abort, [worker: ["\(key)=\(before.sequence)"]])
            }
            return .done(true)
        }
        switch isNew {
        case .refused(let refusal): return .refused(refusal)
        case .done(let isNew):
            let report =
                isNew
                ? MessageReport(sequence: before.sequence, status: .withdrawn, reason: "aborted")
                : try await messageReport(of: message) ?? before
            return .done(AbortedMessage(report: report, isNew: isNew))
        }
    }

    /// Ends messages to devices whose time is over, a few at a time; devices that somebody has locked come later.
    ///
    /// - Returns: how many ended.
    public func expireDueMessages(limit: Int = 200) async throws -> Int {
        let due = try await pool.query(
            """
            SELECT sender_key FROM messages WHERE expires_at <= now() AND done_at IS NULL
            ORDER BY expires_at LIMIT $1
            """, [.int(limit)]
        ).map { try $0.text("sender_key") }
        if due.isEmpty { return 0 }
        let keys = Array(Set(due))
        return try await pool.transaction { transaction in
            var streams = try transaction.lockFreeStreams(keys, then: []).streams
            let places = streams.map { (key: $0.key, index: "\($0.key)/\($0.value.generation.number)/out") }
            let ended = try transaction.query(
                """
                UPDATE messages SET done_at = clock_timestamp(), ended = 'expired', end_reason = 'expired'
                WHERE ctid = ANY(ARRAY(SELECT m.place FROM unnest($1::text[]) AS a (key), LATERAL (
                    SELECT ctid AS place, expires_at FROM messages
                    WHERE sender_key || '/' || generation::text || '/' || direction = a.key AND done_at IS NULL
                    OFFSET 0) AS m WHERE m.expires_at <= clock_timestamp()))
                RETURNING sender_key, octet_length(body)::bigint AS bytes
                """, [.texts(places.map(\.index))])
            for row in ended { streams[try row.text("sender_key")]?.settled(bytes: try row.int64("bytes")) }
            let question = Transaction.firstOpen(places)
            let firstOpen = try transaction.firstOpen(transaction.query(question.sql, question.parameters))
            for (key, stream) in streams {
                streams[key]?.acknowledgedOut = max(
                    stream.acknowledgedOut, (firstOpen[key] ?? stream.nextOut) - 1)
            }
            try transaction.write(streams, of: Set(streams.keys))
            return ended.count
        }
    }
}

extension Refusal {
    /// Nobody is paired under the sender ID.
    public static let noSuchDevice = Refusal(.unknownDevice)
}

extension Refusal {
    /// An administrator switched the command off.
    public static func switchedOff(_ command: String) -> Refusal {
        Refusal(
            .commandSwitchedOff,
            "An administrator switched this device's command “\(cleanDeviceText(command, maximumScalars: 64))” off; "
                + "it was not sent. Ask one to switch it on, on the device's page.",
            details: ["command": .string(cleanDeviceText(command, maximumScalars: 64))])
    }
}

/// A push with the number it got.
private struct NewPush {
    var push: PairingStore.Push
    var generation: Generation
    var sequence: Int64
}

extension Transaction {
    fileprivate func insert(_ pushes: [NewPush], _ lifetimes: [ChannelID: Duration]) throws {
        if pushes.isEmpty { return }
        try enqueue(
            """
            INSERT INTO messages (sender_key, generation, direction, sequence, agent, body, push_id, pushed_by,
                created_at, expires_at)
            SELECT sender_key, generation, 'out', sequence, agent, body, push_id, pushed_by, clock_timestamp(),
                clock_timestamp() + coalesce(lifetime, (SELECT l.lifetime FROM paired_devices AS d
                    JOIN unnest($9::text[], $10::bigint[]) AS l (channel, lifetime) USING (channel)
                    WHERE d.sender_key = a.sender_key AND d.generation = a.generation)) * interval '1 millisecond'
            FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::bigint[])
                AS a (sender_key, generation, sequence, agent, body, push_id, pushed_by, lifetime)
            """,
            [
                .texts(pushes.map(\.push.senderID.key)), .int64s(pushes.map(\.generation.number)),
                .int64s(pushes.map(\.sequence)), .texts(pushes.map(\.push.agent)),
                .texts(pushes.map(\.push.body)), .texts(pushes.map(\.push.pushID)),
                .texts(pushes.map(\.push.actor.name)),
                .int64s(pushes.map { $0.push.lifetime?.milliseconds }),
                .texts(lifetimes.keys.map(\.text)), .int64s(lifetimes.values.map(\.milliseconds)),
            ])
    }
}

extension PostgresRow {
    /// How the message ended, where that is recorded.
    fileprivate func end() throws -> MessageStatus? {
        try optionalText("ended") == nil ? nil : try parsed("ended", MessageStatus.init(rawValue:))
    }

    fileprivate func pushReport() throws -> MessageReport {
        MessageReport(
            sequence: try int64("sequence"),
            status: try end() ?? (try bool("open") ? .accepted : .delivered),
            reason: try optionalText("end_reason"), readAt: try optionalMoment("read_at"))
    }
}
