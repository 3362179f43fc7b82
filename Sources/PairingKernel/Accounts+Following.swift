import PairingCore
import PairingStore

extension Accounts {
    /// The authorities among these, given before, that still hold; two questions, however many there are. None of them
    /// is renewed by it.
    public func holding(among authorities: [Authority]) async throws(Refusal) -> Set<Authority> {
        try await refusing(logger) { try await live(among: authorities) }
    }

    /// The same, where the database's errors are wanted as they are.
    ///
    /// A token whose owner's role has changed what it may do holds no more: its program comes again. A session holds on:
    /// whatever follows it only looks, which every role may.
    func live(among authorities: [Authority]) async throws -> Set<Authority> {
        var hashes: [[UInt8]] = []
        var tokens: [Int64] = []
        for authority in authorities {
            switch authority.source {
            case .session(let hash): hashes.append(hash)
            case .token(let id): tokens.append(id)
            case .commandLine: continue
            }
        }
        let liveHashes =
            hashes.isEmpty
            ? []
            : try await store.liveSessions(
                among: hashes, idle: settings.sessionIdleTimeout, absolute: settings.sessionAbsoluteTimeout)
        let scopes = Dictionary(
            try await tokens.isEmpty
                ? [] : store.liveTokens(among: tokens).map { ($0.id, $0.effectiveScope) },
            uniquingKeysWith: { first, _ in first })
        return Set(
            authorities.filter { authority in
                switch authority.source {
                case .session(let hash): liveHashes.contains(hash)
                case .token(let id): scopes[id] == authority.scope
                case .commandLine: true
                }
            })
    }
}
