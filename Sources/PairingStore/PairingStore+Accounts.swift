import PairingCore
import Postgres

extension PairingStore {
    /// An account as it is listed.
    public struct AdminRow: Sendable {
        /// The name.
        public var username: String
        /// When it was made.
        public var createdAt: Timestamp
        /// When somebody last signed in with it.
        public var lastSignInAt: Timestamp?
    }

    /// What a sign-in is measured by.
    public struct SignInLimits: Sendable {
        /// Failures of one account in a window before strangers wait.
        public var failuresPerAccount: Int
        /// Failures from one address in a window before it waits.
        public var failuresPerAddress: Int
        /// How long a window lasts from its first failure.
        public var window: Duration

        /// Wraps the limits.
        public init(failuresPerAccount: Int, failuresPerAddress: Int, window: Duration) {
            self.failuresPerAccount = failuresPerAccount
            self.failuresPerAddress = failuresPerAddress
            self.window = window
        }
    }

    /// Someone at the sign-in form.
    public struct SignInAttempt: Sendable {
        /// The account, whether or not there is one of that name.
        public var username: String
        /// Where the attempt comes from.
        public var address: ClientAddress
        /// Hashes of what tells the place: the browser's cookie and the address.
        public var places: [[UInt8]]

        /// Wraps the parts.
        public init(username: String, address: ClientAddress, places: [[UInt8]]) {
            self.username = username
            self.address = address
            self.places = places
        }

        var accountSubject: String { "account:\(username)" }
        var addressSubject: String { "address:\(address.limitKey)" }
    }

    /// The password hash of an account, or how long this attempt has to wait before its password is looked at.
    public enum SignInAdmission: Sendable {
        /// Check this hash; `nil` where there is no such account.
        case check(passwordHash: String?)
        /// Too many failures; a place that signed in to the account before never gets this answer.
        case wait(Duration)
    }

    /// Whether an attempt may be made now. It counts as failed until ``signedIn(_:sessionHash:newPasswordHash:)``
    /// says otherwise, so that attempts that run side by side count as well.
    public func admit(_ attempt: SignInAttempt, limits: SignInLimits) async throws -> SignInAdmission {
        try await pool.transaction { transaction in
            let hash = try transaction.query(
                "SELECT password_hash FROM admins WHERE username = $1", [.text(attempt.username)]
            ).first?.text("password_hash")
            let isKnown = try !transaction.query(
                "SELECT 1 FROM known_sign_ins WHERE username = $1 AND place = ANY($2)",
                [.text(attempt.username), .bytesArray(attempt.places)]
            ).isEmpty
            var wait: Duration?
            // In one order, so that two attempts cannot wait for each other.
            for (subject, most) in [
                (attempt.accountSubject, limits.failuresPerAccount),
                (attempt.addressSubject, limits.failuresPerAddress),
            ] {
                let row = try transaction.query(
                    """
                    INSERT INTO sign_in_failures AS f (subject, failures, window_started_at)
                    VALUES ($1, 1, clock_timestamp())
                    ON CONFLICT (subject) DO UPDATE SET
                        failures = CASE WHEN f.window_started_at < clock_timestamp() - $2 * interval '1 millisecond'
                            THEN 1 ELSE least(f.failures, 1000000) + 1 END,
                        window_started_at = CASE
                            WHEN f.window_started_at < clock_timestamp() - $2 * interval '1 millisecond'
                            THEN clock_timestamp() ELSE f.window_started_at END
                    RETURNING failures, window_started_at, clock_timestamp() AS now
                    """, [.text(subject), .int64(limits.window.milliseconds)]
                ).only()
                if try row.int("failures") > most {
                    let left = try row.moment("window_started_at") + limits.window - row.moment("now")
                    wait = max(wait ?? .zero, left)
                }
            }
            if let wait, !isKnown { return .wait(max(wait, .seconds(1))) }
            return .check(passwordHash: hash)
        }
    }

    /// The password was right: starts a session, and remembers the places.
    ///
    /// - Parameter newPasswordHash: a hash with the current cost, where the stored one has another.
    /// - Returns: whether the account still exists with the hash that was checked.
    public func signedIn(
        _ attempt: SignInAttempt, sessionHash: [UInt8], checkedHash: String, newPasswordHash: String?
    ) async throws -> Bool {
        try await pool.transaction { transaction in
            let updated = try transaction.execute(
                """
                UPDATE admins SET last_sign_in_at = clock_timestamp(), password_hash = coalesce($3, password_hash)
                WHERE username = $1 AND password_hash = $2
                """, [.text(attempt.username), .text(checkedHash), .text(newPasswordHash)])
            guard updated == 1 else { return false }
            try transaction.enqueue(
                """
                INSERT INTO admin_sessions (session_hash, username, address, created_at, last_used_at)
                VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp())
                """, [.bytes(sessionHash), .text(attempt.username), .text(attempt.address.description)])
            try transaction.enqueue(
                """
                INSERT INTO known_sign_ins (username, place, last_at)
                SELECT $1, place, clock_timestamp() FROM unnest($2::bytea[]) AS place ORDER BY place
                ON CONFLICT (username, place) DO UPDATE SET last_at = excluded.last_at
                """, [.text(attempt.username), .bytesArray(attempt.places)])
            // In the order of `admit`.
            for subject in [attempt.accountSubject, attempt.addressSubject] {
                try transaction.enqueue("DELETE FROM sign_in_failures WHERE subject = $1", [.text(subject)])
            }
            try transaction.record(
                .adminSignedIn,
                by: Origination(.administrator(attempt.username), address: attempt.address))
            return true
        }
    }

