import PairingCore
import Postgres

extension PairingStore {
    /// The most passkeys of an account.
    public static let passkeysPerAccount = 20
    /// The most sign-ins with passkeys that one network may have begun.
    private static let challengesPerNetwork = 50

    /// A passkey as it is stored.
    public struct PasskeyRow: Sendable {
        /// Its public identifier here.
        public var id: String
        /// The account.
        public var username: String
        /// What the authenticator knows the account by.
        public var userHandle: [UInt8]
        /// What authenticators and browsers know it by.
        public var credentialID: [UInt8]
        /// A `SubjectPublicKeyInfo`.
        public var publicKey: [UInt8]
        /// The host that it is for.
        public var host: String
        /// What its owner calls it.
        public var name: String
        /// When it was added.
        public var createdAt: Timestamp
        /// When somebody last signed in with it.
        public var lastUsedAt: Timestamp?
    }

    /// What an authenticator has to sign.
    public struct PasskeyChallenge: Sendable {
        /// What for.
        public enum Purpose: String, Sendable {
            case add
            case signIn = "sign-in"
        }

        /// What it may be answered for.
        public var purpose: Purpose
        /// 32 bytes.
        public var bytes: [UInt8]
        /// Whose passkey it has to be; `nil` where anybody's will do.
        public var username: String?
        /// What a passkey that is added is called.
        public var name: String

        /// Wraps the parts.
        public init(purpose: Purpose, bytes: [UInt8], username: String?, name: String = "") {
            self.purpose = purpose
            self.bytes = bytes
            self.username = username
            self.name = name
        }
    }

    /// Keeps a challenge in place of the one before of the same session or browser.
    ///
    /// - Parameters:
    ///   - binding: the hash of the session's or the browser's secret.
    ///   - address: where from; of the sign-ins that one network began the oldest go.
    public func keep(
        _ challenge: PasskeyChallenge, for binding: [UInt8], from address: ClientAddress,
        lifetime: Duration
    ) async throws {
        try await pool.transaction { transaction in
            let network = address.networkBlock
            try transaction.enqueue(
                """
                DELETE FROM passkey_challenges WHERE binding IN (
                    (SELECT binding FROM passkey_challenges WHERE expires_at < clock_timestamp() LIMIT 100)
                    UNION ALL
                    (SELECT binding FROM passkey_challenges WHERE network = $1 AND purpose = $3
                        ORDER BY expires_at DESC OFFSET $2))
                """,
                [
                    .text(network), .int64(Int64(Self.challengesPerNetwork - 1)),
                    .text(PasskeyChallenge.Purpose.signIn.rawValue),
                ])
            try transaction.enqueue(
                """
                INSERT INTO passkey_challenges (binding, purpose, challenge, username, name, network, expires_at)
                VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7 * interval '1 millisecond')
                ON CONFLICT (binding) DO UPDATE SET purpose = excluded.purpose, challenge = excluded.challenge,
                    username = excluded.username, name = excluded.name, network = excluded.network,
                    expires_at = excluded.expires_at
                """,
                [
                    .bytes(binding), .text(challenge.purpose.rawValue), .bytes(challenge.bytes),
                    .text(challenge.username), .text(challenge.name), .text(network),
                    .int64(lifetime.milliseconds),
                ])
        }
    }

    /// The challenge that a session or a browser has to answer; `nil` where there is none, or it is too old.
    ///
    /// - Parameter spends: whether it is taken away: nothing answers it again, whatever comes of this.
    public func challenge(
        for binding: [UInt8], purpose: PasskeyChallenge.Purpose, spends: Bool
    ) async throws -> PasskeyChallenge? {
        let sql =
            spends
            ? """
            DELETE FROM passkey_challenges WHERE binding = $1 AND purpose = $2
            RETURNING challenge, username, name, expires_at > clock_timestamp() AS live
            """
            : """
            SELECT challenge, username, name, expires_at > clock_timestamp() AS live
            FROM passkey_challenges WHERE binding = $1 AND purpose = $2
            """
        let row = try await pool.query(sql, [.bytes(binding), .text(purpose.rawValue)]).first
        guard let row, try row.bool("live") else { return nil }
        return PasskeyChallenge(
            purpose: purpose, bytes: try row.bytes("challenge"), username: try row.optionalText("username"),
            name: try row.text("name"))
    }

