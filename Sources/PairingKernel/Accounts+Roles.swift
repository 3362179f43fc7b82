import Logging
import PairingCore
import PairingStore

extension Role {
    /// `an administrator`, as sentences need it.
    public var withArticle: String { (self == .viewer ? "a " : "an ") + rawValue }
}

extension Accounts {
    /// All accounts by name.
    public func list(by authority: Authority) async throws(Refusal) -> [AdminAccount] {
        try authority.require(.administer)
        return try await refusing(logger) { try await store.admins().map(AdminAccount.init) }
    }

    /// One account.
    ///
    /// - Throws: `NOT_FOUND`.
    public func account(_ username: String, by authority: Authority) async throws(Refusal) -> AdminAccount {
        try authority.require(.administer)
        guard let row = try await refusing(logger, { try await store.admin(username) }) else {
            throw Refusal.unknownAccount(username)
        }
        return AdminAccount(row)
    }

    /// Gives an account another role; the last administrator keeps theirs.
    public func setRole(
        _ role: Role, of username: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        try await refusing(logger) {
            try await store.setRole(role, of: username, by: Origination(authority.actor, address: address))
        }.get()
    }

    /// Keeps an account from signing in, and ends its sessions and what its tokens do; or lets it sign in again.
    public func setDisabled(
        _ isDisabled: Bool, _ username: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        try await refusing(logger) {
            try await store.setDisabled(
                isDisabled, username, by: Origination(authority.actor, address: address))
        }.get()
    }

    /// Removes an account, its sessions and its tokens; the last administrator can't be removed.
    public func remove(
        username: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        try await refusing(logger) {
            try await store.removeAdmin(
                username: username, by: Origination(authority.actor, address: address))
        }.get()
    }

    /// Ends every session of an account.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public func endSessions(
        of username: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) -> Int {
        try authority.require(.administer)
        let ended = try await refusing(logger) {
            try await store.endSessions(
                .all, of: username, by: Origination(authority.actor, address: address))
        }
        guard let ended else { throw Refusal.unknownAccount(username) }
        return ended
    }

    /// Takes an account's one-time codes away, for an owner whose device is lost.
    public func resetCodes(
        of username: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        let known = try await refusing(logger) {
            try await store.stopCodes(of: username, by: Origination(authority.actor, address: address))
        }
        guard known else { throw Refusal.unknownAccount(username) }
    }

    /// Why something was refused that belongs into the audit, beside a lack of rights.
    public enum Trespass: String, Sendable {
        /// A form without the token of its session.
        case csrf
        /// A form that another site sent.
        case crossSite = "cross_site"
        /// A form of a session that has ended, or of nobody who is signed in.
        case noSession = "no_session"
    }

    /// Records a refusal, where it says that somebody tried what their role or scope does not allow.
    ///
    /// - Parameters:
    ///   - action: what was asked for: a path or a method's name.
    ///   - authority: whose; `nil` where nobody is signed in.
    public func note(
        _ refusal: Refusal, of action: String, from address: ClientAddress?, by authority: Authority?
    ) async {
        guard let authority, Authority.isLack(refusal) else { return }
        await note(
            refusal.reason, ["needed": refusal.details["needed"] ?? .null], of: action, from: address,
            by: authority.actor)
    }

    /// Records that something was tried with a form or session that is none.
    public func note(
        _ trespass: Trespass, of action: String, from address: ClientAddress?, by authority: Authority?
    ) async {
        await note(trespass.rawValue, [:], of: action, from: address, by: authority?.actor ?? .system)
    }

    func note(
        _ reason: String, _ details: [String: JSONValue], of action: String, from address: ClientAddress?,
        by actor: Actor
    ) async {
        let details = details.merging([
            "reason": .string(reason), "action": .string(cleanDeviceText(action, maximumScalars: 200)),
        ]) { $1 }
        do {
            try await store.recordRefused(details, by: Origination(actor, address: address))
        } catch {
            logger.warning("A refusal could not be recorded", metadata: ["error": "\(error)"])
        }
    }
}

extension AdminAccount {
    init(_ row: PairingStore.AdminRow) {
        self.init(
            username: row.username, role: row.role, disabledAt: row.disabledAt, codesSince: row.codesSince,
            createdAt: row.createdAt, lastSignInAt: row.lastSignInAt)
    }
}
