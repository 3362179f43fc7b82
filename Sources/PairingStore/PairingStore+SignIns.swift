import PairingCore
import Postgres

extension PairingStore {
    /// What a sign-in is measured by.
    public struct SignInLimits: Sendable {
        /// Failures of one account in a window before strangers wait.
        public var failuresPerAccount: Int
        /// Failures from one address in a window before it waits.
        public var failuresPerAddress: Int
        /// Failures of one account in a window from one place that signed in to it before, until that place waits.
        public var failuresPerKnownPlace: Int
        /// How long a window lasts from its first failure.
        public var window: Duration

        /// Wraps the limits.
        public init(
            failuresPerAccount: Int, failuresPerAddress: Int, failuresPerKnownPlace: Int, window: Duration
        ) {
            self.failuresPerAccount = failuresPerAccount
            self.failuresPerAddress = failuresPerAddress
            self.failuresPerKnownPlace = failuresPerKnownPlace
            self.window = window
        }
    }

    /// Someone at the sign-in form.
    public struct SignInAttempt: Sendable {
        /// The account, whether or not there is one of that name.
        public var username: String
        /// Where the attempt comes from.
        public var address: ClientAddress
        /// The hash of the browser's cookie.
        public var browserPlace: [UInt8]?
        /// The hash of the address.
        public var addressPlace: [UInt8]
        /// What the browser calls itself, cleaned.
        public var browserName: String

        /// Wraps the parts.
        public init(
            username: String, address: ClientAddress, browserPlace: [UInt8]?, addressPlace: [UInt8],
            browserName: String = ""
        ) {
            self.username = username
            self.address = address
            self.browserPlace = browserPlace
            self.addressPlace = addressPlace
            self.browserName = browserName
        }

        /// What tells the place, the more telling first: many may share an address, nobody a browser.
        public var places: [[UInt8]] { (browserPlace.map { [$0] } ?? []) + [addressPlace] }
        var accountSubject: String { FailureSubject.account(username) }
        var addressSubject: String { "address:\(address.limitKey)" }
    }

    /// The password hash of an account, or how long this attempt has to wait before its password is looked at.
    public enum SignInAdmission: Sendable {
        /// Check this hash; `nil` where there is no such account.
        case check(passwordHash: String?)
        /// Too many failures: of the place itself where it signed in to the account before, else of anybody.
        case wait(Duration)
    }

    /// Whether the attempt comes from where somebody signed in to the account before.
    public func isFromKnownPlace(_ attempt: SignInAttempt) async throws -> Bool {
        try await !pool.query(
            "SELECT 1 FROM known_sign_ins WHERE username = $1 AND place = ANY($2) LIMIT 1",
            [.text(attempt.username), .bytesArray(attempt.places)]
        ).isEmpty
    }

    /// Whether an attempt may be made now. It counts as failed until
    /// ``signedIn(_:sessionHash:checkedHash:newPasswordHash:newBrowserPlace:)`` says otherwise, so that attempts that
    /// run side by side count as well.
    ///
    /// A place that signed in to the account before is measured by its own failures alone: others can neither lock
    /// it out, nor does it guess without end.
    public func admit(_ attempt: SignInAttempt, limits: SignInLimits) async throws -> SignInAdmission {
        try await pool.transaction { transaction in
            let hash = try transaction.query(
                "SELECT password_hash FROM admins WHERE username = $1 AND disabled_at IS NULL",
                [.text(attempt.username)]
            ).first?.text("password_hash")
            let known = try transaction.query(
                "SELECT place FROM known_sign_ins WHERE username = $1 AND place = ANY($2)",
                [.text(attempt.username), .bytesArray(attempt.places)]
            ).map { try $0.bytes("place") }
            if let place = attempt.places.first(where: known.contains) {
                let wait = try transaction.countFailure(
                    of: FailureSubject.place(place, of: attempt.username),
                    most: limits.failuresPerKnownPlace, in: limits.window)
                return wait.map { .wait($0) } ?? .check(passwordHash: hash)
            }
            // In one order, so that two attempts cannot wait for each other.
            let accountWait = try transaction.countFailure(
                of: attempt.accountSubject, most: limits.failuresPerAccount, in: limits.window)
            let addressWait = try transaction.countFailure(
                of: attempt.addressSubject, most: limits.failuresPerAddress, in: limits.window)
            let wait = [accountWait, addressWait].compactMap { $0 }.max()
            return wait.map { .wait($0) } ?? .check(passwordHash: hash)
        }
    }

    /// The password was right: starts a session, and remembers the places.
    ///
    /// - Parameters:
    ///   - newPasswordHash: a hash with the current cost, where the stored one has another.
    ///   - newBrowserPlace: the hash of the cookie that the browser is given now. It takes the place of the one that
    ///     it came with, which somebody else may have put there.
    /// - Returns: whether the account still exists with the hash that was checked, and takes no code as well.
    public func signedIn(
        _ attempt: SignInAttempt, sessionHash: [UInt8], checkedHash: String, newPasswordHash: String?,
        newBrowserPlace: [UInt8]
    ) async throws -> Bool {
        try await pool.transaction { transaction in
            let updated = try transaction.execute(
                """
                UPDATE admins SET last_sign_in_at = clock_timestamp(), password_hash = coalesce($3, password_hash)
                WHERE username = $1 AND password_hash = $2 AND totp_secret IS NULL AND disabled_at IS NULL
                """, [.text(attempt.username), .text(checkedHash), .text(newPasswordHash)])
            guard updated == 1 else { return false }
            try transaction.begin(sessionHash, attempt, newBrowserPlace: newBrowserPlace)
            try transaction.record(
                .adminSignedIn,
                by: Origination(.administrator(attempt.username), address: attempt.address))
            return true
        }
    }

