import PairingCore
import Postgres

extension PairingStore {
    /// Stores what came of the work on messages from devices: answers get their numbers, the messages are settled, and
    /// both are one commit. Answers are claimed for a session of the same gateway under the same lock (I3); another
    /// gateway that holds the device's session is woken, once a batch.
    ///
    /// Where more waits for a device by then than may, the oldest of it ends as `overflowed`.
    ///
    /// Only whoever has claimed a device's work may settle it. Devices that somebody has locked are left out.
    ///
    /// - Parameter settlements: those of one device in the order of their messages' numbers.
    /// - Returns: what came of each.
    public func settle(
        _ settlements: [Settlement], for claim: WorkClaim
    ) async throws -> [SettlementOutcome] {
        if settlements.isEmpty { return [] }
        let keys = Array(Set(settlements.map(\.sender.senderID.key)))
        return try await pool.transaction { transaction in
            var (streams, answers) = try transaction.lockFreeStreams(
                keys,
                then: [
                    Transaction.workSessions(keys),
                    (
                        """
                        SELECT a.place, m.bytes FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY
                            AS a (key, sequence, place), LATERAL (
                            SELECT (octet_length(body) + coalesce(octet_length(forwarded), 0))::bigint AS bytes
                            FROM messages
                            WHERE sender_key || '/' || generation::text || '/' || direction = a.key
                                AND sequence = a.sequence AND done_at IS NULL LIMIT 1) AS m
                        """,
                        [.texts(settlements.map(\.openKey)), .int64s(settlements.map(\.sequence))]
                    ),
                ])
            let sessions = try transaction.sessions(answers[0])
            let open = Dictionary(
                try answers[1].map { (try $0.int("place") - 1, try $0.int64("bytes")) },
                uniquingKeysWith: { first, _ in first })
            var batch = SettledBatch()
            var outcomes = settlements.enumerated().map { place, settlement -> SettlementOutcome in
                let key = settlement.sender.senderID.key
                guard var stream = streams[key] else { return .locked }
                guard stream.active, stream.generation == settlement.sender.generation,
                    stream.claimedBy == claim.instance
                else { return .lost }
                guard let bytes = open[place], batch.isFirst(settlement) else { return .over }
                stream.claim(for: claim.instance, lease: claim.lease)
                let messages = batch.add(settlement, &stream, bytes: bytes)
                streams[key] = stream
                return .stored(
                    StoredSettlement(messages: messages, epoch: nil, isElsewhere: false, open: 0))
            }
            var woken: [InstanceID: Set<String>] = [:]
            for (place, settlement) in settlements.enumerated() {
                let key = settlement.sender.senderID.key
                guard case .stored(var stored) = outcomes[place], let stream = streams[key] else { continue }
                stored.open = stream.unanswered
                if let session = sessions[key] {
                    if session.instance == claim.instance {
                        stored.epoch = session.epoch
                    } else {
                        stored.isElsewhere = session.isLive
                        if !stored.messages.isEmpty { woken[session.instance, default: []].insert(key) }
                    }
                }
                outcomes[place] = .stored(stored)
            }
            try transaction.write(batch)
            var overflowed = try transaction.endOverflow(&streams, of: batch.changed, limits)
            try transaction.write(streams, of: batch.changed)
            try transaction.noteWaiting(
                Set(batch.answers.map(\.settlement.sender.senderID.key)),
                connected: Set(sessions.filter(\.value.isLive).keys))
            try transaction.wake(.deliver, woken.mapValues(Array.init))
            return zip(settlements, outcomes).map { settlement, outcome in
                guard case .stored(var stored) = outcome else { return outcome }
                stored.overflowed = overflowed.removeValue(forKey: settlement.sender.senderID.key) ?? 0
                return .stored(stored)
            }
        }
    }
}

extension PairingStore.Settlement {
    /// The device's key in the index `messages_open`.
    fileprivate var openKey: String {
        PairingStore.MessageDirection.inbound.key(of: sender.senderID, sender.generation)
    }
}

extension [PairingStore.Settlement] {
    /// What names their messages.
    fileprivate var places: [PostgresValue] {
        [
            .texts(map(\.sender.senderID.key)), .int64s(map(\.sender.generation.number)),
            .int64s(map(\.sequence)),
        ]
    }
}

/// What is to be written of a batch of settlements.
private struct SettledBatch {
    /// An answer with its number.
    struct Answer {
        var settlement: PairingStore.Settlement
        /// Its place among the answers to its message.
        var part: Int
        var message: PairingStore.StoredMessage
    }

