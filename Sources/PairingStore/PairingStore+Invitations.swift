import PairingCore
import Postgres

extension PairingStore {
    /// An invitation as it is listed; its secret is not stored.
    public struct InvitationRow: Sendable {
        /// Its identifier.
        public var id: String
        /// The device that may use it.
        public var senderID: SenderID
        /// The channel it may use it on.
        public var channel: ChannelID
        /// When it was made.
        public var createdAt: Timestamp
        /// By whom.
        public var createdBy: String
        /// Until when it can be used.
        public var expiresAt: Timestamp
        /// When it was used or withdrawn.
        public var endedAt: Timestamp?
        /// Who withdrew it.
        public var withdrawnBy: String?
        /// Whether it can still be used.
        public var isOpen: Bool
    }

    private static let invitationColumns = """
        invitation_id::text AS invitation_id, sender_id, channel, created_at, created_by, expires_at, ended_at,
        withdrawn_by, ended_at IS NULL AND expires_at > clock_timestamp() AS open
        """

    /// An invitation to be made.
    public struct NewInvitation: Sendable {
        /// The hash of its secret.
        public var hash: [UInt8]
        /// The device that may use it.
        public var senderID: SenderID
        /// The channel it may use it on.
        public var channel: ChannelID

        /// Wraps the parts.
        public init(hash: [UInt8], senderID: SenderID, channel: ChannelID) {
            self.hash = hash
            self.senderID = senderID
            self.channel = channel
        }
    }

    /// Makes invitations. One whose secret there is already stays as it is: the same form was sent twice.
    public func createInvitations(
        _ invitations: [NewInvitation], lifetime: Duration, by origination: Origination
    ) async throws {
        try await pool.transaction { transaction in
            for invitation in invitations {
                let made = try transaction.execute(
                    """
                    INSERT INTO invitations (secret_hash, sender_key, sender_id, channel, created_at, created_by, expires_at)
                    SELECT $1, $2, $3, $4, now, $5, now + $6 * interval '1 millisecond' FROM clock_timestamp() AS now
                    ON CONFLICT (secret_hash) DO NOTHING
                    """,
                    [
                        .bytes(invitation.hash), .text(invitation.senderID.key),
                        .text(invitation.senderID.text),
                        .text(invitation.channel.text), .text(origination.actor.name),
                        .int64(lifetime.milliseconds),
                    ])
                guard made == 1 else { continue }
                try transaction.record(
                    .invitationCreated, channel: invitation.channel, senderID: invitation.senderID,
                    by: origination)
            }
        }
    }

    /// Invitations, newest first; ended ones for 30 days.
    public func invitations(limit: Int) async throws -> [InvitationRow] {
        try await pool.query(
            """
            SELECT \(Self.invitationColumns) FROM invitations ORDER BY created_at DESC, invitation_id LIMIT $1
            """, [.int(limit)]
        ).map {
            InvitationRow(
                id: try $0.text("invitation_id"), senderID: try $0.senderID(), channel: try $0.channel(),
                createdAt: try $0.moment("created_at"), createdBy: try $0.text("created_by"),
                expiresAt: try $0.moment("expires_at"), endedAt: try $0.optionalMoment("ended_at"),
                withdrawnBy: try $0.optionalText("withdrawn_by"), isOpen: try $0.bool("open"))
        }
    }

    /// Withdraws an invitation.
    ///
    /// - Parameter id: a UUID.
    /// - Returns: `false` where there is none of that ID that has not ended.
    public func withdrawInvitation(_ id: String, by origination: Origination) async throws -> Bool {
        try await pool.transaction { transaction in
            let row = try transaction.query(
                """
                UPDATE invitations SET ended_at = clock_timestamp(), withdrawn_by = $2
                WHERE invitation_id = $1 AND ended_at IS NULL RETURNING sender_id, channel
                """, [.uuid(id), .text(origination.actor.name)]
            ).first
            guard let row else { return false }
            try transaction.record(
                .invitationWithdrawn, channel: try row.channel(), senderID: try row.senderID(),
                by: origination)
            return true
        }
    }

