import PairingCore
import Postgres

extension PairingStore {
    /// The device has everything up to a number.
    ///
    /// - Parameter acknowledgements: no two of one sender ID.
    public func acknowledge(_ acknowledgements: [Acknowledgement]) async throws {
        if acknowledgements.isEmpty { return }
        try await pool.transaction { transaction in
            var (streams, answers) = try transaction.lockStreams(
                of: acknowledgements.map(\.session), waiting: lockWait,
                then: [
                    (
                        """
                        WITH settled AS (
                            UPDATE messages SET done_at = clock_timestamp(),
                                ended = CASE WHEN expires_at <= clock_timestamp() THEN 'expired' END,
                                end_reason = CASE WHEN expires_at <= clock_timestamp() THEN 'expired' END
                            WHERE ctid = ANY(ARRAY(
                                SELECT m.place FROM unnest($1::text[], $2::bigint[], $3::bigint[])
                                    AS a (key, sequence, after), LATERAL (
                                    SELECT ctid AS place FROM messages
                                    WHERE sender_key || '/' || generation::text || '/' || direction = a.key
                                        AND sequence > a.after AND sequence <= a.sequence
                                        AND done_at IS NULL OFFSET 0) AS m))
                            RETURNING sender_key, octet_length(body) AS bytes)
                        SELECT sender_key, sum(bytes)::bigint AS bytes FROM settled GROUP BY sender_key
                        """,
                        [
                            .texts(acknowledgements.map { $0.session.key(.outbound) }),
                            .int64s(acknowledgements.map(\.sequence)),
                            .int64s(acknowledgements.map(\.after)),
                        ]
                    )
                ])
            let bytes = Dictionary(
                try answers[0].map { (try $0.text("sender_key"), try $0.int64("bytes")) },
                uniquingKeysWith: +)
            var changed: Set<String> = []
            for acknowledgement in acknowledgements {
                let key = acknowledgement.session.senderID.key
                guard var stream = streams[key], stream.active,
                    stream.generation == acknowledgement.session.generation,
                    stream.acknowledgedOut < acknowledgement.sequence
                else { continue }
                stream.acknowledgedOut = min(acknowledgement.sequence, stream.nextOut - 1)
                stream.settled(bytes: bytes[key] ?? 0)
                streams[key] = stream
                changed.insert(key)
            }
            try transaction.write(streams, of: changed)
        }
    }

    /// Settles messages to devices that their channel left out, so that they are neither offered again nor waited
    /// for; once all before one is acknowledged, it counts as acknowledged too.
    ///
    /// - Parameter end: how they ended, where that is to be recorded.
    public func leaveOut(_ messages: [Acknowledgement], as end: MessageEnd? = nil) async throws {
        if messages.isEmpty { return }
        try await pool.transaction { transaction in
            var streams = try transaction.lockStreams(of: messages.map(\.session), waiting: lockWait).streams
            let settled = messages.filter { message in
                streams[message.session.senderID.key].map { $0.refusal(of: message.session) == nil } ?? false
            }
            if settled.isEmpty { return }
            let devices = Dictionary(
                settled.map { ($0.session.senderID.key, $0.session) }, uniquingKeysWith: { first, _ in first }
            )
            let answers = try transaction.query([
                (
                    """
                    UPDATE messages SET done_at = clock_timestamp(), ended = $3, end_reason = $4
                    WHERE ctid = ANY(ARRAY(
                        SELECT m.place FROM unnest($1::text[], $2::bigint[]) AS a (key, sequence), LATERAL (
                            SELECT ctid AS place FROM messages
                            WHERE sender_key || '/' || generation::text || '/' || direction = a.key
                                AND sequence = a.sequence AND done_at IS NULL LIMIT 1) AS m))
                    RETURNING sender_key, octet_length(body)::bigint AS bytes
                    """,
                    [
                        .texts(settled.map { $0.session.key(.outbound) }), .int64s(settled.map(\.sequence)),
                        .text(end?.state.rawValue), .text(end?.reason),
                    ]
                ),
                Transaction.firstOpen(devices.map { ($0.key, $0.value.key(.outbound)) }),
            ])
            let open = try transaction.firstOpen(answers[1])
            for key in devices.keys {
                guard var stream = streams[key] else { continue }
                stream.acknowledgedOut = (open[key] ?? stream.nextOut) - 1
                streams[key] = stream
            }
            for row in answers[0] {
                streams[try row.text("sender_key")]?.settled(bytes: try row.int64("bytes"))
            }
            try transaction.write(streams, of: Set(devices.keys))
        }
    }