    var answers: [Answer] = []
    var ended: [PairingStore.Settlement] = []
    var failed: [PairingStore.Settlement] = []
    /// The devices whose rows change.
    var changed: Set<String> = []
    private var seen: [String: Set<Int64>] = [:]

    /// Whether the batch holds no other settlement of the same message before this one.
    mutating func isFirst(_ settlement: PairingStore.Settlement) -> Bool {
        seen[settlement.sender.senderID.key, default: []].insert(settlement.sequence).inserted
    }

    /// - Parameter bytes: those of the settled message.
    /// - Returns: the messages to the device that it makes.
    mutating func add(
        _ settlement: PairingStore.Settlement, _ stream: inout Stream, bytes: Int64
    ) -> [PairingStore.StoredMessage] {
        changed.insert(settlement.sender.senderID.key)
        var settlement = settlement
        if case .answered(let replies) = settlement.result, stream.holdsSwitchedOff(replies) {
            settlement.result = .undeliverable(reason: "command_switched_off")
        }
        switch settlement.result {
        case .failed:
            failed.append(settlement)
            return []
        case .undeliverable:
            ended.append(settlement)
            stream.answered(bytes: bytes)
            return []
        case .answered(let replies):
            ended.append(settlement)
            stream.answered(bytes: bytes)
            return replies.enumerated().map { part, reply in
                let message = PairingStore.StoredMessage(
                    sequence: stream.nextOut, agent: reply.agent, body: reply.body,
                    inReplyTo: settlement.messageID, conversation: settlement.conversation)
                answers.append(Answer(settlement: settlement, part: part, message: message))
                stream.nextOut += 1
                stream.unacknowledgedBytes += Int64(reply.body.utf8.count)
                return message
            }
        }
    }
}

extension Transaction {
    fileprivate func write(_ batch: SettledBatch) throws {
        if !batch.answers.isEmpty {
            try enqueue(
                """
                INSERT INTO messages (sender_key, generation, direction, sequence, reply_to, reply_part, agent, body,
                    message_id, created_at, expires_at, conversation)
                SELECT sender_key, generation, 'out', sequence, reply_to, reply_part, agent, body, message_id,
                    clock_timestamp(), clock_timestamp() + lifetime * interval '1 millisecond', conversation
                FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
                    $8::text[], $9::bigint[], $10::text[])
                    AS a (sender_key, generation, reply_to, sequence, reply_part, agent, body, message_id, lifetime,
                        conversation)
                """,
                batch.answers.map(\.settlement).places + [
                    .int64s(batch.answers.map(\.message.sequence)),
                    .int64s(batch.answers.map { Int64($0.part) }),
                    .texts(batch.answers.map { $0.message.agent ?? "" }),
                    .texts(batch.answers.map(\.message.body)),
                    .texts(batch.answers.map(\.settlement.messageID)),
                    .int64s(batch.answers.map { $0.settlement.lifetime?.milliseconds }),
                    .texts(batch.answers.map(\.settlement.conversation.text)),
                ])
        }
        // By their place in the table, which nobody else changes while the device is locked.
        if !batch.ended.isEmpty {
            try enqueue(
                """
                UPDATE messages AS t SET done_at = clock_timestamp() WHERE ctid = ANY(ARRAY(
                    SELECT m.place FROM unnest($1::text[], $2::bigint[], $3::bigint[])
                        AS a (sender_key, generation, sequence), LATERAL (
                        SELECT ctid AS place FROM messages
                        WHERE sender_key = a.sender_key AND generation = a.generation AND direction = 'in'
                            AND sequence = a.sequence LIMIT 1) AS m))
                """, batch.ended.places)
        }
        for settlement in batch.ended {
            guard case .undeliverable(let reason) = settlement.result else { continue }
            try enqueue(
                """
                UPDATE messages SET ended = 'undeliverable', end_reason = $4
                WHERE sender_key = $1 AND generation = $2 AND direction = 'in' AND sequence = $3
                """,
                [
                    .text(settlement.sender.senderID.key), .int64(settlement.sender.generation.number),
                    .int64(settlement.sequence), .text(reason),
                ])
        }
        for settlement in batch.failed {
            guard case .failed(let attempts, let delay) = settlement.result else { continue }
            try enqueue(
                """
                UPDATE messages SET attempts = $4,
                    next_try_at = clock_timestamp() + $5 * interval '1 millisecond'
                WHERE sender_key = $1 AND generation = $2 AND direction = 'in' AND sequence = $3
                """,
                [
                    .text(settlement.sender.senderID.key), .int64(settlement.sender.generation.number),
                    .int64(settlement.sequence), .int(attempts), .int64(delay.milliseconds),
                ])
        }
    }
}