    private static let passkeyColumns = """
        p.passkey_id::text AS passkey_id, p.username, a.user_handle, p.credential_id, p.public_key, p.host, p.name,
        p.created_at, p.last_used_at
        """

    /// The passkeys of an account, the first added first.
    public func passkeys(of username: String) async throws -> [PasskeyRow] {
        try await pool.query(
            """
            SELECT \(Self.passkeyColumns) FROM passkeys p JOIN admins a USING (username)
            WHERE p.username = $1 ORDER BY p.created_at, p.passkey_id
            """, [.text(username)]
        ).map { try PasskeyRow($0) }
    }

    /// The passkey with this identifier of an authenticator's.
    public func passkey(_ credentialID: [UInt8]) async throws -> PasskeyRow? {
        try await pool.query(
            """
            SELECT \(Self.passkeyColumns) FROM passkeys p JOIN admins a USING (username)
            WHERE p.credential_id = $1 AND a.disabled_at IS NULL
            """, [.bytes(credentialID)]
        ).first.map { try PasskeyRow($0) }
    }

    /// What authenticators know an account by.
    public func userHandle(of username: String) async throws -> [UInt8]? {
        try await pool.query("SELECT user_handle FROM admins WHERE username = $1", [.text(username)]).first?
            .bytes("user_handle")
    }

    /// What came of adding a passkey.
    public enum PasskeyAddition: Sendable {
        case added
        /// It is an account's already.
        case taken
        /// The account has as many as it may.
        case full
    }

    /// Adds a passkey to an account.
    public func addPasskey(
        _ credentialID: [UInt8], publicKey: [UInt8], host: String, name: String, signCount: UInt32,
        to username: String, by origination: Origination
    ) async throws -> PasskeyAddition {
        try await pool.transaction { transaction in
            _ = try transaction.query(
                "SELECT 1 FROM admins WHERE username = $1 FOR UPDATE", [.text(username)])
            let count = try transaction.query(
                "SELECT count(*) AS count FROM passkeys WHERE username = $1", [.text(username)]
            ).only().int("count")
            guard count < Self.passkeysPerAccount else { return .full }
            let added = try transaction.execute(
                """
                INSERT INTO passkeys (username, credential_id, public_key, host, name, sign_count, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp()) ON CONFLICT (credential_id) DO NOTHING
                """,
                [
                    .text(username), .bytes(credentialID), .bytes(publicKey), .text(host), .text(name),
                    .int64(Int64(signCount)),
                ])
            guard added == 1 else { return .taken }
            try transaction.record(
                .adminPasskeyAdded, by: origination,
                details: .object(["username": .string(username), "name": .string(name)]))
            return .added
        }
    }

    /// Gives a passkey of an account another name.
    ///
    /// - Returns: `false` where the account has none of this identifier.
    public func renamePasskey(
        _ id: String, of username: String, to name: String, by origination: Origination
    ) async throws -> Bool {
        try await pool.transaction { transaction in
            let row = try transaction.query(
                "SELECT name FROM passkeys WHERE passkey_id = $1::uuid AND username = $2 FOR UPDATE",
                [.text(id), .text(username)]
            ).first
            guard let before = try row?.text("name") else { return false }
            // The same again, after a double click, is no event.
            guard before != name else { return true }
            try transaction.enqueue(
                "UPDATE passkeys SET name = $2 WHERE passkey_id = $1::uuid", [.text(id), .text(name)])
            try transaction.record(
                .adminPasskeyRenamed, by: origination,
                details: .object([
                    "username": .string(username), "name": .string(name), "before": .string(before),
                ]))
            return true
        }
    }

