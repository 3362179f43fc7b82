import ChannelHost
import Cryptography
import Logging
import PairingCore
import PairingStore

/// What devices ask for before they have a session.
struct DevicePairing: Sendable {
    let store: PairingStore
    let channels: ChannelHost
    let settings: PairingSettings
    let check: CredentialCheck
    let logger: Logger
    /// Where those wait who have no active pairing to show, before the database is asked about them.
    let strangers = Gate(width: 2)
    private let lookup: Batcher<SenderID, PairedDevice?>

    init(
        store: PairingStore, channels: ChannelHost, settings: PairingSettings, clock: @escaping WallClock,
        logger: Logger
    ) {
        self.store = store
        self.channels = channels
        self.settings = settings
        self.logger = logger
        check = CredentialCheck(window: settings.proofWindow, clock: clock)
        lookup = Batcher(concurrency: 2) { senderIDs in
            let devices = try await store.activeDevices(of: senderIDs)
            return senderIDs.map { devices[$0.key] }
        }
    }

    /// Where whoever proved a credential stands.
    enum Standing {
        case active(PairedDevice)
        case pending(PairingTicket)
        case denied(retryAfter: Duration?, reason: String?)
        case expired
        /// - Parameter ago: how long it has been.
        case revoked(reason: String?, ago: Duration)
        /// Nothing is known that the evidence proves; a stranger's answer, whatever there is.
        case unknown
    }

    func requestPairing(
        _ claim: PairingClaim, from peer: Peer, instance: InstanceID, socket: SocketID
    ) async throws(Refusal) -> PairingAnswer {
        try requireChannels()
        let (credential, madeToken) = try credential(of: claim, from: peer)
        let displayName = cleanDeviceText(claim.displayName, maximumScalars: 64)
        let metadata = try metadata(of: claim)
        let review = try await channels.review(
            ChannelClaim(
                channel: claim.channel, senderID: claim.senderID, displayName: displayName,
                metadata: metadata, hasKey: credential.isKey))
        let lifetime = channels.channel(claim.channel)?.limits.pairingLifetime
        var stored = PairingStore.Claim(
            senderID: claim.senderID, channel: claim.channel, credential: credential,
            profile: DeviceProfile(
                displayName: displayName, metadata: metadata,
                details: review.details + Self.marks(of: claim.credential)),
            address: peer.address, freshCodes: try freshCodes(),
            settings: PairingStore.ClaimLimits(
                lifetime: min(settings.pairingCodeTTL, lifetime ?? settings.pairingCodeTTL),
                cooldown: settings.pairingCooldown, requestsPerAddress: settings.requestsPerAddress,
                requestsTotal: settings.requestsTotal, maximumMetadataBytes: settings.maximumMetadataBytes))
        stored.ownCode = claim.code
        if let invitation = claim.invitation {
            guard madeToken == nil else {
                throw Refusal(
                    .invalidRequest, "bad_parameter",
                    "invitation: send a deviceToken or a public key with it, so that nothing secret has to come back.",
                    details: ["parameter": .string("invitation")])
            }
            guard let secret = InvitationSecret(invitation) else { throw Refusal.invalidInvitation }
            stored.invitation = sha256(secret.bytes)
        }
        stored.instanceID = instance
        stored.socketID = socket
        let claim = stored
        let result = try await refusing(logger) {
            try await strangers.pass(peer.address) { try await store.claim(claim) }
        }.get()
        switch result {
        case .alreadyPaired: return .approved
        case .pending(let request, let expiresIn):
            return .pending(ticket(request, expiresIn: expiresIn, token: madeToken))
        }
    }

    /// What the administrator is told of how the device proves itself.
    private static func marks(of credential: ClaimedCredential) -> [Detail] {
        guard case .key(_, let proof) = credential, !proof.foreignTexts.isEmpty else { return [] }
        return [.openClawSignature]
    }

    /// Finds what the evidence proves: the active pairing first, then the pending request, then the newest
    /// that ended.
    func standing(
        of identity: DeviceIdentity, purpose: ProofPurpose, from peer: Peer
    ) async throws(Refusal) -> Standing {
        try requireChannels()
        if case .proof(let proof) = identity.evidence {
            try check.precheck(proof, from: peer, code: .unauthorized)
        }
        let senderID = identity.senderID
        var evidence = EvidenceCheck(check, of: identity, purpose: purpose, from: peer)
        return try await refusing(logger) {
            if let device = try await lookup.submit(senderID),
                try evidence.proves(device.channel, device.credential, isPaired: true)
            {
                return .active(device)
            }
            let history = try await strangers.pass(peer.address) { try await store.history(of: senderID) }
            return try standing(of: &evidence, in: history)
        }
    }

    func requireChannels() throws(Refusal) {
        guard settings.edition == .standard else {
            throw Refusal(
                .forbidden, "lite_edition",
                "The lite edition has no channels: devices cannot be paired with it.")
        }
    }

