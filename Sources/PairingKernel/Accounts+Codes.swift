import Cryptography
import PairingCore
import PairingStore

/// How somebody stands with one-time codes.
public struct OwnCodes: Sendable, Equatable {
    /// Whether this installation has a key to keep secrets under.
    public var isAvailable: Bool
    /// Since when signing in takes a code; `nil` where it takes none.
    public var since: Timestamp?
    /// A secret that waits to be taken into an app.
    public var offer: Offer?
    /// How many recovery codes are left.
    public var recoveryCodesLeft: Int
    /// The recovery codes, in the ten minutes after they were made.
    public var recoveryCodes: [String]

    /// A secret, as an app takes it.
    public struct Offer: Sendable, Equatable {
        /// In base32, to be typed.
        public var secret: String
        /// To be read from a QR code.
        public var uri: String
    }
}

/// One-time codes (RFC 6238) as a second proof when signing in.
extension Accounts {
    /// How long recovery codes are shown.
    private static let recoveryShown = Duration.seconds(600)

    /// How whoever is signed in stands with one-time codes.
    public func ownCodes(_ session: AdminSession) async throws(Refusal) -> OwnCodes {
        try await refusing(logger) {
            guard let state = try await store.codeState(of: session.username) else {
                throw Refusal.unknownAccount(session.username)
            }
            let keys = settings.accountKey.map(AccountKeys.init)
            let offered = try state.pending.flatMap { try keys?.open($0, of: session.username) }
            let isFresh = state.since.map { state.now - $0 < Self.recoveryShown } ?? false
            return OwnCodes(
                isAvailable: keys != nil, since: state.since,
                offer: offered.map {
                    OwnCodes.Offer(
                        secret: Base32.encode($0),
                        uri: OneTimeCodes.uri(secret: $0, username: session.username, issuer: issuer))
                },
                recoveryCodesLeft: state.recoveryCodesLeft,
                recoveryCodes: isFresh
                    ? state.sealedSecret.flatMap { keys?.recoveryCodes(of: $0) }?.map(\.text) ?? [] : [])
        }
    }

    /// Makes a secret for whoever is signed in; it is in use from when ``startCodes(with:from:in:)`` saw a code of it.
    public func offerCodes(
        password: String, at seat: Seat, in session: AdminSession
    ) async throws(Refusal) {
        let keys = try keys()
        try await refusing(logger) {
            _ = try await verify(password, at: seat, in: session)
            if let waiting = try await store.codeState(of: session.username)?.pending,
                try keys.open(waiting, of: session.username) == nil
            {
                // Sealed under a key that is gone: nobody can ever take it.
                _ = try await store.stopCodes(
                    of: session.username, by: Origination(session.authority.actor, address: seat.address))
            }
            let secret = try randomBytes(count: OneTimeCodes.secretLength)
            try await store.offerCodes(
                sealedSecret: try keys.seal(secret, of: session.username), to: session.username)
        }
    }

    /// From now on signing in takes a code.
    ///
    /// - Parameter code: shows that the device holds the secret.
    /// - Throws: `FAILED_PRECONDITION` where the code is of another secret; then nothing changes.
    public func startCodes(
        with code: String, from address: ClientAddress?, in session: AdminSession
    ) async throws(Refusal) {
        let keys = try keys()
        try await refusing(logger) {
            guard let state = try await store.codeState(of: session.username), let pending = state.pending,
                let secret = try keys.open(pending, of: session.username)
            else {
                throw Refusal(.noOffer)
            }
            guard
                let step = typedCharacters(code).flatMap({
                    OneTimeCodes.step(of: $0, secret: secret, now: state.now)
                })
            else {
                throw Refusal(.wrongFirstCode)
            }
            let started = try await store.startCodes(
                of: session.username, pending: pending, step: step,
                recoveryCodes: keys.recoveryCodes(of: pending).map(\.hash),
                by: Origination(session.authority.actor, address: address))
            guard started else {
                throw Refusal(.noOffer)
            }
        }
    }

    /// From now on signing in takes no code; a secret that waits is forgotten.
    public func stopCodes(
        password: String, at seat: Seat, in session: AdminSession
    ) async throws(Refusal) {
        try await refusing(logger) {
            _ = try await verify(password, at: seat, in: session)
            _ = try await store.stopCodes(
                of: session.username, by: Origination(session.authority.actor, address: seat.address))
        }
    }

    /// The second half of a sign-in: a one-time code, or a recovery code.
    ///
    /// - Parameters:
    ///   - waiting: the secret of the first half.
    ///   - code: as it was typed.
    /// - Throws: `UNAUTHORIZED` where it is wrong or was used before (`wrong_code`, `replayed_code`), or the first half
    ///   is too long ago (`sign_in_ended`); `RESOURCE_EXHAUSTED` after too many, counted like passwords.
    public func signIn(
        waiting: String, code: String, address: ClientAddress, browser: String?, browserName: String = ""
    ) async throws(Refusal) -> SignIn {
        guard let bytes = Base64URL.decode(waiting, count: 32) else { throw Self.signInEnded }
        return try await refusing(logger) {
            guard let found = try await store.waitingSignIn(sha256(bytes)) else { throw Self.signInEnded }
            let attempt = Self.attempt(found.username, address, browser, browserName)
            guard try await admit(attempt) != nil else { throw Self.signInEnded }
            guard let proof = try proof(of: code, for: found) else {
                try await store.recordFailedSignIn(attempt, reason: "wrong_code")
                throw Self.wrongCode
            }
            let (secret, place) = (try randomBytes(count: 32), try randomBytes(count: 32))
            let result = try await store.prove(
                proof, for: attempt, waiting: sha256(bytes), sealedSecret: found.sealedSecret,
                sessionHash: sha256(secret), newBrowserPlace: sha256(place))
            switch result {
            case .signedIn:
                return SignIn(
                    sessionSecret: Base64URL.encode(secret), lifetime: settings.sessionAbsoluteTimeout,
                    browserSecret: Base64URL.encode(place), username: found.username)
            case .replayed:
                try await store.recordFailedSignIn(attempt, reason: "replayed_code")
                throw Refusal(.replayedCode)
            case .unknown:
                try await store.recordFailedSignIn(attempt, reason: "wrong_code")
                throw Self.wrongCode
            case .ended: throw Self.signInEnded
            }
        }
    }

    private func proof(
        of code: String, for sign: PairingStore.WaitingSignIn
    ) throws -> PairingStore.SecondProof? {
        guard let characters = typedCharacters(code) else { return nil }
        // Recovery codes need no key: whoever has one gets in when the key is lost, too.
        if let recovery = RecoveryCode(typed: characters) { return .recoveryCode(recovery.hash) }
        guard let secret = try keys().open(sign.sealedSecret, of: sign.username) else {
            throw Refusal(.codesUnreadable)
        }
        return OneTimeCodes.step(of: characters, secret: secret, now: sign.now).map { .step($0) }
    }

    private func keys() throws(Refusal) -> AccountKeys {
        guard let key = settings.accountKey else {
            throw Refusal(.noKey)
        }
        return AccountKeys(key)
    }

    /// What apps call this installation.
    private var issuer: String {
        settings.origins.origins.first.map { "GoClaw \($0.text.split(separator: "/").last ?? "")" }
            ?? "GoClaw"
    }

    private static let wrongCode = Refusal(.wrongCode)

    static let signInEnded = Refusal(.signInEnded)
}
