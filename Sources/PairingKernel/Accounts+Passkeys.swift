import Cryptography
import PairingCore
import PairingStore

/// A passkey as its owner sees it.
public struct OwnPasskey: Sendable {
    /// Its public identifier.
    public var id: String
    /// What its owner calls it.
    public var name: String
    /// The host that it is for.
    public var host: String
    /// When it was added.
    public var createdAt: Timestamp
    /// When somebody last signed in with it.
    public var lastUsedAt: Timestamp?
}

/// How somebody stands with passkeys.
public struct OwnPasskeys: Sendable {
    /// Those that the account has, the first added first.
    public var passkeys: [OwnPasskey]
    /// What an authenticator is to make, where one is being added.
    public var offer: Offer?

    /// Wraps the two.
    public init(passkeys: [OwnPasskey], offer: Offer? = nil) {
        self.passkeys = passkeys
        self.offer = offer
    }

    /// What an authenticator needs to make a passkey (WebAuthn Level 2 §5.4).
    public struct Offer: Sendable {
        /// In base64url.
        public var challenge: String
        /// What it knows the account by; in base64url.
        public var userHandle: String
        /// What the passkey will be called.
        public var name: String
        /// The identifiers of those that are there already, in base64url.
        public var known: [String]
    }
}

/// What a browser sends of a passkey that an authenticator made; in base64url.
public struct PasskeyRegistration: Sendable {
    /// What the browser says of what it was asked for (JSON).
    public var clientData: String
    /// What the authenticator says of the passkey (CBOR).
    public var attestation: String

    /// Wraps the two.
    public init(clientData: String, attestation: String) {
        self.clientData = clientData
        self.attestation = attestation
    }
}

/// What a browser sends of a signature by a passkey; in base64url.
public struct PasskeyAssertion: Sendable {
    /// The passkey's identifier.
    public var credentialID: String
    /// What the browser says of what it was asked for (JSON).
    public var clientData: String
    /// What the authenticator says of itself.
    public var authenticatorData: String
    /// Over the authenticator's data and the hash of the browser's.
    public var signature: String
    /// What the authenticator knows the account by.
    public var userHandle: String

    /// Wraps the parts.
    public init(
        credentialID: String, clientData: String, authenticatorData: String, signature: String,
        userHandle: String
    ) {
        self.credentialID = credentialID
        self.clientData = clientData
        self.authenticatorData = authenticatorData
        self.signature = signature
        self.userHandle = userHandle
    }
}

/// Passkeys (WebAuthn Level 2). One signs in by itself, in place of name, password and one-time code: it always takes
/// the authenticator's own check of who is there, so it is something one has and something one knows or is.
extension Accounts {
    /// How long somebody may take to use an authenticator.
    static let passkeyPatience = Duration.seconds(300)

    /// How whoever is signed in stands with passkeys.
    public func ownPasskeys(_ session: AdminSession) async throws(Refusal) -> OwnPasskeys {
        try await refusing(logger) {
            let rows = try await store.passkeys(of: session.username)
            var offer: OwnPasskeys.Offer?
            if let binding = session.hash,
                let challenge = try await store.challenge(for: binding, purpose: .add, spends: false),
                let handle = try await store.userHandle(of: session.username)
            {
                offer = OwnPasskeys.Offer(
                    challenge: Base64URL.encode(challenge.bytes), userHandle: Base64URL.encode(handle),
                    name: challenge.name, known: rows.map { Base64URL.encode($0.credentialID) })
            }
            return OwnPasskeys(
                passkeys: rows.map {
                    OwnPasskey(
                        id: $0.id, name: $0.name, host: $0.host, createdAt: $0.createdAt,
                        lastUsedAt: $0.lastUsedAt)
                }, offer: offer)
        }
    }

    /// Prepares for a passkey: what an authenticator has to make is then part of ``ownPasskeys(_:)``.
    public func offerPasskey(
        named name: String, password: String, at seat: Seat, in session: AdminSession
    ) async throws(Refusal) {
        guard let binding = session.hash else { throw Self.noBrowser }
        let name = try Self.passkeyName(name)
        try await refusing(logger) {
            _ = try await verify(password, at: seat, in: session)
            try await store.keep(
                .init(
                    purpose: .add, bytes: try randomBytes(count: 32), username: session.username, name: name),
                for: binding, from: seat.address, lifetime: Self.passkeyPatience)
        }
    }

    /// Adds the passkey that an authenticator made.
    ///
    /// - Throws: `FAILED_PRECONDITION` where nothing was prepared, it is not what was asked for, or it is an account's
    ///   already; then nothing changes, and the audit says so.
    public func addPasskey(
        _ registration: PasskeyRegistration, from address: ClientAddress?, in session: AdminSession
    ) async throws(Refusal) {
        do {
            try await add(registration, from: address, in: session)
        } catch {
            if error.code == .failedPrecondition {
                await note(error.reason, [:], of: "/account", from: address, by: session.authority.actor)
            }
            throw error
        }
    }

