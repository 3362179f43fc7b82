import Cryptography
import Logging
import PairingCore
import PairingStore

/// Administrators: how they sign in, their sessions and their API tokens.
public struct Accounts: Sendable {
    /// What an API token's secret begins with, so that one that leaked is recognised.
    public static let tokenPrefix = "gcn_"
    /// How long an account's or an address's failures count, and how many there may be.
    static let signInLimits = PairingStore.SignInLimits(
        failuresPerAccount: 10, failuresPerAddress: 30, window: .seconds(15 * 60))

    let store: PairingStore
    let hasher: PasswordHasher
    let settings: PairingSettings
    let logger: Logger
    /// Where whoever brings an API token waits until it is looked up; apart from devices, which may be many.
    private let strangers = Gate(width: 1)

    /// Signs in on the pages.
    ///
    /// - Parameters:
    ///   - browser: the secret of the long-lived browser cookie (32 bytes in base64url); a browser that
    ///     signed in to this account before is never locked out of it.
    /// - Throws: `UNAUTHORIZED` with one text for unknown names and wrong passwords; `RESOURCE_EXHAUSTED`
    ///   with `retryAfter` after too many.
    public func signIn(
        username: String, password: String, address: ClientAddress, browser: String?
    ) async throws(Refusal) -> SignIn {
        let name = username.lowercased()
        guard Self.isUsername(name), password.utf8.count <= 1024 else { throw Self.wrongPassword }
        let places = [browser.flatMap { Base64URL.decode($0, count: 32) }, address.bytes].compactMap { $0 }
        let attempt = PairingStore.SignInAttempt(
            username: name, address: address, places: places.map { sha256($0) })
        return try await refusing(logger) {
            let admission = try await store.admit(attempt, limits: Self.signInLimits)
            let stored: String?
            switch admission {
            case .wait(let duration):
                throw Refusal(
                    .resourceExhausted, "too_many_sign_ins",
                    "Too many sign-ins failed for this account or from this address. Wait, or sign in from a browser "
                        + "that signed in before.", retryable: true, retryAfter: duration)
            case .check(let hash): stored = hash
            }
            let hash = stored.flatMap { PasswordHash(encoded: $0) }
            guard try await verify(password, against: hash), let stored, let hash else {
                try await store.recordFailedSignIn(attempt)
                throw Self.wrongPassword
            }
            let rehashed =
                hash.needsRehash(for: hasher.parameters) ? try await encodedHash(of: password) : nil
            let secret = try randomBytes(count: 32)
            guard
                try await store.signedIn(
                    attempt, sessionHash: sha256(secret), checkedHash: stored, newPasswordHash: rehashed)
            else { throw Self.wrongPassword }
            return SignIn(
                sessionSecret: Base64URL.encode(secret), lifetime: settings.sessionAbsoluteTimeout,
                username: name)
        }
    }

    /// The session of a cookie.
    ///
    /// - Parameter renews: whether this counts as use against the idle limit.
    /// - Returns: `nil` where there is none any more.
    public func session(secret: String, renews: Bool = true) async throws(Refusal) -> AdminSession? {
        guard let bytes = Base64URL.decode(secret, count: 32) else { return nil }
        let hash = sha256(bytes)
        return try await refusing(logger) {
            guard let username = try await account(ofSession: hash, renews: renews) else { return nil }
            return AdminSession(
                authority: Authority(
                    actor: .administrator(username), scope: .administer, source: .session(hash: hash)),
                username: username, csrfToken: Self.csrfToken(secret: bytes))
        }
    }

    /// Ends the session; its sockets and streams end within seconds.
    public func signOut(secret: String, from address: ClientAddress? = nil) async throws(Refusal) {
        guard let bytes = Base64URL.decode(secret, count: 32) else { return }
        try await refusing(logger) { try await store.endSession(hash: sha256(bytes), address: address) }
    }

    /// The token that a form shown before sign-in must send back: bound to the browser cookie.
    ///
    /// - Returns: something no form can have sent, where the cookie is not one of ours.
    public func csrfToken(browser: String) -> String {
        Self.csrfToken(secret: Base64URL.decode(browser, count: 32) ?? [])
    }

    /// Whether a form's token is the one expected; in constant time.
    public func isValid(csrfToken: String, expected: String) -> Bool {
        !expected.isEmpty && constantTimeEquals(Array(csrfToken.utf8), Array(expected.utf8))
    }

    /// A new secret for the browser cookie.
    public func makeBrowserSecret() throws(Refusal) -> String {
        do {
            return Base64URL.encode(try randomBytes(count: 32))
        } catch {
            logger.critical("No random bytes", metadata: ["error": "\(error)"])
            throw .internal
        }
    }