    /// The password was wrong; one event for each account and address a minute at most.
    public func recordFailedSignIn(_ attempt: SignInAttempt) async throws {
        try await pool.transaction { transaction in
            let recent = try transaction.query(
                """
                SELECT 1 FROM events WHERE position > (SELECT max(position) - 200 FROM events)
                    AND event = $1 AND address = $2 AND details->>'username' = $3
                    AND at > clock_timestamp() - interval '1 minute' LIMIT 1
                """,
                [
                    .text(EventName.adminSignInFailed.rawValue), .text(attempt.address.description),
                    .text(attempt.username),
                ])
            guard recent.isEmpty else { return }
            try transaction.record(
                .adminSignInFailed, by: Origination(.system, address: attempt.address),
                details: .object(["username": .string(attempt.username)]))
        }
    }

    /// The account of a session that is neither idle for too long nor too old.
    ///
    /// - Parameter renews: whether this counts as use; written once a minute at most.
    public func account(
        ofSession hash: [UInt8], idle: Duration, absolute: Duration, renews: Bool
    ) async throws -> String? {
        let row = try await pool.query(
            """
            SELECT username, last_used_at < clock_timestamp() - interval '1 minute' AS stale FROM admin_sessions
            WHERE session_hash = $1 AND last_used_at > clock_timestamp() - $2 * interval '1 millisecond'
                AND created_at > clock_timestamp() - $3 * interval '1 millisecond'
            """, [.bytes(hash), .int64(idle.milliseconds), .int64(absolute.milliseconds)]
        ).first
        guard let row else { return nil }
        if renews, try row.bool("stale") {
            try await pool.execute(
                "UPDATE admin_sessions SET last_used_at = clock_timestamp() WHERE session_hash = $1",
                [.bytes(hash)])
        }
        return try row.text("username")
    }

    /// The sessions among `hashes` that are neither idle for too long nor too old.
    public func liveSessions(
        among hashes: [[UInt8]], idle: Duration, absolute: Duration
    ) async throws -> Set<[UInt8]> {
        Set(
            try await pool.query(
                """
                SELECT session_hash FROM admin_sessions
                WHERE session_hash = ANY($1) AND last_used_at > clock_timestamp() - $2 * interval '1 millisecond'
                    AND created_at > clock_timestamp() - $3 * interval '1 millisecond'
                """, [.bytesArray(hashes), .int64(idle.milliseconds), .int64(absolute.milliseconds)]
            ).map { try $0.bytes("session_hash") })
    }

    /// Ends a session.
    public func endSession(hash: [UInt8], address: ClientAddress?) async throws {
        try await pool.transaction { transaction in
            guard
                let username = try transaction.query(
                    "DELETE FROM admin_sessions WHERE session_hash = $1 RETURNING username", [.bytes(hash)]
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
        username: String, passwordHash: String, by origination: Origination
    ) async throws -> Bool {
        try await pool.transaction { transaction in
            let created = try transaction.execute(
                """
                INSERT INTO admins (username, password_hash, created_at) VALUES ($1, $2, clock_timestamp())
                ON CONFLICT DO NOTHING
                """, [.text(username), .text(passwordHash)])
            guard created == 1 else { return false }
            try transaction.record(
                .adminCreated, by: origination, details: .object(["username": .string(username)]))
            return true
        }
    }

    /// Changes a password and ends every session of the account.
    ///
    /// - Returns: `false` where there is no such account.
    public func setPassword(
        username: String, passwordHash: String, by origination: Origination
    ) async throws -> Bool {
        try await pool.transaction { transaction in
            let changed = try transaction.execute(
                "UPDATE admins SET password_hash = $2 WHERE username = $1",
                [.text(username), .text(passwordHash)])
            guard changed == 1 else { return false }
            try transaction.enqueue("DELETE FROM admin_sessions WHERE username = $1", [.text(username)])
            try transaction.enqueue("DELETE FROM known_sign_ins WHERE username = $1", [.text(username)])
            try transaction.record(
                .adminPasswordChanged, by: origination, details: .object(["username": .string(username)]))
            return true
        }
    }

    /// Removes an account with its sessions and tokens, unless it is the last one.
    public func removeAdmin(username: String, by origination: Origination) async throws -> Outcome<Void> {
        try await pool.transaction { transaction in
            // All rows: two administrators who remove each other must not both succeed.
            let names = try transaction.query("SELECT username FROM admins ORDER BY username FOR UPDATE")
                .map { try $0.text("username") }
            guard names.contains(username) else {
                return .refused(Refusal(.notFound, "unknown_account", "There is no account with this name."))
            }
            guard names.count > 1 else {
                return .refused(
                    Refusal(
                        .failedPrecondition, "last_administrator",
                        "This is the last administrator. Create another account before removing it."))
            }
            try transaction.enqueue("DELETE FROM admins WHERE username = $1", [.text(username)])
            try transaction.record(
                .adminRemoved, by: origination, details: .object(["username": .string(username)]))
            return .done(())
        }
    }

    /// All accounts by name.
    public func admins() async throws -> [AdminRow] {
        try await pool.query("SELECT username, created_at, last_sign_in_at FROM admins ORDER BY username").map
        {
            AdminRow(
                username: try $0.text("username"), createdAt: try $0.moment("created_at"),
                lastSignInAt: try $0.optionalMoment("last_sign_in_at"))
        }
    }
}
