import PairingCore
import Postgres

extension PairingStore {
    /// A device's claim on a sender ID; its credential is proven and its texts are cleaned.
    public struct Claim: Sendable {
        /// The device's identifier.
        public var senderID: SenderID
        /// The kind of device.
        public var channel: ChannelID
        /// What the request is bound to.
        public var credential: StoredCredential
        /// What the device says of itself.
        public var profile: DeviceProfile
        /// Where the claim comes from.
        public var address: ClientAddress
        /// The code the device chose itself; used if no request of the last 30 days had it.
        public var ownCode: PairingCode?
        /// Fresh random codes, in case the device chose none; more than one, in case one is taken.
        public var freshCodes: [PairingCode]
        /// How long the request waits for a decision.
        public var lifetime: Duration
        /// How long a denied credential and address wait.
        public var cooldown: Duration
        /// Live requests an address may hold.
        public var requestsPerAddress: Int
        /// Live requests in all.
        public var requestsTotal: Int
        /// Greatest length of the metadata's text in NFC, in bytes.
        public var maximumMetadataBytes: Int
        /// The hash of the secret of an invitation that the device presents.
        public var invitation: [UInt8]?
        /// The gateway whose socket waits for the decision.
        public var instanceID: InstanceID?
        /// The socket that waits for the decision.
        public var socketID: SocketID?

        /// Wraps the parts that have no default.
        public init(
            senderID: SenderID, channel: ChannelID, credential: StoredCredential, profile: DeviceProfile,
            address: ClientAddress, freshCodes: [PairingCode], settings: ClaimLimits
        ) {
            self.senderID = senderID
            self.channel = channel
            self.credential = credential
            self.profile = profile
            self.address = address
            self.freshCodes = freshCodes
            lifetime = settings.lifetime
            cooldown = settings.cooldown
            requestsPerAddress = settings.requestsPerAddress
            requestsTotal = settings.requestsTotal
            maximumMetadataBytes = settings.maximumMetadataBytes
        }
    }

    /// The limits a claim is held to.
    public struct ClaimLimits: Sendable {
        /// How long a request waits for a decision.
        public var lifetime: Duration
        /// How long a denied credential and address wait.
        public var cooldown: Duration
        /// Live requests an address may hold.
        public var requestsPerAddress: Int
        /// Live requests in all.
        public var requestsTotal: Int
        /// Greatest length of the metadata's text in NFC, in bytes.
        public var maximumMetadataBytes: Int

        /// Wraps the limits.
        public init(
            lifetime: Duration, cooldown: Duration, requestsPerAddress: Int, requestsTotal: Int,
            maximumMetadataBytes: Int
        ) {
            self.lifetime = lifetime
            self.cooldown = cooldown
            self.requestsPerAddress = requestsPerAddress
            self.requestsTotal = requestsTotal
            self.maximumMetadataBytes = maximumMetadataBytes
        }
    }

    /// What a claim led to.
    public enum ClaimResult: Sendable {
        /// A request is pending: a new one, or the device's own from before, unchanged (I11).
        case pending(PairingRequest, expiresIn: Duration)
        /// The device is paired already.
        case alreadyPaired
    }

