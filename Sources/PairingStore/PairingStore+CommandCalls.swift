import PairingCore
import Postgres

extension PairingStore {
    /// A command that an agent has a device carry out.
    public struct CommandCall: Sendable {
        /// The same for every repeat of this call and for no other; the device sees it as `callId`.
        public var key: String
        /// The device, as it is paired.
        public var sender: PairedSender
        /// The device's channel.
        public var channel: ChannelID
        /// The command's name.
        public var command: String
        /// Who calls it.
        public var agent: String
        /// How long the answer is waited for.
        public var limit: Duration
        /// Who has it called, for the audit.
        public var origination: Origination

        /// Wraps the parts.
        public init(
            key: String, sender: PairedSender, channel: ChannelID, command: String, agent: String,
            limit: Duration, origination: Origination = Origination(.system)
        ) {
            self.origination = origination
            self.key = key
            self.sender = sender
            self.channel = channel
            self.command = command
            self.agent = agent
            self.limit = limit
        }
    }

    /// Where a call stands.
    public struct CommandState: Sendable, Equatable {
        /// How it ended; `nil` while it is waited for.
        public var outcome: CommandOutcome?
        /// What the device said: the text of a JSON object.
        public var answer: String?
        /// How long it is waited for from now on; negative where that is over.
        public var left: Duration
    }

    /// Records a call, unless it is recorded already. One of a device that has no live session ends with that.
    ///
    /// - Returns: where it stands.
    public func begin(_ call: CommandCall) async throws -> CommandState {
        let key = call.sender.senderID.key
        return try await pool.transaction { transaction in
            let isThere = try transaction.workSessions(of: [key])[key]?.isLive ?? false
            let isNew =
                try transaction.query(
                    """
                    INSERT INTO command_calls (call_id, sender_key, sender_id, generation, channel, command, agent,
                        called_at, wanted_until)
                    SELECT $1, $2, $3, $4, $5, $6, $7, clock_timestamp(),
                        clock_timestamp() + $8::bigint * interval '1 millisecond'
                    ON CONFLICT (call_id) DO NOTHING RETURNING call_id
                    """,
                    [
                        .text(call.key), .text(key), .text(call.sender.senderID.text),
                        .int64(call.sender.generation.number), .text(call.channel.text), .text(call.command),
                        .text(call.agent), .int64(call.limit.milliseconds),
                    ]
                ).first != nil
            if isNew {
                let device = try transaction.query(
                    """
                    SELECT $3 = ANY(coalesce(commands_off, '{}')) AS is_off FROM paired_devices
                    WHERE sender_key = $1 AND generation = $2 AND state = 'active'
                    """, [.text(key), .int64(call.sender.generation.number), .text(call.command)]
                ).first
                try transaction.record(
                    .commandCalled, channel: call.channel, senderID: call.sender.senderID,
                    by: call.origination, generation: call.sender.generation,
                    details: .object([
                        "callId": .string(call.key), "command": .string(call.command),
                        "agent": .string(call.agent),
                    ]))
                let isOff = try device?.bool("is_off") ?? false
                if isOff || !isThere || device == nil {
                    _ = try transaction.end(
                        call.key, of: call.sender, isOff ? .switchedOff : .away, nil, by: .system)
                }
            }
            guard
                let state = try transaction.query(Self.commandState, [.text(call.key)]).first?.commandState()
            else { throw CorruptRow(column: "call_id") }
            return state
        }
    }

    /// Where a call stands; `nil` where it is no longer kept.
    public func commandState(of key: String) async throws -> CommandState? {
        try await pool.query(Self.commandState, [.text(key)]).first?.commandState()
    }

    /// Ends a call, if it has not ended before.
    ///
    /// - Parameters:
    ///   - sender: whose it has to be.
    ///   - answer: what the device said: the text of a JSON object.
    ///   - actor: who ends it.
    /// - Returns: whether there is such a call of that device, ended before or not.
    /// - Throws: ``Refusal/pairingEnded`` where the device says it and is paired no more (I3).
    public func endCommand(
        _ key: String, of sender: PairedSender, _ outcome: CommandOutcome, answer: String? = nil,
        by actor: Actor
    ) async throws -> Bool {
        try await pool.transaction { transaction in
            if actor == .device { try transaction.holdPairing(of: sender) }
            if try transaction.end(key, of: sender, outcome, answer, by: actor) { return true }
            return try transaction.query(
                "SELECT 1 AS one FROM command_calls WHERE call_id = $1 AND sender_key = $2 AND generation = $3",
                [.text(key), .text(sender.senderID.key), .int64(sender.generation.number)]
            ).first != nil
        }
    }

    /// Ends calls whose time is over and for whose end nobody waits any more, such as those of a process that died.
    ///
    /// - Returns: how many; there may be more where it is `limit`.
    public func endDueCommands(limit: Int = 100) async throws -> Int {
        try await pool.transaction { transaction in
            // Whoever waits ends it at once: what is left after some seconds has nobody.
            let due = try transaction.query(
                """
                SELECT call_id, sender_id, generation FROM command_calls
                WHERE ended_at IS NULL AND wanted_until < clock_timestamp() - interval '10 seconds'
                ORDER BY wanted_until LIMIT $1 FOR UPDATE SKIP LOCKED
                """, [.int64(Int64(limit))])
            for row in due {
                let sender = PairedSender(
                    senderID: try row.senderID(), generation: Generation(try row.int64("generation")))
                _ = try transaction.end(try row.text("call_id"), of: sender, .abandoned, nil, by: .system)
            }
            return due.count
        }
    }

    private static let commandState = """
        SELECT outcome, answer,
            (extract(epoch FROM wanted_until - clock_timestamp()) * 1000)::bigint AS left_ms
        FROM command_calls WHERE call_id = $1
        """
}

extension Transaction {
    /// - Returns: whether it was under way.
    fileprivate func end(
        _ key: String, of sender: PairingStore.PairedSender, _ outcome: CommandOutcome,
        _ answer: String?, by actor: Actor
    ) throws -> Bool {
        let ended = try query(
            """
            UPDATE command_calls SET ended_at = clock_timestamp(), outcome = $4, answer = $5
            WHERE call_id = $1 AND sender_key = $2 AND generation = $3 AND ended_at IS NULL
            RETURNING channel, command, agent
            """,
            [
                .text(key), .text(sender.senderID.key), .int64(sender.generation.number),
                .text(outcome.rawValue), .text(answer),
            ]
        ).first
        guard let ended else { return false }
        try record(
            .commandEnded, channel: ChannelID(try ended.text("channel")), senderID: sender.senderID,
            by: Origination(actor), generation: sender.generation,
            details: .object([
                "callId": .string(key), "command": .string(try ended.text("command")),
                "agent": .string(try ended.text("agent")), "outcome": .string(outcome.rawValue),
            ]))
        return true
    }
}

extension PostgresRow {
    fileprivate func commandState() throws -> PairingStore.CommandState {
        PairingStore.CommandState(
            outcome: try optionalText("outcome") == nil
                ? nil : try parsed("outcome", CommandOutcome.init(rawValue:)),
            answer: try optionalText("answer"), left: .milliseconds(try int64("left_ms")))
    }
}
