import PairingCore
import Postgres

extension PairingStore {
    /// Messages to a device that wait for its acknowledgement before no more are accepted from it.
    public static let maximumUnacknowledged: Int64 = 1000
    /// The bytes of these, before no more are accepted from the device.
    public static let maximumUnacknowledgedBytes: Int64 = 8 << 20
    /// Messages from a device that wait for an answer before no more are accepted from it.
    public static let maximumUnanswered: Int64 = 1000
    /// The bytes of these, with what their channel made of them, that are not exceeded by a further one.
    public static let maximumUnansweredBytes: Int64 = 8 << 20

    /// Accepts messages that arrived together, each under its device's lock at its generation (I3, I4), and
    /// only by its newest session: that one has looked for messages without an answer, and answers those it
    /// accepts.
    ///
    /// Numbers are handed out without gaps, in the order of the messages here. No statement here or beside it joins
    /// a table: each looks rows up one by one, through the one index that fits (I10).
    ///
    /// - Returns: for each message what came of it.
    public func accept(_ messages: [InboundMessage]) async throws -> [Outcome<Acceptance>] {
        if messages.isEmpty { return [] }
        let keys = messages.map { MessageKey(session: $0.session, messageID: $0.messageID).indexKey }
        return try await pool.transaction { transaction in
            var (streams, answers) = try transaction.lockStreams(
                of: messages.map(\.session), waiting: lockWait,
                then: [
                    (
                        """
                        SELECT a.key, m.sequence FROM unnest($1::text[]) AS a (key), LATERAL (
                            SELECT sequence FROM messages
                            WHERE sender_key || '/' || generation::text || '/' || message_id = a.key
                                AND direction = 'in' LIMIT 1) AS m
                        """, [.texts(keys)]
                    )
                ])
            var known = Dictionary(
                try answers[0].map { (try $0.text("key"), try $0.int64("sequence")) },
                uniquingKeysWith: { first, _ in first })
            var accepted: [(message: InboundMessage, sequence: Int64)] = []
            // Devices for one of whose messages there was no room: none overtakes it.
            var full: [String: Refusal] = [:]
            let outcomes = zip(messages, keys).map { message, key -> Outcome<Acceptance> in
                let device = message.session.senderID.key
                guard var stream = streams[device] else { return .refused(.pairingEnded) }
                if let refusal = stream.refusal(of: message.session) { return .refused(refusal) }
                if let sequence = known[key] {
                    return .done(Acceptance(sequence: sequence, isRepeat: true))
                }
                if let refusal = full[device] ?? stream.refusal(of: message) {
                    full[device] = refusal
                    return .refused(refusal)
                }
                let sequence = stream.nextIn
                stream.nextIn += 1
                if !message.forwarded.isEmpty {
                    stream.unanswered += 1
                    stream.unansweredBytes += message.storedBytes
                }
                streams[device] = stream
                known[key] = sequence
                accepted.append((message, sequence))
                return .done(Acceptance(sequence: sequence, isRepeat: false))
            }
            if !accepted.isEmpty {
                try transaction.insertInbound(accepted)
                try transaction.write(
                    streams, of: Set(accepted.map(\.message.session.senderID.key)))
            }
            return outcomes
        }
    }

    /// Which numbers messages have or are about to get: a repeat its own, another one its device's next.
    ///
    /// Nothing is locked, so the next number is only a device's that sends one message at a time.
    ///
    /// - Returns: for each message its number; `nil` where the pairing has ended.
    public func numbers(of messages: [MessageKey]) async throws -> [MessageNumber?] {
        try await pool.query(
            """
            SELECT coalesce(m.sequence, d.next_in) AS number, m.body AS accepted
            FROM unnest($1::text[], $2::bigint[], $3::text[]) WITH ORDINALITY
                AS a (sender_key, generation, key, place)
            LEFT JOIN LATERAL (SELECT next_in FROM device_streams
                WHERE sender_key = a.sender_key AND generation = a.generation AND active LIMIT 1) AS d ON true
            LEFT JOIN LATERAL (SELECT sequence, body FROM messages
                WHERE sender_key || '/' || generation::text || '/' || message_id = a.key AND direction = 'in'
                    AND d.next_in IS NOT NULL LIMIT 1) AS m ON true
            ORDER BY a.place
            """,
            [
                .texts(messages.map(\.session.senderID.key)),
                .int64s(messages.map(\.session.generation.number)), .texts(messages.map(\.indexKey)),
            ]
        ).map { row in
            guard let number = try row.optionalInt64("number") else { return nil }
            return MessageNumber(number: number, accepted: try row.optionalText("accepted"))
        }
    }