    func ticket(
        _ request: PairingRequest, expiresIn: Duration, token: DeviceToken? = nil
    ) -> PairingTicket {
        PairingTicket(
            requestID: request.id, code: request.code, channel: request.channel, senderID: request.senderID,
            deviceToken: token, expiresAt: request.expiresAt, expiresIn: max(.zero, expiresIn))
    }

    private func standing(
        of evidence: inout EvidenceCheck, in history: PairingStore.History
    ) throws(Refusal) -> Standing {
        if let device = history.devices.first(where: { $0.state == .active }),
            try evidence.proves(device.channel, device.credential, isPaired: true)
        {
            return .active(device)
        }
        if let request = history.requests.first(where: { $0.state == .pending }),
            try evidence.proves(request.channel, request.credential)
        {
            return request.expiresAt > history.now
                ? .pending(ticket(request, expiresIn: request.expiresAt - history.now)) : .expired
        }
        // One request's evidence proves one credential at most. What administrators ended is tried first: requests
        // that expired anybody can heap upon a sender ID.
        let revocations = history.devices.filter { $0.state == .revoked }
        let endings = history.requests.filter { $0.state != .pending }
        var decided: [(at: Int64, channel: ChannelID, credential: StoredCredential)] = revocations.map {
            ($0.revokedAt?.milliseconds ?? 0, $0.channel, $0.credential)
        }
        var expired: [(channel: ChannelID, credential: StoredCredential)] = []
        for request in endings {
            if request.state == .denied {
                decided.append((request.decidedAt?.milliseconds ?? 0, request.channel, request.credential))
            } else {
                expired.append((request.channel, request.credential))
            }
        }
        decided.sort { $0.at > $1.at }
        var proven: (channel: ChannelID, credential: StoredCredential)?
        for (channel, credential) in decided.map({ ($0.channel, $0.credential) }) + expired
        where proven == nil {
            if try evidence.proves(channel, credential) { proven = (channel, credential) }
        }
        guard let proven else { return .unknown }
        let revoked = revocations.first { $0.channel == proven.channel && $0.credential == proven.credential }
        let ended = endings.first { $0.channel == proven.channel && $0.credential == proven.credential }
        if let ended, let at = ended.decidedAt, at > revoked?.revokedAt ?? Timestamp(milliseconds: 0) {
            guard ended.state == .denied else { return .expired }
            let left = at + settings.pairingCooldown - history.now
            let waits = left > .zero && !history.cooldownCleared.contains(ended.id)
            return .denied(retryAfter: waits ? left : nil, reason: ended.reason)
        }
        return revoked.map {
            .revoked(reason: $0.revokeReason, ago: history.now - ($0.revokedAt ?? history.now))
        } ?? .unknown
    }

    /// The credential a claim is bound to, proven; a key without a valid proof is `INVALID_REQUEST`.
    private func credential(
        of claim: PairingClaim, from peer: Peer
    ) throws(Refusal) -> (StoredCredential, made: DeviceToken?) {
        switch claim.credential {
        case .key(let key, let proof):
            try check.precheck(proof, from: peer, code: .invalidRequest)
            var payments = SignaturePayments(of: peer, from: .strangers)
            guard
                try check.isValid(
                    proof, purpose: .pair, channel: claim.channel, senderID: claim.senderID, key: key,
                    from: peer, paying: &payments)
            else {
                throw Refusal(
                    .invalidRequest, "invalid_proof",
                    "The signature does not prove the key. Sign nodes-v1|pair|<origin>|<channel>|<senderId>|"
                        + "<publicKey>|<signedAt>|<nonce> with the origin you dialled and the nonce of this socket."
                )
            }
            return (.key(key), nil)
        case .token(let token):
            return (.tokenHash(sha256(token.bytes)), nil)
        case .none:
            guard let token = DeviceToken(bytes: try random(count: 32)) else { throw .internal }
            return (.tokenHash(sha256(token.bytes)), token)
        }
    }

    private func metadata(of claim: PairingClaim) throws(Refusal) -> String {
        guard case .object = claim.metadata else {
            throw Refusal(.invalidRequest, "invalid_metadata", "metadata is expected to be a JSON object.")
        }
        let text = claim.metadata.cleaned(maximumScalars: settings.maximumMetadataBytes).text
        guard text.utf8.count <= settings.maximumMetadataBytes else {
            throw .metadataTooLarge(text.utf8.count, most: settings.maximumMetadataBytes)
        }
        return text
    }

    private func freshCodes() throws(Refusal) -> [PairingCode] {
        let bytes = try random(count: 4 * PairingCode.length)
        return (0..<4).map { PairingCode(randomBytes: Array(bytes.dropFirst($0 * PairingCode.length))) }
    }

    private func random(count: Int) throws(Refusal) -> [UInt8] {
        do {
            return try randomBytes(count: count)
        } catch {
            logger.critical("No random bytes", metadata: ["error": "\(error)"])
            throw .internal
        }
    }
}
