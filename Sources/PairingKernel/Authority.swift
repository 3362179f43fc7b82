import PairingCore

/// What an authority may do.
public enum Scope: String, Sendable, Hashable, CaseIterable {
    /// See requests and devices.
    case read
    /// Send messages to devices and ask what became of them, and nothing else.
    case send
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

    /// - Throws: `FORBIDDEN` where the scope does not cover `needed`.
    func require(_ needed: Scope) throws(Refusal) {
        guard scope == .administer || scope == needed else {
            throw Refusal(
                .forbidden, "scope",
                "This token may only \(scope.rawValue). Use one with the scope \"\(needed.rawValue)\" or "
                    + "\"administer\".")
        }
    }
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
    /// The secret of the browser cookie from now on: one that somebody else put there is known to nobody.
    public var browserSecret: String
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
