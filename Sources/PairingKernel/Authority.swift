import PairingCore

/// What an authority may do.
public enum Scope: String, Sendable, Hashable, CaseIterable {
    /// See requests and devices.
    case read
    /// Send messages to devices and ask what became of them, and nothing else.
    case send
    /// See, and decide about requests and devices.
    case decide
    /// Everything.
    case administer

    /// Whether whoever has this scope may do what needs `needed`.
    public func covers(_ needed: Scope) -> Bool {
        switch self {
        case .administer: true
        case .decide: needed == .decide || needed == .read
        case .read, .send: self == needed
        }
    }

    /// What is left of a token's scope where its owner has a role.
    ///
    /// - Returns: `nil` where that is nothing.
    func limited(to role: Role) -> Scope? {
        switch (self, role) {
        case (_, .administrator), (.read, _), (.send, .operator), (.decide, .operator): self
        case (.administer, .operator): .decide
        case (.decide, .viewer), (.administer, .viewer): .read
        case (.send, .viewer): nil
        }
    }
}

extension Role {
    /// What an account of this role may do on the pages.
    public var scope: Scope {
        switch self {
        case .administrator: .administer
        case .operator: .decide
        case .viewer: .read
        }
    }
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

    /// The one place where rights are checked: every use case calls it before it does anything.
    ///
    /// - Throws: `FORBIDDEN` where the scope does not cover `needed`.
    public func require(_ needed: Scope) throws(Refusal) {
        guard !scope.covers(needed) else { return }
        let details: [String: JSONValue] = ["needed": .string(needed.rawValue)]
        if case .session = source {
            throw Refusal(
                .role,
                (scope == .read
                    ? "Your account is a viewer's: it sees everything and changes nothing. "
                    : "Your account is an operator's: it decides about requests and devices, and changes nothing else. ")
                    + "Ask an administrator to do it, or for another role.", details: details)
        }
        throw Refusal(
            .scope,
            "This token may only \(scope.rawValue). Use one with the scope \"\(needed.rawValue)\" or "
                + "\"administer\".", details: details)
    }

    /// Whether a refusal says that the authority does not reach, so that it belongs into the audit.
    static func isLack(_ refusal: Refusal) -> Bool {
        refusal.isOf(.role) || refusal.isOf(.scope)
    }
}

extension Authority {
    /// Of a session on the pages.
    static func session(of username: String, role: Role, hash: [UInt8]) -> Authority {
        Authority(actor: .administrator(username), scope: role.scope, source: .session(hash: hash))
    }
}

/// An administrator's session on the pages.
public struct AdminSession: Sendable {
    /// Carries out what the pages ask for.
    public var authority: Authority
    /// The account.
    public var username: String
    /// What it may do.
    public var role: Role
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
    /// Whether the password was right but a one-time code is wanted as well: the secret signs nobody in before
    /// ``Accounts/signIn(waiting:code:address:browser:browserName:)`` took one.
    public var awaitsCode = false
}

/// An account as it is listed.
public struct AdminAccount: Sendable {
    /// The name.
    public var username: String
    /// What it may do.
    public var role: Role
    /// Since when it can't sign in; `nil` where it can.
    public var disabledAt: Timestamp?
    /// Since when signing in takes a one-time code; `nil` where it takes none.
    public var codesSince: Timestamp?
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