    /// The password, or with `reason` what else was asked for, was wrong; one event for each account, address and
    /// reason a minute at most.
    ///
    /// A name that is no account's is not recorded: people type passwords there, and events stay for ever.
    ///
    /// - Parameter limits: where the attempt was not admitted before: after too many of its address it is only counted.
    /// - Returns: how long to wait where it was only counted.
    @discardableResult
    public func recordFailedSignIn(
        _ attempt: SignInAttempt, reason: String? = nil, limits: SignInLimits? = nil
    ) async throws -> Duration? {
        try await pool.transaction { transaction in
            if let limits,
                let wait = try transaction.countFailure(
                    of: attempt.addressSubject, most: limits.failuresPerAddress, in: limits.window)
            {
                return wait
            }
            let username = try transaction.query(
                "SELECT username FROM admins WHERE username = $1", [.text(attempt.username)]
            ).first?.text("username")
            let recent = try transaction.query(
                """
                SELECT 1 FROM events WHERE position > (SELECT max(position) - 200 FROM events)
                    AND event = $1 AND address = $2 AND details->>'username' IS NOT DISTINCT FROM $3
                    AND details->>'reason' IS NOT DISTINCT FROM $4
                    AND at > clock_timestamp() - interval '1 minute' LIMIT 1
                """,
                [
                    .text(EventName.adminSignInFailed.rawValue), .text(attempt.address.description),
                    .text(username), .text(reason),
                ])
            guard recent.isEmpty else { return nil }
            var details: [String: JSONValue] =
                username.map { ["username": .string($0)] } ?? ["unknownAccount": .bool(true)]
            if let reason { details["reason"] = .string(reason) }
            try transaction.record(
                .adminSignInFailed, by: Origination(.system, address: attempt.address),
                details: .object(details))
            return nil
        }
    }
}

extension PairingStore {
    /// What was counted as a failure was none.
    public func forgetFailures(of attempt: SignInAttempt) async throws {
        try await pool.transaction { try $0.forgetFailures(of: attempt) }
    }
}

/// What failures are counted by.
enum FailureSubject {
    /// Two bytes that follow from the name, not the name: a password that was typed as one is kept nowhere. Accounts
    /// and names that are none are counted alike, so that a count tells neither.
    static func account(_ username: String) -> String {
        // FNV-1a
        let hash = username.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return "account:" + String(UInt16(truncatingIfNeeded: hash ^ (hash >> 16)), radix: 16)
    }

    /// A place that signed in to the account before.
    static func place(_ place: [UInt8], of username: String) -> String {
        places(of: username) + Base64URL.encode(place)
    }

    /// What every place of the account begins with.
    static func places(of username: String) -> String { "place:\(username):" }
}

extension Transaction {
    /// Starts a session, remembers where it was begun, and forgets the failures before.
    func begin(
        _ sessionHash: [UInt8], _ attempt: PairingStore.SignInAttempt, newBrowserPlace: [UInt8]
    ) throws {
        try enqueue(
            """
            INSERT INTO admin_sessions (session_hash, username, address, browser, created_at, last_used_at)
            VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())
            """,
            [
                .bytes(sessionHash), .text(attempt.username), .text(attempt.address.description),
                .text(attempt.browserName),
            ])
        if let old = attempt.browserPlace {
            // Other accounts know the browser by its new cookie as well.
            try enqueue(
                """
                WITH known AS (SELECT username FROM known_sign_ins WHERE place = $1 ORDER BY username FOR UPDATE)
                UPDATE known_sign_ins SET place = $2
                WHERE place = $1 AND username IN (SELECT username FROM known)
                """, [.bytes(old), .bytes(newBrowserPlace)])
        }
        try enqueue(
            """
            INSERT INTO known_sign_ins (username, place, last_at)
            SELECT $1, place, clock_timestamp() FROM unnest($2::bytea[]) AS place ORDER BY place
            ON CONFLICT (username, place) DO UPDATE SET last_at = excluded.last_at
            """,
            [.text(attempt.username), .bytesArray([newBrowserPlace, attempt.addressPlace])])
        try forgetFailures(of: attempt)
    }

    /// Forgets the failures that an attempt which succeeded was counted with.
    func forgetFailures(of attempt: PairingStore.SignInAttempt) throws {
        let places = attempt.places.map { FailureSubject.place($0, of: attempt.username) }
        // In the order of `admit`.
        for subject in [attempt.accountSubject, attempt.addressSubject] + places.sorted() {
            try enqueue("DELETE FROM sign_in_failures WHERE subject = $1", [.text(subject)])
        }
    }

    /// Counts a failure.
    ///
    /// - Returns: how long to wait, at least a second, where there are more than `most` in the window.
    func countFailure(of subject: String, most: Int, in window: Duration) throws -> Duration? {
        let row = try query(
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
            """, [.text(subject), .int64(window.milliseconds)]
        ).only()
        guard try row.int("failures") > most else { return nil }
        return max(try row.moment("window_started_at") + window - row.moment("now"), .seconds(1))
    }

    /// Forgets the failures of an account, from wherever.
    func forgetFailures(of username: String) throws {
        try enqueue(
            """
            DELETE FROM sign_in_failures WHERE subject IN (SELECT subject FROM sign_in_failures
                WHERE subject = $1 OR starts_with(subject, $2) ORDER BY subject COLLATE "C" FOR UPDATE)
            """, [.text(FailureSubject.account(username)), .text(FailureSubject.places(of: username))])
    }
}