    /// Claims a sender ID for a device (I1, I2, I11).
    public func claim(_ claim: Claim) async throws -> Outcome<ClaimResult> {
        try await pool.transaction { transaction in
            try transaction.lock(claim.senderID)
            var (life, now) = try transaction.life(of: claim.senderID, cooldown: claim.cooldown)
            // An expiry holds the event counter, which others wait for while they hold the count.
            if life.isDue(now: now) { try transaction.lockRequestCount() }
            try transaction.expire(&life, now: now)
            let action = life.claim(
                channel: claim.channel, credential: claim.credential, address: claim.address, now: now)
            switch action {
            case .alreadyPaired:
                return .done(.alreadyPaired)
            case .repeated(let request):
                if let invitation = claim.invitation {
                    let outcome = try transaction.admit(
                        request, with: invitation, generation: life.generation, from: claim.address, now: now)
                    if case .refused(let refusal) = outcome { return .refused(refusal) }
                    return .done(.alreadyPaired)
                }
                try transaction.wait(claim, on: request.id)
                return .done(.pending(request, expiresIn: request.expiresAt - now))
            case .wait(let refusal):
                return .refused(refusal)
            case .rival(let refusal):
                try transaction.recordRival(claim, now: now)
                return .refused(refusal)
            case .create:
                if let invitation = claim.invitation,
                    try !transaction.isInvited(invitation, claim.senderID, claim.channel)
                {
                    return .refused(.invalidInvitation)
                }
                let room: RequestRoom
                switch try transaction.room(for: claim) {
                case .done(let found): room = found
                case .refused(let refusal): return .refused(refusal)
                }
                guard let code = try transaction.freeCode(for: claim) else {
                    return .refused(
                        Refusal(
                            .invalidRequest, "code_taken",
                            "Another request had this code. Choose another one, or send none and use the code in the "
                                + "answer."))
                }
                if case .afterDisplacing(let held) = room,
                    try !transaction.displaceRequest(of: held)
                {
                    return .refused(.requestsTotal)
                }
                let request = try transaction.insert(claim, code: code)
                try transaction.record(
                    .pairingRequested, channel: claim.channel, senderID: claim.senderID,
                    by: Origination(.device, address: claim.address), requestID: request.id,
                    details: .object(claim.profile.marks))
                if let invitation = claim.invitation {
                    let outcome = try transaction.admit(
                        request, with: invitation, generation: life.generation, from: claim.address, now: now)
                    if case .refused(let refusal) = outcome { return .refused(refusal) }
                    return .done(.alreadyPaired)
                }
                return .done(.pending(request, expiresIn: claim.lifetime))
            }
        }
    }
}

extension Transaction {
    /// Everything that decides about a sender ID, read under its lock, and the time.
    ///
    /// - Returns: `now` is the database's time, not the transaction's: what was locked meanwhile may have taken a
    ///   while.
    func life(
        of senderID: SenderID, cooldown: Duration = .zero
    ) throws -> (life: SenderLife, now: Timestamp) {
        let key = PostgresValue.text(senderID.key)
        let answers = try query([
            (
                """
                SELECT clock_timestamp() AS now, s.generation AS newest_generation, \(Columns.device)
                FROM (SELECT $1::text AS sender_key) wanted
                LEFT JOIN device_streams s ON s.sender_key = wanted.sender_key
                LEFT JOIN paired_devices d ON d.sender_key = wanted.sender_key AND d.state = 'active'
                """, [key]
            ),
            (
                """
                SELECT \(Columns.request) FROM pairing_requests
                WHERE sender_key = $1 AND (state = 'pending' OR state = 'denied' AND NOT cooldown_cleared
                    AND decided_at > clock_timestamp() - $2 * interval '1 millisecond')
                """, [key, .int64(cooldown.milliseconds)]
            ),
        ])
        let row = try answers[0].only()
        let requests = try answers[1].map { try $0.pairingRequest() }
        let life = SenderLife(
            pending: requests.first { $0.state == .pending },
            active: try row.optionalText("request_id") == nil ? nil : try row.pairedDevice(),
            generation: Generation(try row.optionalInt64("newest_generation") ?? 0),
            denials: requests.compactMap { request in
                request.decidedAt.map {
                    SenderLife.Denial(
                        credential: request.credential, address: request.address, until: $0 + cooldown)
                }
            })
        return (life, try row.moment("now"))
    }

    /// Ends the pending request if its time is over.
    func expire(_ life: inout SenderLife, now: Timestamp) throws {
        guard let expired = life.expire(now: now) else { return }
        try end(expired, as: .expired, by: .system)
        try record(
            .pairingExpired, channel: expired.channel, senderID: expired.senderID, by: Origination(.system),
            requestID: expired.id)
    }

    func end(
        _ request: PairingRequest, as state: RequestState, by actor: Actor, because reason: String? = nil
    ) throws {
        try enqueue(
            """
            UPDATE pairing_requests SET state = $2, decided_at = clock_timestamp(), decided_by = $3,
                reason = normalize($4::text, NFC), waiting_instance = NULL, waiting_socket = NULL
            WHERE request_id = $1
            """, [.uuid(request.id.text), .text(state.rawValue), .text(actor.name), .text(reason)])
    }

