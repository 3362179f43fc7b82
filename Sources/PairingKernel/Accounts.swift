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
        failuresPerAccount: 10, failuresPerAddress: 30, failuresPerKnownPlace: 10, window: .seconds(15 * 60))

    let store: PairingStore
    let settings: PairingSettings
    let logger: Logger
    /// Where those wait for their password to be checked who sign in from where nobody did before.
    private let strangersLane: SignInLane
    /// The same for places that are known. A place has few wrong guesses, so this lane is never full for long.
    let knownLane: SignInLane
    private let tokenLookup: TokenLookup

    /// - Throws: a `CryptographyError` where there is no source of randomness.
    init(store: PairingStore, settings: PairingSettings, logger: Logger) throws {
        self.store = store
        self.settings = settings
        self.logger = logger
        tokenLookup = TokenLookup(store: store)
        strangersLane = try SignInLane(capacity: 8)
        knownLane = try SignInLane(capacity: 4)
    }

    /// Signs in on the pages.
    ///
    /// - Parameters:
    ///   - browser: the secret of the long-lived browser cookie (32 bytes in base64url); a browser that
    ///     signed in to this account before is not locked out of it by others.
    ///   - browserName: what the browser calls itself; shown with the session.
    /// - Throws: `UNAUTHORIZED` with one text for unknown names and wrong passwords; `RESOURCE_EXHAUSTED`
    ///   with `retryAfter` after too many, and while too many are being checked.
    public func signIn(
        username: String, password: String, address: ClientAddress, browser: String?,
        browserName: String = ""
    ) async throws(Refusal) -> SignIn {
        let name = username.lowercased()
        guard Self.isUsername(name), password.utf8.count <= 1024 else { throw Self.wrongPassword }
        let attempt = Self.attempt(name, address, browser, browserName)
        return try await refusing(logger) {
            let lane = try await store.isFromKnownPlace(attempt) ? knownLane : strangersLane
            return try await lane.pass { try await signIn(attempt, password: password, with: $0) }
        }
    }

    private func signIn(
        _ attempt: PairingStore.SignInAttempt, password: String, with hasher: PasswordHasher
    ) async throws -> SignIn {
        let stored: String?
        stored = try await admit(attempt)
        let hash = stored.flatMap { PasswordHash(encoded: $0) }
        guard try await hasher.verify(password, against: hash), let stored, let hash else {
            try await store.recordFailedSignIn(attempt)
            throw Self.wrongPassword
        }
        let secret = try randomBytes(count: 32)
        if try await store.awaitCode(attempt, sessionHash: sha256(secret), checkedHash: stored) {
            return SignIn(
                sessionSecret: Base64URL.encode(secret), lifetime: .seconds(600), browserSecret: "",
                username: attempt.username, awaitsCode: true)
        }
        let rehashed =
            hash.needsRehash(for: hasher.parameters) ? try await hasher.hash(password).encoded : nil
        let browser = try randomBytes(count: 32)
        guard
            try await store.signedIn(
                attempt, sessionHash: sha256(secret), checkedHash: stored, newPasswordHash: rehashed,
                newBrowserPlace: sha256(browser))
        else { throw Self.wrongPassword }
        return SignIn(
            sessionSecret: Base64URL.encode(secret), lifetime: settings.sessionAbsoluteTimeout,
            browserSecret: Base64URL.encode(browser), username: attempt.username)
    }

    /// Counts an attempt as failed until it has succeeded.
    ///
    /// - Returns: the account's password hash; `nil` where there is none of that name that may sign in.
    /// - Throws: `RESOURCE_EXHAUSTED` after too many.
    func admit(_ attempt: PairingStore.SignInAttempt) async throws -> String? {
        switch try await store.admit(attempt, limits: Self.signInLimits) {
        case .wait(let duration):
            throw Refusal(.tooManySignIns, retryAfter: duration)
        case .check(let hash): return hash
        }
    }

    static func attempt(
        _ username: String, _ address: ClientAddress, _ browser: String?, _ browserName: String
    ) -> PairingStore.SignInAttempt {
        PairingStore.SignInAttempt(
            username: username, address: address,
            browserPlace: browser.flatMap { Base64URL.decode($0, count: 32) }.map { sha256($0) },
            addressPlace: place(of: address),
            browserName: cleanDeviceText(browserName, maximumScalars: 256))
    }

    /// The session of a cookie.
    ///
    /// - Parameter renews: whether this counts as use against the idle limit.
    /// - Returns: `nil` where there is none any more.
    public func session(secret: String, renews: Bool = true) async throws(Refusal) -> AdminSession? {
        guard let bytes = Base64URL.decode(secret, count: 32) else { return nil }
        let hash = sha256(bytes)
        return try await refusing(logger) {
            guard let (username, role) = try await account(ofSession: hash, renews: renews) else {
                return nil
            }
            return AdminSession(
                authority: .session(of: username, role: role, hash: hash), username: username, role: role,
                csrfToken: Self.csrfToken(secret: bytes))
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
    /// - Parameter address: where it came from: many unknown ones from there wait for each other.
    /// - Throws: `UNAUTHORIZED` for an unknown, expired or revoked one; `RESOURCE_EXHAUSTED` where too many wait.
    public func authenticate(token: String, from address: ClientAddress) async throws(Refusal) -> Authority {
        let invalid = Refusal(.invalidToken)
        guard token.hasPrefix(Self.tokenPrefix),
            let bytes = Base64URL.decode(String(token.dropFirst(Self.tokenPrefix.count)), count: 32)
        else { throw invalid }
        return try await refusing(logger) {
            guard let row = try await tokenLookup.token(hash: sha256(bytes), from: address),
                let granted = Scope(rawValue: row.scope)
            else { throw invalid }
            guard let scope = granted.limited(to: row.ownerRole) else {
                throw Refusal(
                    .scope,
                    "The owner of this token is a \(row.ownerRole.rawValue) by now, who may not \(granted.rawValue)."
                )
            }
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
    public func create(
        username: String, password: String, role: Role = .administrator, from address: ClientAddress? = nil,
        by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        guard Self.isUsername(username) else {
            throw Refusal(
                .invalidUsername,
                "\(quoted(username)) can't be an account's name: expected 1 to 64 characters of a-z, 0-9, dot, "
                    + "underscore, @ and dash that begin with a letter or digit.")
        }
        try Self.check(password)
        let created = try await refusing(logger) {
            try await store.createAdmin(
                username: username, passwordHash: try await encodedHash(of: password), role: role,
                by: Origination(authority.actor, address: address))
        }
        guard created else {
            throw Refusal(
                .accountExists,
                "There is an account \(quoted(username)) already. Choose another name, or change its password."
            )
        }
    }

    /// Changes a password; every session of the account ends, and its failed sign-ins and known places are forgotten.
    public func setPassword(
        username: String, password: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        try Self.check(password)
        let changed = try await refusing(logger) {
            try await store.setPassword(
                username: username, passwordHash: try await encodedHash(of: password),
                by: Origination(authority.actor, address: address))
        }
        guard changed else { throw Refusal.unknownAccount(username) }
    }

    /// Forgets the failed sign-ins of an account, so that strangers no longer wait.
    ///
    /// - Parameter address: counts from now on as one that signed in before: an attack that goes on cannot lock it
    ///   out again.
    public func unlock(
        username: String, knowing address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        let unlocked = try await refusing(logger) {
            try await store.unlockAdmin(
                username: username, knowing: address.map { (hash: Self.place(of: $0), address: $0) },
                by: Origination(authority.actor))
        }
        guard unlocked else { throw Refusal.unknownAccount(username) }
    }

    private func account(
        ofSession hash: [UInt8], renews: Bool
    ) async throws -> (username: String, role: Role)? {
        try await store.account(
            ofSession: hash, idle: settings.sessionIdleTimeout, absolute: settings.sessionAbsoluteTimeout,
            renews: renews)
    }

    func encodedHash(of password: String) async throws -> String {
        try await knownLane.pass { try await $0.hash(password).encoded }
    }

    static func place(of address: ClientAddress) -> [UInt8] { sha256(address.bytes) }

    private static let wrongPassword = Refusal(.wrongPassword, "The name or the password is wrong.")

    /// HMAC under the secret itself: whoever knows the token does not know the cookie, and no key is shared
    /// between processes.
    static func csrfToken(secret: [UInt8]) -> String {
        secret.isEmpty ? "" : Base64URL.encode(hmacSHA256(key: secret, message: Array("csrf-v1".utf8)))
    }

    static func check(_ password: String) throws(Refusal) {
        guard (12...1024).contains(password.utf8.count) else {
            throw Refusal(
                .invalidPassword, "The password has \(password.utf8.count) bytes; expected 12 to 1024.")
        }
    }

    /// Whether a text has the form of an account's name.
    public static func isUsername(_ text: String) -> Bool {
        let allowed = Set("abcdefghijklmnopqrstuvwxyz0123456789._@-".utf8)
        guard let first = text.utf8.first, text.utf8.count <= 64 else { return false }
        return !"._@-".utf8.contains(first) && text.utf8.allSatisfy(allowed.contains)
    }
}
