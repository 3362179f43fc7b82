import PairingCore
import Postgres

extension PairingStore {
    /// Gives an account another role, unless it is the last administrator. What it may do is looked up at each of its
    /// requests, so nothing else has to be told.
    public func setRole(
        _ role: Role, of username: String, by origination: Origination
    ) async throws -> Outcome<Void> {
        try await pool.transaction { transaction in
            let before: Role
            switch try transaction.lockAccounts(changing: username, leaves: role == .administrator) {
            case .done(let found): before = found.role
            case .refused(let refusal): return .refused(refusal)
            }
            guard before != role else { return .done(()) }
            try transaction.enqueue(
                "UPDATE admins SET role = $2 WHERE username = $1", [.text(username), .text(role.rawValue)])
            try transaction.record(
                .adminRoleChanged, by: origination,
                details: .object([
                    "username": .string(username), "role": .string(role.rawValue),
                    "before": .string(before.rawValue),
                ]))
            return .done(())
        }
    }

    /// Keeps an account from signing in and ends its sessions, or lets it sign in again; the last administrator can't
    /// be disabled.
    public func setDisabled(
        _ isDisabled: Bool, _ username: String, by origination: Origination
    ) async throws -> Outcome<Void> {
        try await pool.transaction { transaction in
            let wasDisabled: Bool
            switch try transaction.lockAccounts(changing: username, leaves: !isDisabled) {
            case .done(let found): wasDisabled = found.isDisabled
            case .refused(let refusal): return .refused(refusal)
            }
            guard wasDisabled != isDisabled else { return .done(()) }
            try transaction.enqueue(
                """
                UPDATE admins SET disabled_at = CASE WHEN $2 THEN clock_timestamp() END WHERE username = $1
                """, [.text(username), .bool(isDisabled)])
            if isDisabled {
                try transaction.enqueue("DELETE FROM admin_sessions WHERE username = $1", [.text(username)])
            }
            try transaction.record(
                isDisabled ? .adminDisabled : .adminEnabled, by: origination,
                details: .object(["username": .string(username)]))
            return .done(())
        }
    }

    /// A session as its owner sees it.
    public struct AdminSessionRow: Sendable {
        /// Its public identifier; nobody gets in with it.
        public var id: String
        /// Where it was begun.
        public var address: ClientAddress?
        /// What its browser called itself.
        public var browser: String
        /// When it was begun.
        public var createdAt: Timestamp
        /// When it was last used; to the minute.
        public var lastUsedAt: Timestamp
        /// Whether it has this hash.
        public var isOwn: Bool
    }

    /// The sessions of an account that are neither idle for too long nor too old, the last used first.
    ///
    /// - Parameter own: the hash of the one that asks.
    public func sessions(
        of username: String, own: [UInt8]?, idle: Duration, absolute: Duration
    ) async throws -> [AdminSessionRow] {
        try await pool.query(
            """
            SELECT session_id::text AS session_id, address, browser, created_at, last_used_at,
                session_hash IS NOT DISTINCT FROM $2 AS own
            FROM admin_sessions
            WHERE username = $1 AND NOT awaits_code
                AND last_used_at > clock_timestamp() - $3 * interval '1 millisecond'
                AND created_at > clock_timestamp() - $4 * interval '1 millisecond'
            ORDER BY own DESC, last_used_at DESC, session_id LIMIT 100
            """,
            [.text(username), .bytes(own), .int64(idle.milliseconds), .int64(absolute.milliseconds)]
        ).map {
            AdminSessionRow(
                id: try $0.text("session_id"), address: try $0.address(), browser: try $0.text("browser"),
                createdAt: try $0.moment("created_at"), lastUsedAt: try $0.moment("last_used_at"),
                isOwn: try $0.bool("own"))
        }
    }

    /// Which sessions of an account are to end.
    public enum EndedSessions: Sendable {
        /// All of them.
        case all
        /// All but the one with this hash.
        case others([UInt8])
        /// The one with this public identifier, a UUID.
        case one(String)
    }

    /// Ends sessions of an account.
    ///
    /// - Returns: how many; `nil` where there is no account of that name.
    public func endSessions(
        _ which: EndedSessions, of username: String, by origination: Origination
    ) async throws -> Int? {
        try await pool.transaction { transaction in
            guard
                try !transaction.query("SELECT 1 FROM admins WHERE username = $1", [.text(username)]).isEmpty
            else { return nil }
            let ended =
                switch which {
                case .all:
                    try transaction.execute(
                        "DELETE FROM admin_sessions WHERE username = $1", [.text(username)])
                case .others(let hash):
                    try transaction.execute(
                        "DELETE FROM admin_sessions WHERE username = $1 AND session_hash <> $2",
                        [.text(username), .bytes(hash)])
                case .one(let id):
                    try transaction.execute(
                        "DELETE FROM admin_sessions WHERE username = $1 AND session_id = $2",
                        [.text(username), .uuid(id)])
                }
            guard ended > 0 else { return 0 }
            try transaction.record(
                .adminSessionsEnded, by: origination,
                details: .object(["username": .string(username), "ended": .integer(Int64(ended))]))
            return ended
        }
    }

    /// Records that something was refused; one event a minute at most for each actor, address, reason and action, and
    /// of somebody who is not signed in for each address and reason, so that nobody fills the feed.
    public func recordRefused(
        _ details: [String: JSONValue], by origination: Origination
    ) async throws {
        try await pool.transaction { transaction in
            let text = JSONValue.object(details).text
            // Strangers choose the action, and events stay for ever: whatever they try is one.
            let isNobody = origination.actor == .system
            let recent = try transaction.query(
                """
                SELECT 1 FROM events WHERE position > (SELECT max(position) - 200 FROM events)
                    AND event = $1 AND actor = $2 AND address IS NOT DISTINCT FROM $3
                    AND (details = $4::jsonb OR $5 AND details->'reason' = $4::jsonb->'reason')
                    AND at > clock_timestamp() - interval '1 minute' LIMIT 1
                """,
                [
                    .text(EventName.adminRefused.rawValue), .text(origination.actor.name),
                    .text(origination.address?.description), .json(text), .bool(isNobody),
                ])
            guard recent.isEmpty else { return }
            try transaction.record(.adminRefused, by: origination, details: .object(details))
        }
    }
}

extension Transaction {
    /// Locks all accounts: two administrators who remove or demote each other must not both succeed.
    ///
    /// - Parameter leaves: whether the account is an administrator who can sign in afterwards, if it was before.
    /// - Returns: what the account is now; refused where there is none of that name, or no other administrator.
    func lockAccounts(
        changing username: String, leaves: Bool
    ) throws -> Outcome<(role: Role, isDisabled: Bool)> {
        let rows = try query(
            "SELECT username, role, disabled_at IS NOT NULL AS disabled FROM admins ORDER BY username FOR UPDATE"
        )
        var found: (role: Role, isDisabled: Bool)?
        var others = 0
        for row in rows {
            let (role, isDisabled) = (try row.role(), try row.bool("disabled"))
            if try row.text("username") == username {
                found = (role, isDisabled)
            } else if role == .administrator, !isDisabled {
                others += 1
            }
        }
        guard let found else {
            return .refused(.unknownAccount(username))
        }
        guard leaves || others > 0 || found.role != .administrator || found.isDisabled else {
            return .refused(
                Refusal(.lastAdministrator))
        }
        return .done(found)
    }
}