    /// A channel failed to deliver a message.
    ///
    /// - Returns: how often by now; `nil` where the session is over, or the message has ended.
    public func countFailedDelivery(of message: Acknowledgement) async throws -> Int? {
        try await pool.transaction { transaction in
            let stream = try transaction.lockStreams(of: [message.session]).streams[
                message.session.senderID.key]
            guard let stream, stream.refusal(of: message.session) == nil else { return nil }
            return try transaction.query(
                """
                UPDATE messages SET attempts = attempts + 1
                WHERE sender_key || '/' || generation::text || '/' || direction = $1 AND sequence = $2
                    AND done_at IS NULL
                RETURNING attempts
                """, [.text(message.session.key(.outbound)), .int64(message.sequence)]
            ).first?.int("attempts")
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
            let stream = try transaction.lockStreams(of: [session]).streams[session.senderID.key]
            guard let stream, stream.refusal(of: session) == nil else { return nil }
            let messages = try transaction.query(
                """
                SELECT sequence, agent, body, forwarded, attempts, conversation,
                    CASE direction WHEN 'out' THEN message_id END AS in_reply_to
                FROM messages
                WHERE sender_key || '/' || generation::text || '/' || direction = $1
                    AND sequence > $2 AND sequence <= $3 AND done_at IS NULL
                    AND (expires_at IS NULL OR expires_at > clock_timestamp())
                ORDER BY sequence LIMIT 100
                """,
                [.text(session.key(direction)), .int64(sequence), .int64(newest)]
            ).map {
                StoredMessage(
                    sequence: try $0.int64("sequence"),
                    agent: direction == .outbound ? try $0.optionalText("agent") : nil,
                    body: try $0.text("body"),
                    forwarded: direction == .inbound
                        ? try $0.forwarded(to: $0.optionalText("agent")) : [],
                    inReplyTo: try $0.optionalText("in_reply_to"), attempts: try $0.int("attempts"),
                    conversation: try $0.conversation())
            }
            return OpenMessages(
                messages: messages,
                newest: (direction == .inbound ? stream.nextIn : stream.nextOut) - 1)
        }
    }
}

extension PairingStore.MessageDirection {
    /// What a device's messages of this direction have as their key in the index `messages_open`.
    func key(of senderID: SenderID, _ generation: Generation) -> String {
        "\(senderID.key)/\(generation.number)/\(rawValue)"
    }
}

extension PairingStore.LiveSession {
    fileprivate func key(_ direction: PairingStore.MessageDirection) -> String {
        direction.key(of: senderID, generation)
    }
}

extension PostgresRow {
    /// What a device's message became for agents.
    ///
    /// - Parameter chosen: who answers what the channel leaves open.
    func forwarded(to chosen: String? = nil) throws -> [PairingStore.ForwardedMessage] {
        guard let text = try optionalText("forwarded") else {
            return [PairingStore.ForwardedMessage(agent: chosen ?? "", body: try self.text("body"))]
        }
        guard case .array(let items)? = try? JSONValue(parsing: text.utf8) else {
            throw CorruptRow(column: "forwarded")
        }
        return try items.map { item in
            guard case .object(let members) = item, case .string(let agent)? = members["agent"],
                case .string(let body)? = members["body"]
            else { throw CorruptRow(column: "forwarded") }
            return PairingStore.ForwardedMessage(
                agent: agent.isEmpty ? chosen ?? "" : agent, body: body,
                isNotice: members["notice"] == .bool(true))
        }
    }
}