    /// Removes one passkey of an account, or with `nil` all of them.
    ///
    /// - Returns: how many; `nil` where there is no such account.
    public func removePasskeys(
        _ id: String?, of username: String, by origination: Origination
    ) async throws -> Int? {
        try await pool.transaction { transaction in
            let account = try transaction.query(
                "SELECT 1 FROM admins WHERE username = $1 FOR UPDATE", [.text(username)])
            guard !account.isEmpty else { return nil }
            let removed = try transaction.query(
                """
                DELETE FROM passkeys WHERE username = $1 AND ($2::uuid IS NULL OR passkey_id = $2::uuid)
                RETURNING name
                """, [.text(username), .text(id)])
            for row in removed {
                try transaction.record(
                    .adminPasskeyRemoved, by: origination,
                    details: .object([
                        "username": .string(username), "name": .string(try row.text("name")),
                    ]))
            }
            return removed.count
        }
    }

    /// What came of a sign-in with a passkey.
    public enum PasskeySignInResult: Sendable {
        case signedIn
        /// Its counter did not go on: there are two of it.
        case counted
        /// It, or its account, is gone.
        case ended
    }

    /// A passkey's signature was right: starts a session.
    ///
    /// - Parameters:
    ///   - waiting: the hash of a sign-in that waits for a second proof, which this ends.
    ///   - newBrowserPlace: as for ``signedIn(_:sessionHash:checkedHash:newPasswordHash:newBrowserPlace:)``.
    public func signedIn(
        _ attempt: SignInAttempt, with passkey: PasskeyRow, signCount: UInt32, waiting: [UInt8]?,
        sessionHash: [UInt8], newBrowserPlace: [UInt8]
    ) async throws -> PasskeySignInResult {
        try await pool.transaction { transaction in
            let account = try transaction.query(
                "SELECT 1 FROM admins WHERE username = $1 AND disabled_at IS NULL FOR UPDATE",
                [.text(passkey.username)])
            guard !account.isEmpty else { return .ended }
            let row = try transaction.query(
                "SELECT sign_count FROM passkeys WHERE passkey_id = $1::uuid FOR UPDATE", [.text(passkey.id)]
            ).first
            guard let row else { return .ended }
            let before = try row.int64("sign_count")
            // WebAuthn Level 2 §7.2, step 21; those that do not count say zero.
            guard Int64(signCount) > before || (signCount == 0 && before == 0) else { return .counted }
            try transaction.enqueue(
                "UPDATE passkeys SET sign_count = $2, last_used_at = clock_timestamp() WHERE passkey_id = $1::uuid",
                [.text(passkey.id), .int64(Int64(signCount))])
            try transaction.enqueue(
                "UPDATE admins SET last_sign_in_at = clock_timestamp() WHERE username = $1",
                [.text(passkey.username)])
            if let waiting {
                try transaction.enqueue(
                    "DELETE FROM admin_sessions WHERE session_hash = $1 AND awaits_code", [.bytes(waiting)])
            }
            try transaction.begin(sessionHash, attempt, newBrowserPlace: newBrowserPlace)
            try transaction.record(
                .adminSignedIn,
                by: Origination(.administrator(attempt.username), address: attempt.address),
                details: .object(["passkey": .string(passkey.name)]))
            return .signedIn
        }
    }
}

extension PairingStore.PasskeyRow {
    init(_ row: PostgresRow) throws {
        self.init(
            id: try row.text("passkey_id"), username: try row.text("username"),
            userHandle: try row.bytes("user_handle"), credentialID: try row.bytes("credential_id"),
            publicKey: try row.bytes("public_key"), host: try row.text("host"), name: try row.text("name"),
            createdAt: try row.moment("created_at"), lastUsedAt: try row.optionalMoment("last_used_at"))
    }
}