    /// Stores agents' answers and claims them for the devices' sessions, under the same lock (I3).
    ///
    /// - Returns: for each reply the messages to deliver; none where the pairing has ended, a newer session
    ///   exists (which answers by itself) or the message was answered before: whoever asked then looks for what the
    ///   answer was, should it not have handed that out.
    public func reply(_ replies: [Reply]) async throws -> [[StoredMessage]] {
        if replies.isEmpty { return [] }
        return try await pool.transaction { transaction in
            var (streams, answers) = try transaction.lockStreams(
                of: replies.map(\.session), waiting: lockWait,
                then: [
                    (
                        """
                        SELECT a.place, m.bytes FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
                            AS a (sender_key, generation, sequence, place), LATERAL (
                            SELECT (octet_length(body) + coalesce(octet_length(forwarded), 0))::bigint AS bytes
                            FROM messages WHERE sender_key = a.sender_key AND generation = a.generation
                                AND direction = 'in' AND sequence = a.sequence AND done_at IS NULL LIMIT 1) AS m
                        """, Self.places(of: replies)
                    )
                ])
            let open = Dictionary(
                try answers[0].map { (try $0.int("place") - 1, try $0.int64("bytes")) },
                uniquingKeysWith: { first, _ in first })
            var answered: Set<AnswerIdentity> = []
            var stored: [StoredAnswer] = []
            let outcomes = replies.enumerated().map { place, reply -> [StoredMessage] in
                let key = reply.session.senderID.key
                guard var stream = streams[key], stream.refusal(of: reply.session) == nil,
                    let bytes = open[place],
                    answered.insert(AnswerIdentity(senderKey: key, inReplyTo: reply.inReplyTo)).inserted
                else { return [] }
                let messages = reply.answers.enumerated().map { part, answer in
                    let message = StoredMessage(
                        sequence: stream.nextOut + Int64(part), agent: answer.agent, body: answer.body)
                    stored.append(StoredAnswer(reply: reply, part: part, message: message))
                    stream.unacknowledgedBytes += Int64(answer.body.utf8.count)
                    return message
                }
                stream.nextOut += Int64(messages.count)
                stream.answered(bytes: bytes)
                streams[key] = stream
                return messages
            }
            if !stored.isEmpty {
                try transaction.insertReplies(stored)
                try transaction.write(streams, of: Set(stored.map(\.reply.session.senderID.key)))
            }
            return outcomes
        }
    }

    /// What names the messages that are answered.
    fileprivate static func places(of replies: [Reply]) -> [PostgresValue] {
        [
            .texts(replies.map(\.session.senderID.key)),
            .int64s(replies.map(\.session.generation.number)), .int64s(replies.map(\.inReplyTo)),
        ]
    }
}

extension Refusal {
    /// The pairing that a session lived by has ended.
    public static let pairingEnded = Refusal(
        .notPaired, "revoked",
        "An administrator revoked this device. Ask to pair again with device.pair.request.")

    /// The socket is not its device's session.
    public static let sessionEnded = Refusal(
        .notPaired, "session_ended", "This socket is not the device's session any more. Connect again.")
}

private struct AnswerIdentity: Hashable {
    var senderKey: String
    var inReplyTo: Int64
}

private struct StoredAnswer {
    var reply: PairingStore.Reply
    /// Its place among the answers to its message.
    var part: Int
    var message: PairingStore.StoredMessage
}

extension PairingStore.MessageKey {
    /// The message's key in the index `messages_by_id`.
    fileprivate var indexKey: String { "\(session.senderID.key)/\(session.generation.number)/\(messageID)" }
}

extension PairingStore.InboundMessage {
    /// What is stored of ``forwarded``; `nil` where the message goes to an agent as it is.
    fileprivate var forwardedText: String? {
        if forwarded == [PairingStore.ForwardedMessage(agent: "", body: body)] { return nil }
        return JSONValue.array(
            forwarded.map { .object(["agent": .string($0.agent), "body": .string($0.body)]) }
        ).text
    }

    /// The bytes that are stored of it.
    var storedBytes: Int64 { Int64(body.utf8.count + (forwardedText?.utf8.count ?? 0)) }
}

extension Transaction {
    fileprivate func insertInbound(
        _ accepted: [(message: PairingStore.InboundMessage, sequence: Int64)]
    ) throws {
        try enqueue(
            """
            INSERT INTO messages (sender_key, generation, direction, sequence, message_id, body, forwarded,
                created_at, done_at)
            SELECT sender_key, generation, 'in', sequence, message_id, body, nullif(forwarded, ''),
                clock_timestamp(), CASE WHEN forwarded = '[]' THEN clock_timestamp() END
            FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[])
                AS a (sender_key, generation, sequence, message_id, body, forwarded)
            """,
            [
                .texts(accepted.map(\.message.session.senderID.key)),
                .int64s(accepted.map(\.message.session.generation.number)),
                .int64s(accepted.map(\.sequence)),
                .texts(accepted.map(\.message.messageID)), .texts(accepted.map(\.message.body)),
                .texts(accepted.map { $0.message.forwardedText ?? "" }),
            ])
    }

    fileprivate func insertReplies(_ stored: [StoredAnswer]) throws {
        let replies = PairingStore.places(of: stored.map(\.reply))
        try enqueue(
            """
            INSERT INTO messages (sender_key, generation, direction, sequence, reply_to, reply_part, agent, body,
                created_at)
            SELECT sender_key, generation, 'out', sequence, reply_to, reply_part, agent, body, clock_timestamp()
            FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
                AS a (sender_key, generation, reply_to, sequence, reply_part, agent, body)
            """,
            replies + [
                .int64s(stored.map(\.message.sequence)), .int64s(stored.map { Int64($0.part) }),
                .texts(stored.map { $0.message.agent ?? "" }), .texts(stored.map(\.message.body)),
            ])
        // By their place in the table, which nobody else changes while the device is locked.
        try enqueue(
            """
            UPDATE messages SET done_at = clock_timestamp() WHERE ctid = ANY(ARRAY(
                SELECT m.place FROM unnest($1::text[], $2::bigint[], $3::bigint[])
                    AS a (sender_key, generation, sequence), LATERAL (
                    SELECT ctid AS place FROM messages
                    WHERE sender_key = a.sender_key AND generation = a.generation AND direction = 'in'
                        AND sequence = a.sequence LIMIT 1) AS m))
            """, replies)
    }
}
