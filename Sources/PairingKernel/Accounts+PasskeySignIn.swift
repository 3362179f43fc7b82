import Cryptography
import PairingCore
import PairingStore

/// Signing in with a passkey.
extension Accounts {
    /// Begins a sign-in with a passkey.
    ///
    /// - Parameters:
    ///   - browser: the secret of the browser's cookie, which the challenge is bound to.
    ///   - waiting: the secret of a sign-in that waits for a one-time code: then it has to be a passkey of that account.
    public func beginPasskeySignIn(
        browser: String, waiting: String?, from address: ClientAddress
    ) async throws(Refusal) {
        guard let binding = Self.binding(browser) else { throw Self.challengeEnded }
        try await refusing(logger) {
            var username: String?
            if let waiting {
                guard let bytes = Base64URL.decode(waiting, count: 32),
                    let found = try await store.waitingSignIn(sha256(bytes))
                else { throw Self.signInEnded }
                username = found.username
            }
            try await store.keep(
                .init(purpose: .signIn, bytes: try randomBytes(count: 32), username: username), for: binding,
                from: address, lifetime: Self.passkeyPatience)
        }
    }

    /// What an authenticator has to sign, in base64url; `nil` where nothing was begun, or it is too long ago.
    public func passkeyChallenge(browser: String) async throws(Refusal) -> String? {
        guard let binding = Self.binding(browser) else { return nil }
        return try await refusing(logger) {
            try await store.challenge(for: binding, purpose: .signIn, spends: false).map {
                Base64URL.encode($0.bytes)
            }
        }
    }

    /// Signs in with what an authenticator signed.
    ///
    /// - Throws: `UNAUTHORIZED`; what was wrong is in the audit, as the reason of a sign-in that failed.
    public func signIn(
        passkey assertion: PasskeyAssertion, waiting: String?, address: ClientAddress, browser: String,
        browserName: String = ""
    ) async throws(Refusal) -> SignIn {
        try await refusing(logger) {
            let identifier = decoded(assertion.credentialID)
            let passkey: PairingStore.PasskeyRow? =
                if let identifier, identifier.count <= AuthenticatorData.maximumIdentifierLength {
                    try await store.passkey(identifier)
                } else {
                    nil
                }
            let attempt = Self.attempt(passkey?.username ?? "", address, browser, browserName)
            func refuse(_ reason: String, _ refusal: Refusal = Self.wrongPasskey) async throws -> Refusal {
                let wait = try await store.recordFailedSignIn(
                    attempt, reason: reason, limits: Self.passkeyLimits)
                return wait.map { Refusal(.tooManySignIns, retryAfter: $0) } ?? refusal
            }
            guard let binding = Self.binding(browser),
                let challenge = try await store.challenge(for: binding, purpose: .signIn, spends: true)
            else {
                let ended = Self.challengeEnded
                throw try await refuse(
                    ended.reason, Refusal(.unauthorized, ended.reason, ended.message))
            }
            guard let passkey else { throw try await refuse("unknown_passkey") }
            guard let clientData = decoded(assertion.clientData),
                let rawData = decoded(assertion.authenticatorData), let data = AuthenticatorData(rawData),
                let signature = decoded(assertion.signature), data.made == nil,
                let key = SignatureKey(subjectPublicKeyInfo: passkey.publicKey)
            else { throw try await refuse("passkey_unreadable") }
            do {
                guard try check(clientData, .get, challenge: challenge.bytes, data) == passkey.host else {
                    throw try await refuse("passkey_origin")
                }
            } catch let refusal as Refusal where refusal.code == .failedPrecondition {
                throw try await refuse(
                    refusal.reason, Refusal(.unauthorized, refusal.reason, refusal.message))
            }
            guard key.isValidSignature(signature, for: rawData + sha256(clientData)) else {
                throw try await refuse("passkey_signature")
            }
            // An authenticator that keeps passkeys says whose it is; what the sign-in is of was said before.
            guard decoded(assertion.userHandle) == passkey.userHandle,
                challenge.username == nil || challenge.username == passkey.username
            else { throw try await refuse("passkey_of_another_account") }
            let (secret, place) = (try randomBytes(count: 32), try randomBytes(count: 32))
            let result = try await store.signedIn(
                attempt, with: passkey, signCount: data.signCount,
                waiting: waiting.flatMap { Base64URL.decode($0, count: 32) }.map { sha256($0) },
                sessionHash: sha256(secret), newBrowserPlace: sha256(place))
            switch result {
            case .signedIn:
                return SignIn(
                    sessionSecret: Base64URL.encode(secret), lifetime: settings.sessionAbsoluteTimeout,
                    browserSecret: Base64URL.encode(place), username: passkey.username)
            case .counted: throw try await refuse("passkey_copied", Self.copiedPasskey)
            case .ended: throw try await refuse("unknown_passkey")
            }
        }
    }

    /// What a passkey signs can't be guessed: this keeps strangers from filling the audit, and holds up nobody who has one.
    private static let passkeyLimits = PairingStore.SignInLimits(
        failuresPerAccount: 100, failuresPerAddress: 100, failuresPerKnownPlace: 100,
        window: .seconds(15 * 60))

    private static func binding(_ browser: String) -> [UInt8]? {
        Base64URL.decode(browser, count: 32).map { sha256($0) }
    }

    private static let wrongPasskey = Refusal(.wrongPasskey)
    private static let copiedPasskey = Refusal(.passkeyCopied)
}