    /// Remembers which socket waits: of several, the newest is authenticated on approval. One that asks again and
    /// again has nothing written.
    fileprivate func wait(_ claim: PairingStore.Claim, on id: RequestID) throws {
        guard let instance = claim.instanceID, let socket = claim.socketID else { return }
        try enqueue(
            """
            UPDATE pairing_requests SET waiting_instance = $2, waiting_socket = $3
            WHERE request_id = $1 AND (waiting_instance, waiting_socket) IS DISTINCT FROM ($2, $3)
            """, [.uuid(id.text), .uuid(instance.text), .int64(Int64(bitPattern: socket.number))])
    }

    /// The limits that a device which has no live request yet is held to.
    fileprivate func room(for claim: PairingStore.Claim) throws -> Outcome<RequestRoom> {
        if case .tokenHash(let hash) = claim.credential,
            try !query(
                "SELECT 1 FROM paired_devices WHERE token_hash = $1 AND state = 'revoked' LIMIT 1",
                [.bytes(hash)]
            ).isEmpty
        {
            return .refused(
                Refusal(
                    .invalidRequest, "token_revoked",
                    "This device token belongs to a revoked pairing. Make a new token and ask again."))
        }
        try lockRequestCount()
        let counts = try query(
            """
            SELECT count(*) AS total, count(*) FILTER (WHERE address_limit_key = $1) AS of_address,
                count(*) FILTER (WHERE network_block = $2) AS of_block,
                min(expires_at) FILTER (WHERE address_limit_key = $1) AS address_until, clock_timestamp() AS now,
                octet_length(normalize($3, NFC)) AS metadata_bytes,
                (SELECT mode FROM pairing_window) AS mode, (SELECT until FROM pairing_window) AS until
            FROM pairing_requests WHERE state = 'pending' AND expires_at > clock_timestamp()
            """,
            [
                .text(claim.address.limitKey), .text(claim.address.networkBlock),
                .text(claim.profile.metadata),
            ]
        ).only()
        if claim.invitation == nil {
            let window = try counts.pairingWindow()
            switch window {
            case .always: break
            case .until(let time) where time > (try counts.moment("now")): break
            case .until, .never: return .refused(.pairingClosed(window))
            }
        }
        // Some characters are longer in NFC.
        let metadataBytes = try counts.int("metadata_bytes")
        if metadataBytes > claim.maximumMetadataBytes {
            return .refused(.metadataTooLarge(metadataBytes, most: claim.maximumMetadataBytes))
        }
        if try counts.int("of_address") >= claim.requestsPerAddress {
            return .refused(
                Refusal(
                    .resourceExhausted, "requests_of_address",
                    "\(claim.requestsPerAddress) pairing requests from this address wait already. Have them "
                        + "decided, or wait until they expire.", retryable: true,
                    retryAfter: .untilDecided(
                        try counts.optionalMoment("address_until").map { $0 - (try counts.moment("now")) })))
        }
        // A block may hold as many as there is room left. So the blocks that hold most are refused first, and a
        // flood from one network leaves half of the room to the others (Choudhury and Hahne, "Dynamic queue length
        // thresholds", 1998). Beyond that a block takes the place of one that holds more (I13).
        let room = claim.requestsTotal - (try counts.int("total"))
        let held = try counts.int("of_block")
        return .done(room > 0 && held < room ? .free : .afterDisplacing(held: held))
    }

    /// One new request at a time: otherwise requests that arrive together would each see room for one.
    ///
    /// Taken after the sender ID's lock and before the event counter.
    fileprivate func lockRequestCount() throws {
        try enqueue("SELECT pg_advisory_xact_lock(hashtextextended('pairing-requests', 0))")
    }

    fileprivate func freeCode(for claim: PairingStore.Claim) throws -> PairingCode? {
        let wanted = claim.ownCode.map { [$0] } ?? claim.freshCodes
        let taken = try query(
            "SELECT code FROM pairing_requests WHERE code = ANY($1)", [.texts(wanted.map(\.text))]
        ).map { try $0.text("code") }
        return wanted.first { !taken.contains($0.text) }
    }

