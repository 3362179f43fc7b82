import PairingCore
import PairingStore

extension PairingAdministration {
    /// Whether, and how, sessions of that device replace each other at this time.
    public func contention(
        of senderID: SenderID, by authority: Authority
    ) async throws(Refusal) -> SystemTroubles.Contention? {
        try authority.require(.read)
        return try await refusing(logger) { try await store.contention(of: senderID) }
    }
}
