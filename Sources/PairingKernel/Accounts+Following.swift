import PairingCore

extension Accounts {
    /// The authorities among these, given before, that still hold; two questions, however many there are. None of them
    /// is renewed by it.
    public func holding(among authorities: [Authority]) async throws(Refusal) -> Set<Authority> {
        try await refusing(logger) { try await live(among: authorities) }
    }
}