    fileprivate func insert(_ claim: PairingStore.Claim, code: PairingCode) throws -> PairingRequest {
        let (key, hash) = claim.credential.columns
        return try query(
            """
            INSERT INTO pairing_requests (sender_key, sender_id, channel, code, public_key, token_hash,
                display_name, metadata, detail_labels, detail_values, address, address_limit_key, network_block,
                waiting_instance, waiting_socket, created_at, expires_at)
            SELECT $1, $2, $3, $4, $5, $6, normalize($7, NFC), normalize($8, NFC)::json,
                ARRAY(SELECT normalize(label, NFC) FROM unnest($9::text[]) AS label),
                ARRAY(SELECT normalize(value, NFC) FROM unnest($10::text[]) AS value),
                $11, $12, $13, $14, $15, now, now + $16 * interval '1 millisecond'
            FROM clock_timestamp() AS now
            RETURNING \(Columns.request)
            """,
            [
                .text(claim.senderID.key), .text(claim.senderID.text), .text(claim.channel.text),
                .text(code.text), .bytes(key), .bytes(hash), .text(claim.profile.displayName),
                .text(claim.profile.metadata), .texts(claim.profile.details.map(\.label)),
                .texts(claim.profile.details.map(\.value)), .text(claim.address.description),
                .text(claim.address.limitKey), .text(claim.address.networkBlock),
                .uuid(claim.instanceID?.text), .int64(claim.socketID.map { Int64(bitPattern: $0.number) }),
                .int64(claim.lifetime.milliseconds),
            ]
        ).only().pairingRequest()
    }

    /// Shows the rival to the administrator: one row an address and channel, twenty a sender ID at most.
    fileprivate func recordRival(_ claim: PairingStore.Claim, now: Timestamp) throws {
        let known = try query(
            "SELECT address_limit_key, channel FROM rival_claims WHERE sender_key = $1",
            [.text(claim.senderID.key)])
        let isNew = try !known.contains {
            try $0.text("address_limit_key") == claim.address.limitKey
                && $0.text("channel") == claim.channel.text
        }
        guard !isNew || known.count < 20 else { return }
        try enqueue(
            """
            INSERT INTO rival_claims (sender_key, address_limit_key, channel, address, last_at)
            VALUES ($1, $2, $3, $4, clock_timestamp())
            ON CONFLICT (sender_key, address_limit_key, channel) DO UPDATE
            SET attempts = least(rival_claims.attempts, 1000000) + 1, last_at = excluded.last_at,
                address = excluded.address
            """,
            [
                .text(claim.senderID.key), .text(claim.address.limitKey), .text(claim.channel.text),
                .text(claim.address.description),
            ])
        // A flood of rivals is one event each address, not one each attempt.
        if isNew {
            try record(
                .pairingRivalRefused, channel: claim.channel, senderID: claim.senderID,
                by: Origination(.device, address: claim.address))
        }
    }
}

extension Duration {
    /// How long to wait for room among the requests that wait for a decision.
    ///
    /// Administrators make room at any moment, so it is a short time; where a request expires before, it is until then.
    ///
    /// - Parameter left: until the first of them expires; `nil` where that is not known.
    static func untilDecided(_ left: Duration?) -> Duration {
        max(.seconds(1), min(left ?? .seconds(5), .seconds(5)))
    }
}

extension Refusal {
    /// The metadata is longer than a request may carry.
    public static func metadataTooLarge(_ bytes: Int, most: Int) -> Refusal {
        Refusal(
            .invalidRequest, "metadata_too_large",
            "metadata is \(bytes) bytes as compact JSON; at most \(most) are accepted.")
    }
}

extension StoredCredential {
    /// The values of the columns `public_key` and `token_hash`.
    var columns: (key: [UInt8]?, tokenHash: [UInt8]?) {
        switch self {
        case .key(let key): (key.bytes, nil)
        case .tokenHash(let hash): (nil, hash)
        }
    }
}

extension PostgresRows {
    /// The row of a statement that always has one.
    func only() throws -> PostgresRow {
        guard let row = first else { throw CorruptRow(column: "(no row)") }
        return row
    }
}
