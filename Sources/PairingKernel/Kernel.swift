import PairingCore

/// The pairing kernel: every use case, over the shared store and this process's channel plugins.
///
/// Both servers and the command line embed it. It holds nothing that may not be lost at any instant.
public struct Kernel: Sendable {
    /// What administrators do with requests and devices.
    public let administration: PairingAdministration
    /// How administrators sign in.
    public let accounts: Accounts
    /// What happened.
    public let feed: EventFeed
    /// What the configuration decides.
    public let settings: PairingSettings

    /// Whether the database answers; for readiness.
    ///
    /// - Throws: ``PairingCore/Refusal/unavailable`` where it doesn't.
    public func checkDatabase() async throws(Refusal) { throw .internal }
}
