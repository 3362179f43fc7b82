import Cryptography
import PairingCore
import PairingStore

extension Accounts {
    /// Makes an API token.
    ///
    /// - Parameters:
    ///   - owner: the account whose name its actions carry.
    ///   - name: 1 to 64 characters.
    ///   - lifetime: an hour to 400 days.
    /// - Returns: its secret, which is not stored and never shown again, and its listing.
    public func createToken(
        owner: String, name: String, scope: Scope, lifetime: Duration, by authority: Authority
    ) async throws(Refusal) -> (secret: String, token: APIToken) {
        try authority.require(.administer)
        let cleaned = cleanDeviceText(name, maximumScalars: 64)
        guard !cleaned.isEmpty, cleaned == name else {
            throw Refusal(
                .invalidTokenName,
                "\(quoted(name)) can't be a token's name: expected 1 to 64 visible characters.")
        }
        guard lifetime >= .seconds(3600), lifetime <= .seconds(400 * 86400) else {
            throw Refusal(
                .invalidLifetime,
                "A token can't last \(lifetime.components.seconds) s: expected an hour to 400 days.")
        }
        return try await refusing(logger) {
            guard let account = try await store.admin(owner) else { throw Refusal.unknownAccount(owner) }
            guard scope.limited(to: account.role) == scope else {
                throw Refusal(
                    .scopeOfOwner,
                    "The owner is \(account.role.withArticle), whose tokens may not \(scope.rawValue).")
            }
            let secret = try randomBytes(count: 32)
            guard
                let row = try await store.createToken(
                    hash: sha256(secret), owner: owner, name: name, scope: scope.rawValue, lifetime: lifetime,
                    by: Origination(authority.actor))
            else { throw Refusal.unknownAccount(owner) }
            return (Self.tokenPrefix + Base64URL.encode(secret), APIToken(row, scope: scope))
        }
    }

    /// All tokens, newest first.
    public func tokens(by authority: Authority) async throws(Refusal) -> [APIToken] {
        try authority.require(.read)
        return try await refusing(logger) {
            try await store.tokens().compactMap { row in
                Scope(rawValue: row.scope).map { APIToken(row, scope: $0) }
            }
        }
    }

    /// Revokes a token; its sockets end within seconds.
    ///
    /// - Throws: `NOT_FOUND` where there is none of that number that is not revoked yet.
    public func revokeToken(id: Int64, by authority: Authority) async throws(Refusal) {
        try authority.require(.administer)
        let revoked = try await refusing(logger) {
            try await store.revokeToken(id: id, by: Origination(authority.actor))
        }
        guard revoked else {
            throw Refusal(
                .unknownToken,
                "There is no token number \(id), or it is revoked already. Look at the list of tokens.")
        }
    }
}

extension PairingStore.TokenRow {
    /// What the token may do, by its own scope and its owner's role; `nil` where that is nothing.
    var effectiveScope: Scope? { Scope(rawValue: scope)?.limited(to: ownerRole) }
}

extension APIToken {
    fileprivate init(_ row: PairingStore.TokenRow, scope: Scope) {
        self.init(
            id: row.id, owner: row.owner, name: row.name, scope: scope, createdAt: row.createdAt,
            expiresAt: row.expiresAt, revokedAt: row.revokedAt, lastUsedAt: row.lastUsedAt)
    }
}