    private func add(
        _ registration: PasskeyRegistration, from address: ClientAddress?, in session: AdminSession
    ) async throws(Refusal) {
        guard let binding = session.hash else { throw Self.noBrowser }
        try await refusing(logger) {
            guard let challenge = try await store.challenge(for: binding, purpose: .add, spends: true) else {
                throw Self.challengeEnded
            }
            guard let clientData = decoded(registration.clientData),
                let attestation = decoded(registration.attestation).flatMap({ CBORValue($0) }),
                attestation["fmt"]?.text != nil, case .map? = attestation["attStmt"],
                let data = attestation["authData"]?.bytes.flatMap({ AuthenticatorData($0) }),
                let made = data.made, let key = PasskeyPublicKey(cose: made.key),
                SignatureKey(subjectPublicKeyInfo: key.subjectPublicKeyInfo) != nil
            else { throw Self.unreadablePasskey }
            // Who made the authenticator is not asked (attestation "none"), so its statement is not looked at.
            let host = try check(clientData, .create, challenge: challenge.bytes, data)
            let result = try await store.addPasskey(
                made.credentialID, publicKey: key.subjectPublicKeyInfo, host: host, name: challenge.name,
                signCount: data.signCount, to: session.username,
                by: Origination(session.authority.actor, address: address))
            switch result {
            case .added: break
            case .taken:
                throw Refusal(.passkeyTaken)
            case .full:
                throw Refusal(
                    .tooManyPasskeys,
                    "An account has at most \(PairingStore.passkeysPerAccount) passkeys. Remove one first.")
            }
        }
    }

    /// Gives one of one's passkeys another name.
    public func renamePasskey(
        _ id: String, to name: String, from address: ClientAddress?, in session: AdminSession
    ) async throws(Refusal) {
        let name = try Self.passkeyName(name)
        let isKnown = try await refusing(logger) {
            guard let id = RequestID(id) else { return false }
            return try await store.renamePasskey(
                id.text, of: session.username, to: name,
                by: Origination(session.authority.actor, address: address))
        }
        if !isKnown { throw await unknownPasskey(from: address, in: session) }
    }

    /// Removes one of one's passkeys.
    public func removePasskey(
        _ id: String, from address: ClientAddress?, in session: AdminSession
    ) async throws(Refusal) {
        let removed = try await refusing(logger) {
            guard let id = RequestID(id) else { return 0 }
            return try await store.removePasskeys(
                id.text, of: session.username, by: Origination(session.authority.actor, address: address))
                ?? 0
        }
        if removed == 0 { throw await unknownPasskey(from: address, in: session) }
    }

    /// Removes every passkey of an account, for an owner whose devices are lost or stolen.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public func removePasskeys(
        of username: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) -> Int {
        try authority.require(.administer)
        let removed = try await refusing(logger) {
            try await store.removePasskeys(
                nil, of: username, by: Origination(authority.actor, address: address))
        }
        guard let removed else { throw Refusal.unknownAccount(username) }
        return removed
    }

    private func unknownPasskey(from address: ClientAddress?, in session: AdminSession) async -> Refusal {
        await note("unknown_passkey", [:], of: "/account", from: address, by: session.authority.actor)
        return Refusal(.unknownPasskey)
    }

    static func passkeyName(_ text: String) throws(Refusal) -> String {
        let name = cleanDeviceText(text, maximumScalars: 64)
        guard !name.isEmpty else {
            throw Refusal(.noName)
        }
        return name
    }

    func decoded(_ text: String) -> [UInt8]? {
        // Four characters stand for three bytes.
        let count = text.utf8.count / 4 * 3 + [0, 0, 1, 2][text.utf8.count % 4]
        guard (1...CBORReader.maximumLength).contains(count) else { return nil }
        return Base64URL.decode(text, count: count)
    }

    /// Checks what a browser and an authenticator say against what was asked (WebAuthn Level 2 §7.1, steps 7 to 15;
    /// §7.2, steps 11 to 17).
    ///
    /// - Returns: the host that the passkey is for.
    func check(
        _ clientData: [UInt8], _ purpose: PasskeyClientData.Purpose, challenge: [UInt8],
        _ data: AuthenticatorData
    ) throws -> String {
        guard let client = PasskeyClientData(clientData), client.purpose == purpose,
            constantTimeEquals(client.challenge, challenge)
        else { throw Self.unreadablePasskey }
        guard settings.origins.origins.contains(client.origin),
            data.hostHash == sha256(Array(client.origin.host.utf8))
        else {
            throw Refusal(.passkeyOrigin)
        }
        guard data.isUserPresent, data.isUserVerified else {
            throw Refusal(.passkeyUnverified)
        }
        return client.origin.host
    }

    static let challengeEnded = Refusal(.passkeyChallenge)
    static let unreadablePasskey = Refusal(.passkeyUnreadable)
    private static let noBrowser = Refusal(.noSession)
}
