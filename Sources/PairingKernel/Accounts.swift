import PairingCore

/// What an authority may do.
public enum Scope: String, Sendable, Hashable, CaseIterable {
    /// See requests and devices.
    case read
    /// See and decide.
    case administer
}

/// Proof that somebody was authenticated. Only ``Accounts`` makes one, so that whoever holds one has
/// signed in, and every action names its actor (I8).
public struct Authority: Sendable, Hashable {
    enum Source: Sendable, Hashable {
        case session(hash: [UInt8])
        case token(id: Int64)
        case commandLine
    }

    /// Who acts.
    public let actor: Actor
    /// What it may do.
    public let scope: Scope
    let source: Source
}

/// An administrator's session on the pages.
public struct AdminSession: Sendable {
    /// Carries out what the pages ask for.
    public var authority: Authority
    /// The account.
    public var username: String
    /// What every form of this session must send back.
    public var csrfToken: String
}

/// A fresh sign-in: what the browser is to keep.
public struct SignIn: Sendable {
    /// The session's secret, the cookie's value; nowhere else.
    public var sessionSecret: String
    /// When the cookie expires at the latest, from now.
    public var lifetime: Duration
    /// The account.
    public var username: String
}

/// An account as the command line lists it.
public struct AdminAccount: Sendable {
    /// The name.
    public var username: String
    /// When it was made.
    public var createdAt: Timestamp
    /// When somebody last signed in with it.
    public var lastSignInAt: Timestamp?
}

/// An API token as it is listed; its secret is not known any more.
public struct APIToken: Sendable {
    /// Its number, for revoking it.
    public var id: Int64
    /// The account whose name its actions carry.
    public var owner: String
    /// What its owner called it.
    public var name: String
    /// What it may do.
    public var scope: Scope
    /// When it was made.
    public var createdAt: Timestamp
    /// When it ends by itself.
    public var expiresAt: Timestamp
    /// When it was revoked.
    public var revokedAt: Timestamp?
    /// When it was last used; to the minute.
    public var lastUsedAt: Timestamp?
}

/// Administrators: how they sign in, their sessions and their API tokens.
public struct Accounts: Sendable {
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
        throw .internal
    }

    /// The session of a cookie.
    ///
    /// - Parameter renews: whether this counts as use against the idle limit.
    /// - Returns: `nil` where there is none any more.
    public func session(secret: String, renews: Bool = true) async throws(Refusal) -> AdminSession? {
        throw .internal
    }

    /// Ends the session; its sockets and streams end within seconds.
    public func signOut(secret: String) async throws(Refusal) {
        throw .internal
    }

    /// The token that a form shown before sign-in must send back: bound to the browser cookie.
    public func csrfToken(browser: String) -> String { "" }

    /// Whether a form's token is the one expected; in constant time.
    public func isValid(csrfToken: String, expected: String) -> Bool { false }

    /// A new secret for the browser cookie.
    public func makeBrowserSecret() throws(Refusal) -> String { throw .internal }

    /// The authority of an API token.
    ///
    /// - Throws: `UNAUTHORIZED` for an unknown, expired or revoked one.
    public func authenticate(token: String) async throws(Refusal) -> Authority {
        throw .internal
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
        throw .internal
    }

    /// Changes a password; every session of the account ends.
    public func setPassword(username: String, password: String, by authority: Authority) async throws(Refusal)
    {
        throw .internal
    }

    /// Removes an account, its sessions and its tokens; the last one can't be removed.
    public func remove(username: String, by authority: Authority) async throws(Refusal) {
        throw .internal
    }

    /// All accounts by name.
    public func list(by authority: Authority) async throws(Refusal) -> [AdminAccount] { throw .internal }

    /// Makes an API token.
    ///
    /// - Returns: its secret, which is not stored and never shown again, and its listing.
    public func createToken(
        owner: String, name: String, scope: Scope, lifetime: Duration, by authority: Authority
    ) async throws(Refusal) -> (secret: String, token: APIToken) {
        throw .internal
    }

    /// All tokens, newest first.
    public func tokens(by authority: Authority) async throws(Refusal) -> [APIToken] { throw .internal }

    /// Revokes a token; its sockets end within seconds.
    public func revokeToken(id: Int64, by authority: Authority) async throws(Refusal) { throw .internal }
}
