import PairingCore
import Postgres

extension PairingStore {
    /// An account as it is listed.
    public struct AdminRow: Sendable {
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

    /// The account of a session that is neither idle for too long nor too old.
    ///
    /// - Parameter renews: whether this counts as use; written once a minute at most.
    public func account(
        ofSession hash: [UInt8], idle: Duration, absolute: Duration, renews: Bool
    ) async throws -> (username: String, role: Role)? {
        let (sql, parameters) = Self.sessionQuery(hash, idle: idle, absolute: absolute)
        guard let row = try await pool.query(sql, parameters).first else { return nil }
        if renews, try row.bool("stale") { try await renewSession(hash: hash) }
        return (try row.text("username"), try row.role())
    }

    /// Notes that a session is in use.
    public func renewSession(hash: [UInt8]) async throws {
        try await pool.execute(
            "UPDATE admin_sessions SET last_used_at = clock_timestamp() WHERE session_hash = $1",
            [.bytes(hash)])
    }

    static func sessionQuery(
        _ hash: [UInt8], idle: Duration, absolute: Duration
    ) -> (sql: String, parameters: [PostgresValue]) {
        (
            """
            SELECT s.username, a.role, s.last_used_at < clock_timestamp() - interval '1 minute' AS stale
            FROM admin_sessions s JOIN admins a ON a.username = s.username
            WHERE s.session_hash = $1 AND s.last_used_at > clock_timestamp() - $2 * interval '1 millisecond'
                AND s.created_at > clock_timestamp() - $3 * interval '1 millisecond'
                AND NOT s.awaits_code AND a.disabled_at IS NULL
            """, [.bytes(hash), .int64(idle.milliseconds), .int64(absolute.milliseconds)]
        )
    }

    /// The sessions among `hashes` that are neither idle for too long nor too old.
    public func liveSessions(
        among hashes: [[UInt8]], idle: Duration, absolute: Duration
    ) async throws -> Set<[UInt8]> {
        Set(
            try await pool.query(
                """
                SELECT s.session_hash FROM admin_sessions s JOIN admins a ON a.username = s.username
                WHERE s.session_hash = ANY($1)
                    AND s.last_used_at > clock_timestamp() - $2 * interval '1 millisecond'
                    AND s.created_at > clock_timestamp() - $3 * interval '1 millisecond'
                    AND NOT s.awaits_code AND a.disabled_at IS NULL
                """, [.bytesArray(hashes), .int64(idle.milliseconds), .int64(absolute.milliseconds)]
            ).map { try $0.bytes("session_hash") })
    }

    /// Ends a session.
    public func endSession(hash: [UInt8], address: ClientAddress?) async throws {
        try await pool.transaction { transaction in
            guard
                let username = try transaction.query(
                    """
                    DELETE FROM admin_sessions WHERE session_hash = $1 AND NOT awaits_code RETURNING username
                    """, [.bytes(hash)]
                ).first?.text("username")
            else { return }
            try transaction.record(
                .adminSignedOut, by: Origination(.administrator(username), address: address))
        }
    }

    /// Removes sessions that are idle for too long or too old.
    public func removeEndedSessions(idle: Duration, absolute: Duration) async throws -> Int {
        try await pool.execute(
            """
            DELETE FROM admin_sessions WHERE session_hash IN (SELECT session_hash FROM admin_sessions
                WHERE last_used_at <= clock_timestamp() - $1 * interval '1 millisecond'
                    OR created_at <= clock_timestamp() - $2 * interval '1 millisecond'
                FOR UPDATE SKIP LOCKED)
            """, [.int64(idle.milliseconds), .int64(absolute.milliseconds)])
    }

    /// Makes an account.
    ///
    /// - Returns: `false` where there is one of that name.
    public func createAdmin(
        username: String, passwordHash: String, role: Role = .administrator, by origination: Origination
    ) async throws -> Bool {
        try await pool.transaction { transaction in
            let created = try transaction.execute(
                """
                INSERT INTO admins (username, password_hash, role, created_at)
                VALUES ($1, $2, $3, clock_timestamp()) ON CONFLICT DO NOTHING
                """, [.text(username), .text(passwordHash), .text(role.rawValue)])
            guard created == 1 else { return false }
            try transaction.record(
                .adminCreated, by: origination,
                details: .object(["username": .string(username), "role": .string(role.rawValue)]))
            return true
        }
    }

