import PairingCore
import Postgres

extension PairingStore {
    /// Approves a request that was displayed with `code`: exactly one of any number of attempts wins (I2).
    ///
    /// Wrong codes are events, and limited for whoever sends them and for the request: a code that can be guessed
    /// proves that nobody looked at the device.
    ///
    /// - Parameters:
    ///   - agents: who answers the device; empty for its channel's agent, `nil` for whoever did when it was paired
    ///     before.
    ///   - commands: which of its commands may be used; the others as when it was paired before.
    public func approve(
        _ id: RequestID, code: PairingCode, agents: [String]? = nil,
        commands: CommandSwitches = CommandSwitches(), by origination: Origination
    ) async throws -> Outcome<PairedDevice> {
        try await decide(id) { transaction, life, now in
            let senderID = life.pending?.senderID
            let decision = life.approve(id: id, code: code, by: origination.actor, now: now)
            if case .refuse(let refusal) = decision, refusal.reason != "code_mismatch" {
                return .refused(refusal)
            }
            if let refusal = try transaction.tooManyWrongCodes(for: id, by: origination.actor) {
                return .refused(refusal)
            }
            switch decision {
            case .refuse(let refusal):
                try transaction.recordWrongCode(for: id, of: senderID, by: origination)
                return .refused(refusal)
            case .write(var device):
                let before = try transaction.commandsOff(of: device.senderID)
                do throws(Refusal) {
                    device.commandsOff = try commands.applied(
                        to: before, declaredIn: device.profile.metadata)
                } catch {
                    return .refused(error)
                }
                try transaction.insert(device, agents: agents)
                var chosen = device.profile.marks
                if let agents { chosen["agents"] = .array(agents.map(JSONValue.string)) }
                if !device.commandsOff.isEmpty {
                    chosen["commandsOff"] = .array(device.commandsOff.map(JSONValue.string))
                }
                try transaction.record(
                    .pairingApproved, channel: device.channel, senderID: device.senderID, by: origination,
                    requestID: id, generation: device.generation, details: .object(chosen))
                return .done(device)
            }
        }
    }

    /// Denies a request that was displayed with `code`.
    ///
    /// - Parameter reason: why, cleaned; the device is told.
    public func deny(
        _ id: RequestID, code: PairingCode, because reason: String? = nil, by origination: Origination
    ) async throws -> Outcome<PairingRequest> {
        try await decide(id) { transaction, life, now in
            switch life.deny(id: id, code: code, by: origination.actor, now: now) {
            case .refuse(let refusal): return .refused(refusal)
            case .write(var request):
                request.reason = reason
                try transaction.end(request, as: .denied, by: origination.actor, because: reason)
                try transaction.record(
                    .pairingDenied, channel: request.channel, senderID: request.senderID, by: origination,
                    requestID: id, details: .decision(reason))
                return .done(request)
            }
        }
    }

    /// Revokes the active pairing of a sender ID, if it is the one that was displayed.
    ///
    /// - Parameters:
    ///   - channel: the channel that was displayed; `nil` for whichever it is.
    ///   - generation: the generation that was displayed; `nil` for whichever it is.
    ///   - reason: why, cleaned; the device is told.
    ///   - onlyIfDue: refuses while the pairing's time is not over.
    public func revoke(
        _ senderID: SenderID, channel: ChannelID?, generation: Generation?, because reason: String? = nil,
        onlyIfDue: Bool = false, by origination: Origination
    ) async throws -> Outcome<PairedDevice> {
        try await pool.transaction { transaction in
            try transaction.lock(senderID)
            var (life, now) = try transaction.life(of: senderID)
            let decision = life.revoke(
                channel: channel, displayed: generation, by: origination.actor, now: now)
            switch decision {
            case .refuse(let refusal): return .refused(try transaction.explain(refusal, senderID))
            case .write(let device) where onlyIfDue && !(device.expiresAt.map { $0 <= now } ?? false):
                return .refused(Refusal(.notDue))
            case .write(var device):
                device.revokeReason = reason
                // Waits for messages and sessions that hold the row, and fails all that come later (I3).
                try transaction.enqueue(
                    """
                    UPDATE device_streams SET generation = $2, active = false, unanswered = 0, unanswered_bytes = 0,
                        unacknowledged_bytes = 0, claimed_by = NULL, claimed_until = NULL
                    WHERE sender_key = $1
                    """,
                    [.text(senderID.key), .int64(life.generation.number)])
                // Nobody will answer or acknowledge the messages: that is how they end.
                try transaction.enqueue(
                    """
                    WITH unsettled AS (UPDATE messages SET done_at = clock_timestamp(), ended = 'withdrawn',
                            end_reason = 'revoked'
                        WHERE sender_key || '/' || generation::text || '/' || direction = ANY($3)
                            AND done_at IS NULL)
                    UPDATE paired_devices SET state = 'revoked', revoked_at = clock_timestamp(), revoked_by = $2,
                        revoke_reason = normalize($4::text, NFC)
                    WHERE request_id = $1
                    """,
                    [
                        .uuid(device.requestID.text), .text(origination.actor.name),
                        .texts(
                            [MessageDirection.inbound, .outbound].map {
                                $0.key(of: senderID, device.generation)
                            }),
                        .text(reason),
                    ])
                try transaction.record(
                    .pairingRevoked, channel: device.channel, senderID: device.senderID, by: origination,
                    requestID: device.requestID, generation: life.generation, details: .decision(reason))
                return .done(device)
            }
        }
    }