    /// When devices may ask to pair.
    public func pairingWindow() async throws -> PairingWindow {
        try await pool.query("SELECT mode, until FROM pairing_window").only().pairingWindow()
    }

    /// Decides when devices may ask to pair.
    ///
    /// - Parameter duration: from now on; `nil` for always or never.
    public func setPairingWindow(
        mode: String, for duration: Duration?, by origination: Origination
    ) async throws -> PairingWindow {
        try await pool.transaction { transaction in
            let window = try transaction.query(
                """
                UPDATE pairing_window SET mode = $1, until = clock_timestamp() + $2 * interval '1 millisecond'
                RETURNING mode, until
                """, [.text(mode), .int64(duration?.milliseconds)]
            ).only().pairingWindow()
            var details: [String: JSONValue] = ["mode": .string(window.mode)]
            if case .until(let time) = window { details["until"] = .integer(time.milliseconds) }
            try transaction.record(.pairingWindowChanged, by: origination, details: .object(details))
            return window
        }
    }
}

extension PostgresRow {
    func pairingWindow() throws -> PairingWindow {
        switch try text("mode") {
        case "always": .always
        case "until": .until(try moment("until"))
        default: .never
        }
    }
}

extension Transaction {
    /// Pairs a device that waits, because it holds an invitation.
    ///
    /// - Parameter hash: of the invitation's secret.
    /// - Returns: refused where it is none, is another device's, was used, withdrawn or has expired: one answer for all.
    func admit(
        _ request: PairingRequest, with hash: [UInt8], generation: Generation, from address: ClientAddress,
        now: Timestamp
    ) throws -> Outcome<Void> {
        let invitation = try query(
            """
            UPDATE invitations SET ended_at = clock_timestamp(), request_id = $4
            WHERE secret_hash = $1 AND sender_key = $2 AND channel = $3 AND ended_at IS NULL
                AND expires_at > clock_timestamp()
            RETURNING created_by
            """,
            [
                .bytes(hash), .text(request.senderID.key), .text(request.channel.text),
                .uuid(request.id.text),
            ]
        ).first
        guard let invitation else { return .refused(.invalidInvitation) }
        let origination = Origination(
            .invitation(by: try invitation.text("created_by")), address: address)
        var life = SenderLife(pending: request, active: nil, generation: generation)
        switch life.approve(id: request.id, code: request.code, by: origination.actor, now: now) {
        case .refuse(let refusal): return .refused(refusal)
        case .write(var device):
            device.commandsOff = try commandsOff(of: device.senderID)
            try end(request, as: .approved, by: origination.actor)
            try insert(device)
            try record(
                .invitationUsed, channel: device.channel, senderID: device.senderID, by: origination,
                requestID: request.id)
            try record(
                .pairingApproved, channel: device.channel, senderID: device.senderID, by: origination,
                requestID: request.id, generation: device.generation)
            return .done(())
        }
    }

    /// Whether an invitation can be used, before anything is written for it.
    func isInvited(_ hash: [UInt8], _ senderID: SenderID, _ channel: ChannelID) throws -> Bool {
        try !query(
            """
            SELECT 1 FROM invitations WHERE secret_hash = $1 AND sender_key = $2 AND channel = $3
                AND ended_at IS NULL AND expires_at > clock_timestamp() FOR UPDATE
            """, [.bytes(hash), .text(senderID.key), .text(channel.text)]
        ).isEmpty
    }
}

extension Refusal {
    /// One answer for whatever is wrong with an invitation.
    public static let invalidInvitation = Refusal(.invalidInvitation)

    /// Nobody may ask to pair at the moment.
    static func pairingClosed(_ window: PairingWindow) -> Refusal {
        var details: [String: JSONValue] = ["window": .string(window.mode)]
        if case .until(let time) = window { details["endedAt"] = .integer(time.milliseconds) }
        return Refusal(.pairingClosed, details: details)
    }
}