    /// Changes a password and ends the account's sessions.
    ///
    /// - Parameters:
    ///   - kept: the one session that goes on, and what tells its place.
    ///   - checkedHash: the hash that the current password was found to be right by; `nil` where nobody asked for it.
    /// - Returns: `false` where there is no such account, or its password has changed meanwhile.
    public func setPassword(
        username: String, passwordHash: String, keeping kept: (session: [UInt8], places: [[UInt8]])? = nil,
        checkedHash: String? = nil, by origination: Origination
    ) async throws -> Bool {
        try await pool.transaction { transaction in
            let changed = try transaction.execute(
                """
                UPDATE admins SET password_hash = $2
                WHERE username = $1 AND password_hash = coalesce($3, password_hash)
                """, [.text(username), .text(passwordHash), .text(checkedHash)])
            guard changed == 1 else { return false }
            try transaction.enqueue(
                "DELETE FROM admin_sessions WHERE username = $1 AND session_hash IS DISTINCT FROM $2",
                [.text(username), .bytes(kept?.session)])
            try transaction.enqueue(
                "DELETE FROM known_sign_ins WHERE username = $1 AND place <> ALL($2)",
                [.text(username), .bytesArray(kept?.places ?? [])])
            try transaction.forgetFailures(of: username)
            try transaction.record(
                .adminPasswordChanged, by: origination, details: .object(["username": .string(username)]))
            return true
        }
    }

    /// Forgets an account's failed sign-ins.
    ///
    /// - Parameter place: an address, and its hash, that counts from now on as one that signed in to the account
    ///   before.
    /// - Returns: `false` where there is no account of that name.
    public func unlockAdmin(
        username: String, knowing place: (hash: [UInt8], address: ClientAddress)?, by origination: Origination
    ) async throws -> Bool {
        try await pool.transaction { transaction in
            let found = try transaction.query(
                "SELECT 1 FROM admins WHERE username = $1 FOR UPDATE", [.text(username)])
            guard !found.isEmpty else { return false }
            var details: [String: JSONValue] = ["username": .string(username)]
            if let place {
                try transaction.enqueue(
                    """
                    INSERT INTO known_sign_ins (username, place, last_at) VALUES ($1, $2, clock_timestamp())
                    ON CONFLICT (username, place) DO UPDATE SET last_at = excluded.last_at
                    """, [.text(username), .bytes(place.hash)])
                details["knownAddress"] = .string(place.address.description)
            }
            try transaction.forgetFailures(of: username)
            try transaction.record(.adminUnlocked, by: origination, details: .object(details))
            return true
        }
    }

    /// Removes an account with its sessions and tokens, unless it is the last administrator.
    public func removeAdmin(username: String, by origination: Origination) async throws -> Outcome<Void> {
        try await pool.transaction { transaction in
            if case .refused(let refusal) = try transaction.lockAccounts(changing: username, leaves: false) {
                return .refused(refusal)
            }
            try transaction.enqueue("DELETE FROM admins WHERE username = $1", [.text(username)])
            try transaction.record(
                .adminRemoved, by: origination, details: .object(["username": .string(username)]))
            return .done(())
        }
    }

    /// All accounts by name.
    public func admins() async throws -> [AdminRow] {
        try await pool.query("SELECT \(Self.adminColumns) FROM admins ORDER BY username").map {
            try $0.admin()
        }
    }

    /// One account; `nil` where there is none of that name.
    public func admin(_ username: String) async throws -> AdminRow? {
        try await pool.query(
            "SELECT \(Self.adminColumns) FROM admins WHERE username = $1", [.text(username)]
        ).first?.admin()
    }

    private static let adminColumns = "username, role, disabled_at, totp_since, created_at, last_sign_in_at"
}

extension PostgresRow {
    func role() throws -> Role { try parsed("role", Role.init(rawValue:)) }

    fileprivate func admin() throws -> PairingStore.AdminRow {
        PairingStore.AdminRow(
            username: try text("username"), role: try role(), disabledAt: try optionalMoment("disabled_at"),
            codesSince: try optionalMoment("totp_since"), createdAt: try moment("created_at"),
            lastSignInAt: try optionalMoment("last_sign_in_at"))
    }
}

extension Refusal {
    /// Nobody has an account of this name; said only to whoever may see the accounts.
    public static func unknownAccount(_ username: String) -> Refusal {
        Refusal(.unknownAccount, "There is no account \(quoted(username)). Look at the list of accounts.")
    }
}