    /// The authority of an API token.
    ///
    /// - Throws: `UNAUTHORIZED` for an unknown, expired or revoked one.
    public func authenticate(token: String, from address: ClientAddress) async throws(Refusal) -> Authority {
        let invalid = Refusal(
            .unauthorized, "invalid_token", "This API token is unknown, expired or revoked. Make another one."
        )
        guard token.hasPrefix(Self.tokenPrefix),
            let bytes = Base64URL.decode(String(token.dropFirst(Self.tokenPrefix.count)), count: 32)
        else { throw invalid }
        return try await refusing(logger) {
            let row = try await strangers.pass(address) { try await store.token(hash: sha256(bytes)) }
            guard let row, let scope = Scope(rawValue: row.scope)
            else { throw invalid }
            return Authority(
                actor: .apiToken(owner: row.owner, name: row.name), scope: scope, source: .token(id: row.id))
        }
    }

    /// The authority of whoever can read the database's password: the break-glass path of `nodesctl`.
    public func commandLineAuthority(account: String) -> Authority {
        Authority(actor: .operatingSystem(account), scope: .administer, source: .commandLine)
    }

    /// Makes an account.
    ///
    /// - Parameters:
    ///   - username: `[a-z0-9][a-z0-9._@-]{0,63}`.
    ///   - password: 12 to 1024 bytes.
    public func create(username: String, password: String, by authority: Authority) async throws(Refusal) {
        try authority.require(.administer)
        guard Self.isUsername(username) else {
            throw Refusal(
                .invalidRequest, "invalid_username",
                "An account's name is expected to be 1 to 64 characters of a-z, 0-9, dot, underscore, @ and dash, and "
                    + "to begin with a letter or digit.")
        }
        try Self.check(password)
        let created = try await refusing(logger) {
            try await store.createAdmin(
                username: username, passwordHash: try await encodedHash(of: password),
                by: Origination(authority.actor))
        }
        guard created else {
            throw Refusal(.alreadyExists, "account_exists", "There is an account with this name already.")
        }
    }

    /// Changes a password; every session of the account ends.
    public func setPassword(
        username: String, password: String, by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        try Self.check(password)
        let changed = try await refusing(logger) {
            try await store.setPassword(
                username: username, passwordHash: try await encodedHash(of: password),
                by: Origination(authority.actor))
        }
        guard changed else {
            throw Refusal(.notFound, "unknown_account", "There is no account with this name.")
        }
    }

    /// Removes an account, its sessions and its tokens; the last one can't be removed.
    public func remove(username: String, by authority: Authority) async throws(Refusal) {
        try authority.require(.administer)
        try await refusing(logger) {
            try await store.removeAdmin(username: username, by: Origination(authority.actor))
        }.get()
    }

    /// All accounts by name.
    public func list(by authority: Authority) async throws(Refusal) -> [AdminAccount] {
        try authority.require(.read)
        return try await refusing(logger) {
            try await store.admins().map {
                AdminAccount(username: $0.username, createdAt: $0.createdAt, lastSignInAt: $0.lastSignInAt)
            }
        }
    }

    /// Whether an authority that was given before still holds.
    func isLive(_ authority: Authority) async throws -> Bool {
        switch authority.source {
        case .session(let hash): try await account(ofSession: hash, renews: false) != nil
        case .token(let id): try await store.liveTokens(among: [id]).contains(id)
        case .commandLine: true
        }
    }

    private func account(ofSession hash: [UInt8], renews: Bool) async throws -> String? {
        try await store.account(
            ofSession: hash, idle: settings.sessionIdleTimeout, absolute: settings.sessionAbsoluteTimeout,
            renews: renews)
    }

    private func encodedHash(of password: String) async throws -> String {
        try await hashing { try await $0.hash(password).encoded }
    }

    private func verify(_ password: String, against hash: PasswordHash?) async throws -> Bool {
        try await hashing { try await $0.verify(password, against: hash) }
    }

    private func hashing<Value: Sendable>(
        _ body: (PasswordHasher) async throws -> Value
    ) async throws -> Value {
        do {
            return try await body(hasher)
        } catch CryptographyError.tooManyWaiting {
            throw Refusal(
                .resourceExhausted, "sign_ins_waiting",
                "Too many passwords are being checked. Try again shortly.",
                retryable: true, retryAfter: .seconds(5))
        }
    }

    private static let wrongPassword = Refusal(
        .unauthorized, "wrong_password", "The name or the password is wrong.")

    /// HMAC under the secret itself: whoever knows the token does not know the cookie, and no key is shared
    /// between processes.
    private static func csrfToken(secret: [UInt8]) -> String {
        secret.isEmpty ? "" : Base64URL.encode(hmacSHA256(key: secret, message: Array("csrf-v1".utf8)))
    }

    private static func check(_ password: String) throws(Refusal) {
        guard (12...1024).contains(password.utf8.count) else {
            throw Refusal(
                .invalidRequest, "invalid_password", "A password is expected to be 12 to 1024 bytes long.")
        }
    }

    private static func isUsername(_ text: String) -> Bool {
        let allowed = Set("abcdefghijklmnopqrstuvwxyz0123456789._@-".utf8)
        guard let first = text.utf8.first, text.utf8.count <= 64 else { return false }
        return !"._@-".utf8.contains(first) && text.utf8.allSatisfy(allowed.contains)
    }
}
