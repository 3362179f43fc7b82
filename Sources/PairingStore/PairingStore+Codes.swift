import PairingCore
import Postgres

extension PairingStore {
    /// How long a sign-in waits for its one-time code.
    private static let patience = Duration.seconds(600)

    /// What proves that whoever knows the password is its owner.
    public enum SecondProof: Sendable {
        /// A code of this time step.
        case step(Int64)
        /// The hash of a recovery code.
        case recoveryCode([UInt8])
    }

    /// What came of a second proof.
    public enum SecondProofResult: Sendable, Equatable {
        /// The session has begun.
        case signedIn
        /// The code, or a later one, was used before.
        case replayed
        /// There is no such recovery code, or it was used.
        case unknown
        /// The sign-in took too long, or the account has changed meanwhile.
        case ended
    }

    /// A sign-in whose password was right and that waits for a code.
    public struct WaitingSignIn: Sendable {
        /// The account.
        public var username: String
        /// What codes are made of, sealed.
        public var sealedSecret: [UInt8]
        /// The database's time.
        public var now: Timestamp
    }

    /// The password was right: where the account takes a code as well, the sign-in waits for that.
    ///
    /// - Returns: `false` where it takes none.
    public func awaitCode(
        _ attempt: SignInAttempt, sessionHash: [UInt8], checkedHash: String
    ) async throws -> Bool {
        try await pool.execute(
            """
            INSERT INTO admin_sessions
                (session_hash, username, address, browser, awaits_code, created_at, last_used_at)
            SELECT $1, username, $3, $4, true, clock_timestamp(), clock_timestamp() FROM admins
            WHERE username = $2 AND password_hash = $5 AND totp_secret IS NOT NULL AND disabled_at IS NULL
            """,
            [
                .bytes(sessionHash), .text(attempt.username), .text(attempt.address.description),
                .text(attempt.browserName), .text(checkedHash),
            ]) == 1
    }

    /// The sign-in that waits with this hash; `nil` where there is none, or it has waited too long.
    public func waitingSignIn(_ hash: [UInt8]) async throws -> WaitingSignIn? {
        try await pool.query(
            """
            SELECT a.username, a.totp_secret, clock_timestamp() AS now
            FROM admin_sessions s JOIN admins a ON a.username = s.username
            WHERE s.session_hash = $1 AND s.awaits_code AND a.totp_secret IS NOT NULL AND a.disabled_at IS NULL
                AND s.created_at > clock_timestamp() - $2 * interval '1 millisecond'
            """, [.bytes(hash), .int64(Self.patience.milliseconds)]
        ).first.map {
            WaitingSignIn(
                username: try $0.text("username"), sealedSecret: try $0.bytes("totp_secret"),
                now: try $0.moment("now"))
        }
    }

    /// A second proof was given: spends it and starts the session in place of the one that waits.
    ///
    /// - Parameters:
    ///   - waiting: the hash of the sign-in that waits.
    ///   - sealedSecret: what the code was compared with.
    ///   - newBrowserPlace: as for ``signedIn(_:sessionHash:checkedHash:newPasswordHash:newBrowserPlace:)``.
    public func prove(
        _ proof: SecondProof, for attempt: SignInAttempt, waiting: [UInt8], sealedSecret: [UInt8],
        sessionHash: [UInt8], newBrowserPlace: [UInt8]
    ) async throws -> SecondProofResult {
        try await pool.transaction { transaction in
            let account = try transaction.query(
                """
                SELECT totp_step FROM admins
                WHERE username = $1 AND totp_secret = $2 AND disabled_at IS NULL FOR UPDATE
                """, [.text(attempt.username), .bytes(sealedSecret)]
            ).first
            guard let account else { return .ended }
            switch proof {
            case .step(let step):
                guard try account.int64("totp_step") < step else { return .replayed }
                try transaction.enqueue(
                    "UPDATE admins SET totp_step = $2, last_sign_in_at = clock_timestamp() WHERE username = $1",
                    [.text(attempt.username), .int64(step)])
            case .recoveryCode(let hash):
                let spent = try transaction.execute(
                    """
                    UPDATE recovery_codes SET used_at = clock_timestamp()
                    WHERE username = $1 AND code_hash = $2 AND used_at IS NULL
                    """, [.text(attempt.username), .bytes(hash)])
                guard spent == 1 else { return .unknown }
                try transaction.enqueue(
                    "UPDATE admins SET last_sign_in_at = clock_timestamp() WHERE username = $1",
                    [.text(attempt.username)])
            }
            let ended = try transaction.execute(
                "DELETE FROM admin_sessions WHERE session_hash = $1 AND username = $2 AND awaits_code",
                [.bytes(waiting), .text(attempt.username)])
            // What was spent stays spent: of two that come together one signs in.
            guard ended == 1 else { return .ended }
            try transaction.begin(sessionHash, attempt, newBrowserPlace: newBrowserPlace)
            let origination = Origination(.administrator(attempt.username), address: attempt.address)
            if case .recoveryCode = proof {
                let left = try transaction.query(
                    "SELECT count(*) AS left FROM recovery_codes WHERE username = $1 AND used_at IS NULL",
                    [.text(attempt.username)]
                ).only().int64("left")
                try transaction.record(
                    .adminRecoveryCodeUsed, by: origination,
                    details: .object(["username": .string(attempt.username), "left": .integer(left)]))
            }
            try transaction.record(.adminSignedIn, by: origination)
            return .signedIn
        }
    }

