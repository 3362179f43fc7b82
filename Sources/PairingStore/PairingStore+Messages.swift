import PairingCore
import Postgres

extension PairingStore {
    /// Accepts messages that arrived together, each under its device's lock at its generation (I3, I4), and
    /// only by its newest session.
    ///
    /// Numbers are handed out without gaps, in the order of the messages here. No statement here or beside it joins
    /// a table: each looks rows up one by one, through the one index that fits (I10).
    ///
    /// - Parameter claim: who works on the messages at once, where nobody else works on their devices' already; `nil`
    ///   to leave them to whoever looks for work.
    /// - Returns: for each message what came of it.
    public func accept(
        _ messages: [InboundMessage], claim: WorkClaim? = nil
    ) async throws -> [Outcome<Acceptance>] {
        if messages.isEmpty { return [] }
        let keys = messages.map { MessageKey(session: $0.session, messageID: $0.messageID).indexKey }
        return try await pool.transaction { transaction in
            var (streams, answers) = try transaction.lockStreams(
                of: messages.map(\.session), waiting: lockWait,
                then: [
                    (
                        """
                        SELECT a.key, m.sequence, m.open FROM unnest($1::text[]) AS a (key), LATERAL (
                            SELECT sequence, done_at IS NULL AS open FROM messages
                            WHERE sender_key || '/' || generation::text || '/' || message_id = a.key
                                AND direction = 'in' LIMIT 1) AS m
                        """, [.texts(keys)]
                    )
                ])
            var known = Dictionary(
                try answers[0].map {
                    (try $0.text("key"), (sequence: try $0.int64("sequence"), isOpen: try $0.bool("open")))
                }, uniquingKeysWith: { first, _ in first })
            var accepted: [AcceptedMessage] = []
            // Devices for one of whose messages there was no room: none overtakes it.
            var full: [String: Refusal] = [:]
            let outcomes = zip(messages, keys).map { message, key -> Outcome<Acceptance> in
                let device = message.session.senderID.key
                guard var stream = streams[device] else { return .refused(.pairingEnded) }
                if let refusal = stream.refusal(of: message.session) { return .refused(refusal) }
                if let first = known[key] {
                    return .done(
                        Acceptance(
                            sequence: first.sequence, isRepeat: true,
                            openBefore: first.isOpen ? stream.unanswered : nil))
                }
                let agent: String
                switch stream.agent(of: message) {
                case .success(let name): agent = name
                case .failure(let refusal): return .refused(refusal)
                }
                // Two that send for one device at once may both have been told the same number.
                let isTaken = message.number.map { $0 != stream.nextIn } ?? false
                let refusal =
                    full[device] ?? (isTaken ? .numberTaken : stream.refusal(of: message, limits))
                if let refusal {
                    full[device] = refusal
                    return .refused(refusal)
                }
                let sequence = stream.nextIn
                stream.nextIn += 1
                var acceptance = Acceptance(sequence: sequence, isRepeat: false, agent: agent)
                if !message.forwarded.isEmpty {
                    if let claim, stream.isFree(for: claim.instance) {
                        acceptance.openBefore = stream.unanswered
                        stream.claim(for: claim.instance, lease: claim.lease)
                    } else if stream.claimLeft == nil {
                        stream.offer()
                    }
                    stream.unanswered += 1
                    stream.unansweredBytes += message.storedBytes
                }
                streams[device] = stream
                known[key] = (sequence, !message.forwarded.isEmpty)
                accepted.append((message, sequence, agent))
                return .done(acceptance)
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
}

extension Refusal {
    /// The pairing that a session lived by has ended.
    public static let pairingEnded = Refusal(.revoked)

    /// Another message of the device got the number that was meant for this one; for whoever asked to ask again.
    public static let numberTaken = Refusal(.numberTaken)

    /// The socket is not its device's session.
    public static let sessionEnded = Refusal(.sessionEnded)
}

extension PairingStore.MessageKey {
    /// The message's key in the index `messages_by_id`.
    var indexKey: String { "\(session.senderID.key)/\(session.generation.number)/\(messageID)" }
}

extension PairingStore.InboundMessage {
    /// What is stored of ``forwarded``; `nil` where the message goes to an agent as it is.
    fileprivate var forwardedText: String? {
        if forwarded == [PairingStore.ForwardedMessage(agent: "", body: body)] { return nil }
        return JSONValue.array(
            forwarded.map { part in
                var members: [String: JSONValue] = [
                    "agent": .string(part.agent), "body": .string(part.body),
                ]
                if part.isNotice { members["notice"] = .bool(true) }
                return .object(members)
            }
        ).text
    }

    /// The bytes that are stored of it.
    var storedBytes: Int64 { Int64(body.utf8.count + (forwardedText?.utf8.count ?? 0)) }
}

/// A message with its number, and who answers it where its channel names nobody.
private typealias AcceptedMessage = (message: PairingStore.InboundMessage, sequence: Int64, agent: String)

extension Transaction {
    fileprivate func insertInbound(_ accepted: [AcceptedMessage]) throws {
        try enqueue(
            """
            INSERT INTO messages (sender_key, generation, direction, sequence, message_id, body, forwarded,
                created_at, done_at, ended, end_reason, agent, conversation)
            SELECT sender_key, generation, 'in', sequence, message_id, body, nullif(forwarded, ''),
                clock_timestamp(), CASE WHEN forwarded = '[]' THEN clock_timestamp() END, ended, end_reason,
                nullif(agent, ''), conversation
            FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::text[])
                AS a (sender_key, generation, sequence, message_id, body, forwarded, ended, end_reason, agent,
                    conversation)
            """,
            [
                .texts(accepted.map(\.message.session.senderID.key)),
                .int64s(accepted.map(\.message.session.generation.number)),
                .int64s(accepted.map(\.sequence)),
                .texts(accepted.map(\.message.messageID)), .texts(accepted.map(\.message.body)),
                .texts(accepted.map { $0.message.forwardedText ?? "" }),
                .texts(accepted.map { $0.message.end?.state.rawValue }),
                .texts(accepted.map { $0.message.end?.reason }), .texts(accepted.map(\.agent)),
                .texts(accepted.map(\.message.conversation.text)),
            ])
    }
}
