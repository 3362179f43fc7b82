import Cryptography
import PairingCore
import PairingStore

/// A session as its owner sees it.
public struct OwnSession: Sendable {
    /// Its public identifier; nobody gets in with it.
    public var id: String
    /// Where it was begun.
    public var address: ClientAddress?
    /// What its browser called itself then.
    public var browser: String
    /// When it was begun.
    public var createdAt: Timestamp
    /// When it was last used; to the minute.
    public var lastUsedAt: Timestamp
    /// Whether it is the one that asks.
    public var isOwn: Bool
}

/// Where somebody sits who is asked for their password again.
public struct Seat: Sendable {
    /// The address.
    public var address: ClientAddress
    /// The secret of the browser's cookie.
    public var browser: String?

    /// Wraps the two.
    public init(address: ClientAddress, browser: String?) {
        self.address = address
        self.browser = browser
    }
}

/// What everybody may do with their own account, whatever their role.
extension Accounts {
    /// The sessions of one's account, one's own first.
    public func ownSessions(_ session: AdminSession) async throws(Refusal) -> [OwnSession] {
        try await refusing(logger) {
            try await store.sessions(
                of: session.username, own: session.hash, idle: settings.sessionIdleTimeout,
                absolute: settings.sessionAbsoluteTimeout
            ).map {
                OwnSession(
                    id: $0.id, address: $0.address, browser: $0.browser, createdAt: $0.createdAt,
                    lastUsedAt: $0.lastUsedAt, isOwn: $0.isOwn)
            }
        }
    }

    /// Ends one session of one's account.
    ///
    /// - Parameter id: as listed. One that has ended already is no error.
    public func endSession(
        _ id: String, from address: ClientAddress?, in session: AdminSession
    ) async throws(Refusal) {
        guard let id = RequestID(id) else {
            throw Refusal(.unknownSession)
        }
        _ = try await refusing(logger) {
            try await store.endSessions(
                .one(id.text), of: session.username,
                by: Origination(session.authority.actor, address: address))
        }
    }

    /// Ends every session of one's account but the one that asks.
    public func endOtherSessions(
        from address: ClientAddress?, in session: AdminSession
    ) async throws(Refusal) {
        guard let hash = session.hash else { return }
        _ = try await refusing(logger) {
            try await store.endSessions(
                .others(hash), of: session.username,
                by: Origination(session.authority.actor, address: address))
        }
    }

    /// Changes one's password; every other session ends.
    ///
    /// - Throws: `UNAUTHORIZED` where the current one is wrong; that counts like a failed sign-in.
    public func changePassword(
        from current: String, to password: String, at seat: Seat, in session: AdminSession
    ) async throws(Refusal) {
        try Self.check(password)
        try await refusing(logger) {
            let (attempt, hash) = try await verify(current, at: seat, in: session)
            guard let own = session.hash,
                try await store.setPassword(
                    username: session.username, passwordHash: try await encodedHash(of: password),
                    keeping: (own, attempt.places), checkedHash: hash,
                    by: Origination(session.authority.actor, address: seat.address))
            else {
                throw Refusal(.passwordChanged)
            }
        }
    }

    /// Checks the password of whoever is signed in, before what a borrowed browser must not do.
    ///
    /// - Returns: the attempt, and the hash that the password was found to be right by.
    /// - Throws: `UNAUTHORIZED`, or `RESOURCE_EXHAUSTED` after too many.
    func verify(
        _ password: String, at seat: Seat, in session: AdminSession
    ) async throws -> (PairingStore.SignInAttempt, hash: String) {
        let wrong = Refusal(.wrongPassword)
        guard password.utf8.count <= 1024 else { throw wrong }
        let attempt = Self.attempt(session.username, seat.address, seat.browser, "")
        return try await knownLane.pass { hasher in
            let stored = try await admit(attempt)
            let hash = stored.flatMap { PasswordHash(encoded: $0) }
            guard try await hasher.verify(password, against: hash), let stored else {
                try await store.recordFailedSignIn(attempt, reason: "current_password")
                throw wrong
            }
            try await store.forgetFailures(of: attempt)
            return (attempt, stored)
        }
    }
}

extension AdminSession {
    /// The hash of the cookie's secret.
    var hash: [UInt8]? {
        if case .session(let hash) = authority.source { hash } else { nil }
    }
}
