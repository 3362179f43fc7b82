import PairingCore
import Postgres

extension PairingStore {
    /// An API token; its secret is not stored.
    public struct TokenRow: Sendable {
        /// Its number.
        public var id: Int64
        /// The account its actions carry.
        public var owner: String
        /// What that account may do; its tokens may no more.
        public var ownerRole: Role
        /// What its owner called it.
        public var name: String
        /// The word of its scope.
        public var scope: String
        /// When it was made.
        public var createdAt: Timestamp
        /// When it ends by itself.
        public var expiresAt: Timestamp
        /// When it was revoked.
        public var revokedAt: Timestamp?
        /// When it was last used; to the minute.
        public var lastUsedAt: Timestamp?
        /// Whether it is neither revoked nor expired, and its owner not disabled.
        public var isLive: Bool
    }

    /// Of `api_tokens t` and its owner `admins a`.
    private static let columns = """
        t.token_id, t.owner, a.role, t.name, t.scope, t.created_at, t.expires_at, t.revoked_at, t.last_used_at,
        t.revoked_at IS NULL AND t.expires_at > clock_timestamp() AND a.disabled_at IS NULL AS live
        """

    /// Makes a token.
    ///
    /// - Returns: `nil` where its owner has no account.
    public func createToken(
        hash: [UInt8], owner: String, name: String, scope: String, lifetime: Duration,
        by origination: Origination
    ) async throws -> TokenRow? {
        try await pool.transaction { transaction in
            let row = try transaction.query(
                """
                WITH t AS (
                    INSERT INTO api_tokens (token_hash, owner, name, scope, created_at, expires_at)
                    SELECT $1, username, $3, $4, clock_timestamp(),
                        clock_timestamp() + $5 * interval '1 millisecond'
                    FROM admins WHERE username = $2
                    RETURNING *)
                SELECT \(Self.columns) FROM t JOIN admins a ON a.username = t.owner
                """,
                [.bytes(hash), .text(owner), .text(name), .text(scope), .int64(lifetime.milliseconds)]
            ).first?.token()
            guard let row else { return nil }
            try transaction.record(.tokenCreated, by: origination, details: row.eventDetails)
            return row
        }
    }

    /// The live tokens with these hashes, used now; in their order, `nil` where there is none.
    public func tokens(hashes: [[UInt8]]) async throws -> [TokenRow?] {
        var found: [[UInt8]: TokenRow] = [:]
        let rows = try await pool.query(
            """
            SELECT t.token_hash, \(Self.columns) FROM api_tokens t JOIN admins a ON a.username = t.owner
            WHERE t.token_hash = ANY($1)
            """,
            [.bytesArray(hashes)])
        for row in rows {
            let token = try row.token()
            if token.isLive { found[try row.bytes("token_hash")] = token }
        }
        if !found.isEmpty {
            // What another process holds on to, it is marking as used as well.
            try await pool.execute(
                """
                UPDATE api_tokens SET last_used_at = clock_timestamp() WHERE token_id IN (
                    SELECT token_id FROM api_tokens WHERE token_id = ANY($1)
                        AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
                    FOR UPDATE SKIP LOCKED)
                """, [.int64s(found.values.map(\.id))])
        }
        return hashes.map { found[$0] }
    }

    /// The tokens among `ids` that are still live.
    public func liveTokens(among ids: [Int64]) async throws -> [TokenRow] {
        try await pool.query(
            """
            SELECT \(Self.columns) FROM api_tokens t JOIN admins a ON a.username = t.owner
            WHERE t.token_id = ANY($1) AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()
                AND a.disabled_at IS NULL
            """, [.int64s(ids)]
        ).map { try $0.token() }
    }

    /// All tokens, newest first.
    public func tokens() async throws -> [TokenRow] {
        try await pool.query(
            """
            SELECT \(Self.columns) FROM api_tokens t JOIN admins a ON a.username = t.owner
            ORDER BY t.token_id DESC
            """
        ).map { try $0.token() }
    }

    /// Revokes a token.
    ///
    /// - Returns: `false` where there is none of that number that is not revoked yet.
    public func revokeToken(id: Int64, by origination: Origination) async throws -> Bool {
        try await pool.transaction { transaction in
            let row = try transaction.query(
                """
                UPDATE api_tokens t SET revoked_at = clock_timestamp() FROM admins a
                WHERE t.token_id = $1 AND t.revoked_at IS NULL AND a.username = t.owner
                RETURNING \(Self.columns)
                """, [.int64(id)]
            ).first?.token()
            guard let row else { return false }
            try transaction.record(.tokenRevoked, by: origination, details: row.eventDetails)
            return true
        }
    }
}

extension PairingStore.TokenRow {
    fileprivate var eventDetails: JSONValue {
        .object([
            "tokenId": .integer(id), "owner": .string(owner), "name": .string(name), "scope": .string(scope),
        ])
    }
}

extension PostgresRow {
    fileprivate func token() throws -> PairingStore.TokenRow {
        PairingStore.TokenRow(
            id: try int64("token_id"), owner: try text("owner"), ownerRole: try role(),
            name: try text("name"),
            scope: try text("scope"), createdAt: try moment("created_at"),
            expiresAt: try moment("expires_at"), revokedAt: try optionalMoment("revoked_at"),
            lastUsedAt: try optionalMoment("last_used_at"), isLive: try bool("live"))
    }
}