    /// The active pairings made at or after `since`, oldest first.
    public func devicesPaired(since: Timestamp) async throws -> [PairedDevice] {
        try await pool.query(
            """
            SELECT \(Columns.device) FROM paired_devices d WHERE state = 'active' AND paired_at >= $1
            ORDER BY paired_at
            """, [.timestamp(milliseconds: since.milliseconds)]
        ).map { try $0.pairedDevice() }
    }

    /// Ends requests whose time is over, a few at a time.
    ///
    /// - Returns: how many ended.
    /// - Throws: the first request's error that could not be ended; those after it were tried all the same.
    public func expireDueRequests(limit: Int = 100) async throws -> Int {
        let due = try await pool.query(
            """
            SELECT sender_id FROM pairing_requests WHERE state = 'pending' AND expires_at <= clock_timestamp()
            ORDER BY expires_at LIMIT $1
            """, [.int(limit)]
        ).map { try $0.senderID() }
        var failure: (any Error)?
        for senderID in due {
            do {
                try await pool.transaction { transaction in
                    try transaction.lock(senderID)
                    var (life, now) = try transaction.life(of: senderID)
                    try transaction.expire(&life, now: now)
                }
            } catch {
                // One that somebody holds on to does not keep the others waiting.
                guard StoreFailure(error)?.concernsAll != true else { throw error }
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return due.count
    }

    /// Lifts the waiting time of everybody who was denied this sender ID.
    public func clearCooldown(_ senderID: SenderID, by origination: Origination) async throws -> Outcome<Void>
    {
        try await pool.transaction { transaction in
            try transaction.lock(senderID)
            let cleared = try transaction.execute(
                """
                UPDATE pairing_requests SET cooldown_cleared = true
                WHERE sender_key = $1 AND state = 'denied' AND NOT cooldown_cleared
                """, [.text(senderID.key)])
            guard cleared > 0 else {
                return .refused(
                    Refusal(
                        .notWaiting,
                        "Nobody was denied the sender ID \(senderID) and still waits; it may be asked for at once."
                    ))
            }
            try transaction.record(.pairingCooldownCleared, senderID: senderID, by: origination)
            return .done(())
        }
    }

    /// Locks the request's sender ID, ends the request if it is due, and lets `body` decide.
    private func decide<Value: Sendable>(
        _ id: RequestID,
        _ body: @escaping @Sendable (Transaction, inout SenderLife, Timestamp) throws -> Outcome<Value>
    ) async throws -> Outcome<Value> {
        try await pool.transaction { transaction in
            guard
                let senderID = try transaction.query(
                    "SELECT sender_id FROM pairing_requests WHERE request_id = $1", [.uuid(id.text)]
                ).first?.senderID()
            else {
                return .refused(
                    Refusal(
                        .unknownRequest,
                        "There is no pairing request with the ID \(id). Look at the list of those that wait.")
                )
            }
            try transaction.lock(senderID)
            var (life, now) = try transaction.life(of: senderID)
            try transaction.expire(&life, now: now)
            let outcome = try body(transaction, &life, now)
            if case .refused(let refusal) = outcome { return .refused(try transaction.explain(refusal, id)) }
            return outcome
        }
    }
}

extension DeviceProfile {
    /// What events say of how the device proves itself.
    var marks: [String: JSONValue] {
        details.contains(.openClawSignature) ? ["signature": .string("openclaw")] : [:]
    }
}

extension JSONValue {
    /// What the event of a decision says beyond who decided about what.
    fileprivate static func decision(_ reason: String?) -> JSONValue {
        .object(reason.map { ["reason": .string($0)] } ?? [:])
    }
}

extension Transaction {
    /// Makes the approved request the sender ID's active pairing.
    ///
    /// - Parameters:
    ///   - device: as it is to be, with the commands that are switched off.
    ///   - agents: whom the administrator chose for it; `nil` where nobody chose.
    func insert(_ device: PairedDevice, agents: [String]? = nil) throws {
        // Where nobody chose, who answered before answers again.
        let agents = PostgresValue.texts(agents)
        let commandsOff = PostgresValue.texts(device.commandsOff)
        try enqueue(
            """
            INSERT INTO device_streams AS d (sender_key, generation, active, agents, commands_off)
            VALUES ($1, $2, true, nullif($3::text[], '{}'), nullif($4::text[], '{}'))
            ON CONFLICT (sender_key) DO UPDATE SET generation = excluded.generation, active = true, next_in = 1,
                next_out = 1, acknowledged_out = 0,
                agents = CASE WHEN $3::text[] IS NULL THEN d.agents ELSE excluded.agents END,
                commands_off = excluded.commands_off
            """, [.text(device.senderID.key), .int64(device.generation.number), agents, commandsOff])
        try enqueue(
            """
            INSERT INTO device_silence (sender_key, generation, channel, due_at) VALUES ($1, $2, $3, clock_timestamp())
            ON CONFLICT (sender_key) DO UPDATE SET generation = excluded.generation, channel = excluded.channel,
                due_at = excluded.due_at, told = 0
            """,
            [
                .text(device.senderID.key), .int64(device.generation.number), .text(device.channel.text),
            ])
        try enqueue(
            """
            WITH request AS (
                UPDATE pairing_requests SET state = 'approved', decided_at = clock_timestamp(), decided_by = $2
                WHERE request_id = $1 RETURNING *)
            INSERT INTO paired_devices (request_id, sender_key, sender_id, channel, generation, public_key,
                token_hash, display_name, metadata, detail_labels, detail_values, paired_at, paired_by, agents, label,
                note, commands_off)
            SELECT request_id, sender_key, sender_id, channel, $3, public_key, token_hash, display_name, metadata,
                detail_labels, detail_values, decided_at, $2,
                CASE WHEN $4::text[] IS NULL THEN before.agents ELSE nullif($4::text[], '{}') END, label, note,
                nullif($5::text[], '{}')
            FROM request LEFT JOIN LATERAL (SELECT agents, label, note FROM paired_devices
                WHERE sender_key = request.sender_key ORDER BY generation DESC LIMIT 1) AS before ON true
            """,
            [
                .uuid(device.requestID.text), .text(device.pairedBy), .int64(device.generation.number),
                agents, commandsOff,
            ])
    }

    /// The commands that were switched off when a sender ID was paired last: what somebody switched off stays so until
    /// somebody switches it on.
    func commandsOff(of senderID: SenderID) throws -> [String] {
        try query(
            """
            SELECT coalesce(commands_off, '{}') AS commands_off FROM paired_devices WHERE sender_key = $1
            ORDER BY generation DESC LIMIT 1
            """, [.text(senderID.key)]
        ).first?.texts("commands_off") ?? []
    }

    /// Adds to a refusal what became of the request meanwhile, so that the loser of a race reads why (I2).
    fileprivate func explain(_ refusal: Refusal, _ id: RequestID) throws -> Refusal {
        guard refusal.isOf(.requestEnded) else { return refusal }
        let row = try query(
            "SELECT state, decided_by, decided_at FROM pairing_requests WHERE request_id = $1",
            [.uuid(id.text)]
        ).only()
        let state = try row.text("state")
        guard let kind = RequestState(rawValue: state).flatMap(RefusalKind.already) else { return refusal }
        let actor = try row.optionalText("decided_by") ?? Actor.system.name
        var explained = Refusal(
            kind, kind == .alreadyExpired ? nil : "This request was already \(state) by \(actor).",
            details: refusal.details)
        explained.details["state"] = .string(state)
        explained.details["decidedBy"] = .string(actor)
        if let at = try row.optionalMoment("decided_at") {
            explained.details["decidedAt"] = .integer(at.milliseconds)
        }
        return explained
    }

    /// Adds to a refused revocation what became of the device meanwhile.
    fileprivate func explain(_ refusal: Refusal, _ senderID: SenderID) throws -> Refusal {
        guard
            let device = try query(
                """
                SELECT \(Columns.device) FROM paired_devices d WHERE sender_key = $1
                ORDER BY generation DESC LIMIT 1
                """, [.text(senderID.key)]
            ).first?.pairedDevice()
        else { return refusal }
        var explained = refusal
        explained.details["state"] = .string(device.state.rawValue)
        explained.details["generation"] = .integer(device.generation.number)
        if device.state == .revoked, let actor = device.revokedBy {
            explained = Refusal(
                .alreadyRevoked, "This device was already revoked by \(actor).", details: explained.details)
            explained.details["decidedBy"] = .string(actor)
            if let at = device.revokedAt { explained.details["decidedAt"] = .integer(at.milliseconds) }
        }
        return explained
    }
}
