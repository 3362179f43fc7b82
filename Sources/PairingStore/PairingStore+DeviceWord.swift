import PairingCore
import Postgres

extension PairingStore {
    /// What a device's receipt is about: a message that an agent, or a program, has for it.
    public struct ReceiptedMessage: Sendable, Equatable {
        /// Who said it.
        public var agent: String
        /// The program's identifier of it, where it was pushed.
        public var pushID: String?
        /// The device's identifier of the message that it answers.
        public var inReplyTo: String?
        /// Which of the device's conversations it belongs to.
        public var conversation: ConversationName
        /// When the device said so, by the database's clock; of what was read before, when it was read first.
        public var at: Timestamp
    }

    /// Finds the message that a device's receipt is about; of one that was read, keeps when.
    ///
    /// - Parameter number: the message's among those to the device.
    /// - Returns: `nil` where the device has none of that number under this pairing, or it is no longer kept.
    /// - Throws: ``Refusal/pairingEnded`` where the device is paired no more (I3).
    public func receipted(
        _ number: Int64, isRead: Bool, by sender: PairedSender
    ) async throws -> ReceiptedMessage? {
        // By the primary key alone: where the direction is one for certain, indexes of that direction fit as well, and a
        // planner that has seen a small table may read one of them from end to end (I10).
        let found =
            isRead
            ? """
            UPDATE messages AS m SET read_at = coalesce(read_at, clock_timestamp())
            WHERE sender_key = $1 AND generation = $2 AND direction IN ('out', '') AND sequence = $3
            RETURNING m.agent, m.push_id, m.reply_to, m.conversation, m.read_at AS at
            """
            : """
            SELECT agent, push_id, reply_to, conversation, clock_timestamp() AS at FROM messages
            WHERE sender_key = $1 AND generation = $2 AND direction IN ('out', '') AND sequence = $3
            """
        let row = try await pool.transaction { transaction in
            try transaction.holdPairing(of: sender)
            return try transaction.query(
                """
                WITH found AS (\(found))
                SELECT found.*, (SELECT message_id FROM messages AS q
                    WHERE q.sender_key = $1 AND q.generation = $2 AND q.direction IN ('in', '')
                        AND q.sequence = found.reply_to)
                    AS in_reply_to
                FROM found
                """, [.text(sender.senderID.key), .int64(sender.generation.number), .int64(number)]
            ).first
        }
        guard let row else { return nil }
        return ReceiptedMessage(
            agent: try row.optionalText("agent") ?? "", pushID: try row.optionalText("push_id"),
            inReplyTo: try row.optionalText("in_reply_to"), conversation: try row.conversation(),
            at: try row.moment("at"))
    }

    /// Keeps whether a device is in the background; nothing where the session is not its newest any more.
    ///
    /// What waits for one that goes there is looked at again at once: somebody may have to be told.
    public func setBackground(_ isBackground: Bool, of session: LiveSession) async throws {
        _ = try await pool.query(
            """
            WITH changed AS (
                UPDATE device_sessions SET in_background = $3 WHERE sender_key = $1 AND epoch = $2
                    AND in_background <> $3
                RETURNING sender_key)
            UPDATE waiting_devices AS w SET due_at = clock_timestamp() FROM changed
            WHERE w.sender_key = changed.sender_key AND $3 AND w.due_at IS NOT NULL
            """,
            [.text(session.senderID.key), .int64(session.epoch.number), .bool(isBackground)])
    }

    /// Keeps after which silences devices' agents are told; a device's silence is looked at anew where that changes.
    ///
    /// - Parameter periods: `nil` for those of the device's channel.
    public func keepSilencePeriods(_ devices: [(sender: PairedSender, periods: [Duration]?)]) async throws {
        if devices.isEmpty { return }
        try await pool.transaction { transaction in
            // One by one, each by its key: joined, the planner may read them all (I10). In order, so that nobody waits
            // for who waits for them.
            for device in devices.sorted(by: { $0.sender.senderID.key < $1.sender.senderID.key }) {
                try transaction.enqueue(
                    """
                    UPDATE device_silence SET periods = $3::text[]::bigint[], due_at = clock_timestamp()
                    WHERE sender_key = $1 AND generation = $2
                        AND periods IS DISTINCT FROM $3::text[]::bigint[]
                    """,
                    [
                        .text(device.sender.senderID.key), .int64(device.sender.generation.number),
                        .texts(device.periods.map { $0.map { "\($0.milliseconds)" } }),
                    ])
            }
        }
    }
}