    /// Whether an account takes codes, and what it is about to take.
    public struct CodeState: Sendable {
        /// Since when it takes codes; `nil` where it takes none.
        public var since: Timestamp?
        /// The sealed secret whose owner has not shown yet that the device holds it.
        public var pending: [UInt8]?
        /// The sealed secret in use.
        public var sealedSecret: [UInt8]?
        /// How many recovery codes are left.
        public var recoveryCodesLeft: Int
        /// The database's time.
        public var now: Timestamp
    }

    /// Whether an account takes codes; `nil` where there is none of that name.
    public func codeState(of username: String) async throws -> CodeState? {
        try await pool.query(
            """
            SELECT totp_since, totp_pending, totp_secret, clock_timestamp() AS now,
                (SELECT count(*) FROM recovery_codes r WHERE r.username = a.username AND used_at IS NULL) AS left
            FROM admins a WHERE username = $1
            """, [.text(username)]
        ).first.map {
            CodeState(
                since: try $0.optionalMoment("totp_since"), pending: try $0.optionalBytes("totp_pending"),
                sealedSecret: try $0.optionalBytes("totp_secret"), recoveryCodesLeft: try $0.int("left"),
                now: try $0.moment("now"))
        }
    }

    /// Keeps a secret until its owner shows a code of it. One that waits already stays: a repeat shows the same.
    public func offerCodes(sealedSecret: [UInt8], to username: String) async throws {
        try await pool.execute(
            """
            UPDATE admins SET totp_pending = $2
            WHERE username = $1 AND totp_pending IS NULL AND totp_secret IS NULL
            """, [.text(username), .bytes(sealedSecret)])
    }

    /// From now on the account takes codes of the secret that waited.
    ///
    /// - Parameters:
    ///   - step: of the code that was shown; it is spent.
    ///   - recoveryCodes: the hashes of those that replace all before.
    /// - Returns: `false` where that secret does not wait any more.
    public func startCodes(
        of username: String, pending: [UInt8], step: Int64, recoveryCodes: [[UInt8]],
        by origination: Origination
    ) async throws -> Bool {
        try await pool.transaction { transaction in
            let started = try transaction.execute(
                """
                UPDATE admins SET totp_secret = totp_pending, totp_pending = NULL, totp_step = $3,
                    totp_since = clock_timestamp()
                WHERE username = $1 AND totp_pending = $2
                """, [.text(username), .bytes(pending), .int64(step)])
            guard started == 1 else { return false }
            try transaction.enqueue("DELETE FROM recovery_codes WHERE username = $1", [.text(username)])
            try transaction.enqueue(
                "INSERT INTO recovery_codes (username, code_hash) SELECT $1, unnest($2::bytea[])",
                [.text(username), .bytesArray(recoveryCodes)])
            try transaction.record(
                .adminTOTPEnabled, by: origination, details: .object(["username": .string(username)]))
            return true
        }
    }

    /// From now on the account takes no code, and a secret that waited is forgotten.
    ///
    /// - Returns: `false` where there is no account of that name.
    public func stopCodes(of username: String, by origination: Origination) async throws -> Bool {
        try await pool.transaction { transaction in
            let before = try transaction.query(
                "SELECT totp_secret IS NOT NULL AS takes FROM admins WHERE username = $1 FOR UPDATE",
                [.text(username)]
            ).first
            guard let before else { return false }
            try transaction.enqueue(
                """
                UPDATE admins SET totp_secret = NULL, totp_pending = NULL, totp_since = NULL WHERE username = $1
                """, [.text(username)])
            try transaction.enqueue("DELETE FROM recovery_codes WHERE username = $1", [.text(username)])
            guard try before.bool("takes") else { return true }
            try transaction.record(
                .adminTOTPDisabled, by: origination, details: .object(["username": .string(username)]))
            return true
        }
    }
}
