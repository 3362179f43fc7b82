import PairingCore
import Postgres

extension PairingStore {
    /// Messages to a device that wait for its acknowledgement before no more are accepted from it.
    public static let maximumUnacknowledged: Int64 = 1000
    /// Messages from a device that wait for an answer before no more are accepted from it.
    public static let maximumUnanswered = 1000

    /// Accepts messages that arrived together, each under its device's lock at its generation (I3, I4), and
    /// only by its newest session: that one has looked for messages without an answer, and answers those it
    /// accepts.
    ///
    /// Numbers are handed out without gaps, in the order of the messages here.
    ///
    /// - Returns: for each message what came of it.
    public func accept(_ messages: [InboundMessage]) async throws -> [Outcome<Acceptance>] {
        try await pool.transaction { transaction in
            var streams = try transaction.lockStreams(of: messages.map(\.session))
            var (known, unanswered) = try transaction.standing(of: messages)
            var accepted: [(message: InboundMessage, sequence: Int64)] = []
            let outcomes = messages.map { message -> Outcome<Acceptance> in
                let key = message.session.senderID.key
                guard var stream = streams[key] else { return .refused(.pairingEnded) }
                if let refusal = stream.refusal(of: message.session) { return .refused(refusal) }
                let identity = MessageIdentity(senderKey: key, messageID: message.messageID)
                if let sequence = known[identity] {
                    return .done(Acceptance(sequence: sequence, isRepeat: true))
                }
                guard stream.nextOut - 1 - stream.acknowledgedOut < Self.maximumUnacknowledged else {
                    return .refused(
                        Refusal(
                            .resourceExhausted, "unacknowledged",
                            "\(Self.maximumUnacknowledged) messages wait for this device's message.ack. Acknowledge "
                                + "them before sending more.", retryable: true, retryAfter: .seconds(1)))
                }
                if !message.forwarded.isEmpty {
                    guard unanswered[key, default: 0] < Self.maximumUnanswered else {
                        return .refused(
                            Refusal(
                                .resourceExhausted, "unanswered",
                                "\(Self.maximumUnanswered) messages of this device wait for an answer. Wait before "
                                    + "sending more.", retryable: true, retryAfter: .seconds(5)))
                    }
                    unanswered[key, default: 0] += 1
                }
                let sequence = stream.nextIn
                stream.nextIn += 1
                streams[key] = stream
                known[identity] = sequence
                accepted.append((message, sequence))
                return .done(Acceptance(sequence: sequence, isRepeat: false))
            }
            if !accepted.isEmpty { try transaction.insertInbound(accepted) }
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
                AS a (sender_key, generation, message_id, place)
            LEFT JOIN device_streams d
                ON d.sender_key = a.sender_key AND d.generation = a.generation AND d.active
            LEFT JOIN messages m ON m.sender_key = d.sender_key AND m.generation = d.generation
                AND m.message_id = a.message_id AND m.direction = 'in'
            ORDER BY a.place
            """,
            [
                .texts(messages.map(\.session.senderID.key)),
                .int64s(messages.map(\.session.generation.number)), .texts(messages.map(\.messageID)),
            ]
        ).map { row in
            guard let number = try row.optionalInt64("number") else { return nil }
            return MessageNumber(number: number, accepted: try row.optionalText("accepted"))
        }
    }

    /// Stores agents' answers and claims them for the devices' sessions, under the same lock (I3).
    ///
    /// - Returns: for each reply the messages to deliver; none where the pairing has ended, a newer session
    ///   exists (which answers by itself) or the message was answered before.
    public func reply(_ replies: [Reply]) async throws -> [[StoredMessage]] {
        try await pool.transaction { transaction in
            var streams = try transaction.lockStreams(of: replies.map(\.session))
            var answered = try transaction.answered(replies)
            var stored: [StoredAnswer] = []
            let outcomes = replies.map { reply -> [StoredMessage] in
                let key = reply.session.senderID.key
                let answer = AnswerIdentity(senderKey: key, inReplyTo: reply.inReplyTo)
                guard var stream = streams[key], stream.refusal(of: reply.session) == nil,
                    answered.insert(answer).inserted
                else { return [] }
                let messages = reply.answers.enumerated().map { part, answer in
                    let message = StoredMessage(
                        sequence: stream.nextOut + Int64(part), agent: answer.agent, body: answer.body)
                    stored.append(StoredAnswer(reply: reply, part: part, message: message))
                    return message
                }
                stream.nextOut += Int64(messages.count)
                streams[key] = stream
                return messages
            }
            if !stored.isEmpty { try transaction.insertReplies(stored) }
            return outcomes
        }
    }

    /// The device has everything up to a number.
    ///
    /// - Parameter acknowledgements: no two of one sender ID.
    public func acknowledge(_ acknowledgements: [Acknowledgement]) async throws {
        let keys = acknowledgements.map(\.session.senderID.key)
        let generations = acknowledgements.map(\.session.generation.number)
        let sequences = acknowledgements.map(\.sequence)
        let senders = acknowledgements.map(\.session.senderID)
        try await pool.transaction { transaction in
            _ = try transaction.lockStreams(senders)
            let parameters: [PostgresValue] = [.texts(keys), .int64s(generations), .int64s(sequences)]
            try transaction.enqueue(
                """
                UPDATE device_streams d SET acknowledged_out = least(a.sequence, d.next_out - 1)
                FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (sender_key, generation, sequence)
                WHERE d.sender_key = a.sender_key AND d.generation = a.generation AND d.active
                    AND d.acknowledged_out < a.sequence
                """, parameters)
            try transaction.enqueue(
                """
                UPDATE messages m SET done_at = clock_timestamp()
                FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (sender_key, generation, sequence)
                WHERE m.sender_key = a.sender_key AND m.generation = a.generation AND m.direction = 'out'
                    AND m.sequence <= a.sequence AND m.done_at IS NULL
                """, parameters)
        }
    }

    /// Settles messages to devices that their channel left out, so that they are neither offered again nor waited
    /// for; once all before one is acknowledged, it counts as acknowledged too.
    public func leaveOut(_ messages: [Acknowledgement]) async throws {
        try await pool.transaction { transaction in
            let streams = try transaction.lockStreams(of: messages.map(\.session))
            let settled = messages.filter { message in
                streams[message.session.senderID.key].map { $0.refusal(of: message.session) == nil } ?? false
            }
            if settled.isEmpty { return }
            let keys = PostgresValue.texts(settled.map(\.session.senderID.key))
            let generations = PostgresValue.int64s(settled.map(\.session.generation.number))
            try transaction.enqueue(
                """
                UPDATE messages m SET done_at = clock_timestamp()
                FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (sender_key, generation, sequence)
                WHERE m.sender_key = a.sender_key AND m.generation = a.generation AND m.direction = 'out'
                    AND m.sequence = a.sequence AND m.done_at IS NULL
                """, [keys, generations, .int64s(settled.map(\.sequence))])
            try transaction.enqueue(
                """
                UPDATE device_streams d SET acknowledged_out = coalesce(
                    (SELECT min(sequence) - 1 FROM messages m WHERE m.sender_key = d.sender_key
                        AND m.generation = d.generation AND m.direction = 'out' AND m.done_at IS NULL),
                    d.next_out - 1)
                FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::bigint[]) AS b (sender_key, generation)) AS a
                WHERE d.sender_key = a.sender_key AND d.generation = a.generation
                """, [keys, generations])
        }
    }

    /// A page of the messages that a session has to catch up with, claimed under the device's lock.
    ///
    /// - Parameters:
    ///   - sequence: where the page before ended; 0 for the first.
    ///   - newest: where to stop, so that what arrives meanwhile is not a part of it.
    /// - Returns: no messages where there are no more; `nil` where the pairing has ended or a newer session
    ///   exists.
    public func openMessages(
        _ direction: MessageDirection, of session: LiveSession, after sequence: Int64, upTo newest: Int64
    ) async throws -> OpenMessages? {
        try await pool.transaction { transaction in
            let stream = try transaction.lockStreams(of: [session])[session.senderID.key]
            guard let stream, stream.refusal(of: session) == nil else { return nil }
            let messages = try transaction.query(
                """
                SELECT sequence, agent, body, forwarded FROM messages WHERE sender_key = $1 AND generation = $2
                    AND direction = $3 AND sequence > $4 AND sequence <= $5 AND done_at IS NULL
                ORDER BY sequence LIMIT 100
                """,
                [
                    .text(session.senderID.key), .int64(session.generation.number),
                    .text(direction.rawValue), .int64(sequence), .int64(newest),
                ]
            ).map {
                StoredMessage(
                    sequence: try $0.int64("sequence"), agent: try $0.optionalText("agent"),
                    body: try $0.text("body"),
                    forwarded: direction == .inbound ? try $0.forwarded() : [])
            }
            return OpenMessages(
                messages: messages,
                newest: (direction == .inbound ? stream.nextIn : stream.nextOut) - 1)
        }
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

private struct MessageIdentity: Hashable {
    var senderKey: String
    var messageID: String
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

extension PairingStore.InboundMessage {
    /// What is stored of ``forwarded``; `nil` where the message goes to an agent as it is.
    fileprivate var forwardedText: String? {
        if forwarded == [PairingStore.ForwardedMessage(agent: "", body: body)] { return nil }
        return JSONValue.array(
            forwarded.map { .object(["agent": .string($0.agent), "body": .string($0.body)]) }
        ).text
    }
}

extension PostgresRow {
    fileprivate func forwarded() throws -> [PairingStore.ForwardedMessage] {
        guard let text = try optionalText("forwarded") else {
            return [PairingStore.ForwardedMessage(agent: "", body: try self.text("body"))]
        }
        guard case .array(let items)? = try? JSONValue(parsing: text.utf8) else {
            throw CorruptRow(column: "forwarded")
        }
        return try items.map { item in
            guard case .object(let members) = item, case .string(let agent)? = members["agent"],
                case .string(let body)? = members["body"]
            else { throw CorruptRow(column: "forwarded") }
            return PairingStore.ForwardedMessage(agent: agent, body: body)
        }
    }
}

extension Transaction {
    /// Which of the messages are known, and how many of each device wait for an answer, counted up to the most
    /// there may be.
    fileprivate func standing(
        of messages: [PairingStore.InboundMessage]
    ) throws -> (known: [MessageIdentity: Int64], unanswered: [String: Int]) {
        let keys = PostgresValue.texts(messages.map(\.session.senderID.key))
        let generations = PostgresValue.int64s(messages.map(\.session.generation.number))
        let answers = try query([
            (
                """
                SELECT m.sender_key, m.message_id, m.sequence
                FROM unnest($1::text[], $2::bigint[], $3::text[]) AS a (sender_key, generation, message_id)
                JOIN messages m ON m.sender_key = a.sender_key AND m.generation = a.generation
                    AND m.message_id = a.message_id AND m.direction = 'in'
                """, [keys, generations, .texts(messages.map(\.messageID))]
            ),
            (
                """
                SELECT a.sender_key, (SELECT count(*) FROM (SELECT 1 FROM messages m
                    WHERE m.sender_key = a.sender_key AND m.generation = a.generation AND m.direction = 'in'
                        AND m.done_at IS NULL LIMIT $3) AS open) AS unanswered
                FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::bigint[]) AS b (sender_key, generation)) AS a
                JOIN device_streams d ON d.sender_key = a.sender_key AND d.generation = a.generation
                """, [keys, generations, .int(PairingStore.maximumUnanswered)]
            ),
        ])
        let known = try answers[0].map {
            (
                MessageIdentity(
                    senderKey: try $0.text("sender_key"), messageID: try $0.text("message_id")),
                try $0.int64("sequence")
            )
        }
        let unanswered = try answers[1].map { (try $0.text("sender_key"), try $0.int("unanswered")) }
        return (
            Dictionary(known, uniquingKeysWith: { first, _ in first }),
            Dictionary(unanswered, uniquingKeysWith: { first, _ in first })
        )
    }

    fileprivate func insertInbound(
        _ accepted: [(message: PairingStore.InboundMessage, sequence: Int64)]
    ) throws {
        let keys = PostgresValue.texts(accepted.map(\.message.session.senderID.key))
        let sequences = PostgresValue.int64s(accepted.map(\.sequence))
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
                keys, .int64s(accepted.map(\.message.session.generation.number)), sequences,
                .texts(accepted.map(\.message.messageID)), .texts(accepted.map(\.message.body)),
                .texts(accepted.map { $0.message.forwardedText ?? "" }),
            ])
        try enqueue(
            """
            UPDATE device_streams d SET next_in = a.sequence + 1
            FROM (SELECT sender_key, max(sequence) AS sequence
                FROM unnest($1::text[], $2::bigint[]) AS b (sender_key, sequence) GROUP BY sender_key) AS a
            WHERE d.sender_key = a.sender_key
            """, [keys, sequences])
    }

    fileprivate func answered(_ replies: [PairingStore.Reply]) throws -> Set<AnswerIdentity> {
        let rows = try query(
            """
            SELECT m.sender_key, m.reply_to
            FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (sender_key, generation, reply_to)
            JOIN messages m ON m.sender_key = a.sender_key AND m.generation = a.generation
                AND m.reply_to = a.reply_to AND m.direction = 'out'
            """,
            [
                .texts(replies.map(\.session.senderID.key)),
                .int64s(replies.map(\.session.generation.number)), .int64s(replies.map(\.inReplyTo)),
            ])
        return Set(
            try rows.map {
                AnswerIdentity(senderKey: try $0.text("sender_key"), inReplyTo: try $0.int64("reply_to"))
            })
    }

    fileprivate func insertReplies(_ stored: [StoredAnswer]) throws {
        let keys = PostgresValue.texts(stored.map(\.reply.session.senderID.key))
        let generations = PostgresValue.int64s(stored.map(\.reply.session.generation.number))
        let sequences = PostgresValue.int64s(stored.map(\.message.sequence))
        let repliesTo = PostgresValue.int64s(stored.map(\.reply.inReplyTo))
        try enqueue(
            """
            INSERT INTO messages (sender_key, generation, direction, sequence, reply_to, reply_part, agent, body,
                created_at)
            SELECT sender_key, generation, 'out', sequence, reply_to, reply_part, agent, body, clock_timestamp()
            FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
                AS a (sender_key, generation, sequence, reply_to, reply_part, agent, body)
            """,
            [
                keys, generations, sequences, repliesTo, .int64s(stored.map { Int64($0.part) }),
                .texts(stored.map { $0.message.agent ?? "" }), .texts(stored.map(\.message.body)),
            ])
        try enqueue(
            """
            UPDATE messages m SET done_at = clock_timestamp()
            FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (sender_key, generation, sequence)
            WHERE m.sender_key = a.sender_key AND m.generation = a.generation AND m.direction = 'in'
                AND m.sequence = a.sequence
            """, [keys, generations, repliesTo])
        try enqueue(
            """
            UPDATE device_streams d SET next_out = a.sequence + 1
            FROM (SELECT sender_key, max(sequence) AS sequence
                FROM unnest($1::text[], $2::bigint[]) AS b (sender_key, sequence) GROUP BY sender_key) AS a
            WHERE d.sender_key = a.sender_key
            """, [keys, sequences])
    }
}
