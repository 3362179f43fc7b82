import PairingCore
import Postgres

extension PairingStore {
    /// Changes what is said of an active pairing, and records what of that is new as one event.
    ///
    /// - Parameter generation: the generation that was displayed; `nil` for whichever it is.
    /// - Returns: the pairing as it is now.
    public func change(
        _ senderID: SenderID, generation: Generation? = nil, _ change: DeviceChange,
        by origination: Origination
    ) async throws -> Outcome<PairedDevice> {
        try await pool.transaction { transaction in
            try transaction.lock(senderID)
            guard let before = try transaction.activePairing(of: senderID) else {
                return .refused(
                    Refusal(.notActive)
                )
            }
            if let generation, generation != before.generation {
                return .refused(
                    Refusal(.changed))
            }
            let commandsOff: [String]
            do throws(Refusal) {
                commandsOff = try change.commands.applied(
                    to: before.commandsOff, declaredIn: before.profile.metadata)
            } catch {
                return .refused(error)
            }
            let (never, milliseconds): (Bool, Int64?) =
                switch change.expiry {
                case nil: (false, nil)
                case .never: (true, nil)
                case .after(let duration): (false, duration.milliseconds)
                }
            try transaction.enqueue(
                """
                UPDATE paired_devices SET
                    label = CASE WHEN $2::text IS NULL THEN label ELSE nullif(normalize($2::text, NFC), '') END,
                    note = CASE WHEN $3::text IS NULL THEN note ELSE nullif(normalize($3::text, NFC), '') END,
                    expires_at = CASE WHEN $4::boolean THEN NULL
                        ELSE coalesce(clock_timestamp() + $5::bigint * interval '1 millisecond', expires_at) END,
                    agents = CASE WHEN $6::text[] IS NULL THEN agents ELSE nullif($6::text[], '{}') END,
                    commands_off = nullif($7::text[], '{}')
                WHERE request_id = $1
                """,
                [
                    .uuid(before.requestID.text), .text(change.label), .text(change.note), .bool(never),
                    .int64(milliseconds), .texts(change.agents), .texts(commandsOff),
                ])
            if let agents = change.agents, agents != before.agents {
                // Waits for messages that are being accepted: the next one goes to who was chosen.
                try transaction.enqueue(
                    "UPDATE device_streams SET agents = nullif($2::text[], '{}') WHERE sender_key = $1 AND active",
                    [.text(senderID.key), .texts(agents)])
            }
            if commandsOff != before.commandsOff {
                try transaction.enqueue(
                    "UPDATE device_streams SET commands_off = nullif($2::text[], '{}') WHERE sender_key = $1",
                    [.text(senderID.key), .texts(commandsOff)])
            }
            guard let after = try transaction.activePairing(of: senderID) else {
                throw CorruptRow(column: "state")
            }
            let changes = after.changes(since: before)
            if !changes.isEmpty {
                try transaction.record(
                    .deviceChanged, channel: after.channel, senderID: after.senderID, by: origination,
                    generation: after.generation, details: .object(changes))
            }
            return .done(after)
        }
    }

    /// Revokes pairings whose time is over, a few at a time.
    ///
    /// - Returns: how many were due.
    /// - Throws: the first one's error that could not be ended; those after it were tried all the same.
    public func revokeDueDevices(limit: Int = 100) async throws -> Int {
        let due = try await pool.query(
            """
            SELECT sender_id, generation FROM paired_devices WHERE state = 'active' AND expires_at <= now()
            ORDER BY expires_at LIMIT $1
            """, [.int(limit)]
        ).map { (try $0.senderID(), Generation(try $0.int64("generation"))) }
        var failure: (any Error)?
        for (senderID, generation) in due {
            do {
                _ = try await revoke(
                    senderID, channel: nil, generation: generation, because: "expired", onlyIfDue: true,
                    by: Origination(.system))
            } catch {
                guard StoreFailure(error)?.concernsAll != true else { throw error }
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return due.count
    }
}

extension PairedDevice {
    /// What of it is another than before, as its event says.
    fileprivate func changes(since before: PairedDevice) -> [String: JSONValue] {
        var changes: [String: JSONValue] = [:]
        if label != before.label { changes["label"] = label.map(JSONValue.string) ?? .null }
        if note != before.note { changes["note"] = note.map(JSONValue.string) ?? .null }
        if expiresAt != before.expiresAt {
            changes["expiresAt"] = expiresAt.map { .integer($0.milliseconds) } ?? .null
        }
        if agents != before.agents { changes["agents"] = .array(agents.map(JSONValue.string)) }
        if commandsOff != before.commandsOff {
            changes["commandsOff"] = .array(commandsOff.map(JSONValue.string))
        }
        return changes
    }
}

extension Transaction {
    fileprivate func activePairing(of senderID: SenderID) throws -> PairedDevice? {
        try query(
            "SELECT \(Columns.device) FROM paired_devices d WHERE sender_key = $1 AND state = 'active'",
            [.text(senderID.key)]
        ).first?.pairedDevice()
    }
}
