import ChannelHost
import Cryptography
import Logging
import PairingCore
import PairingStore

/// The pairing kernel: every use case, over the shared store and this process's channel plugins.
///
/// Both servers and the command line embed it. It holds nothing that may not be lost at any instant.
public struct Kernel: Sendable {
    /// What administrators do with requests and devices.
    public let administration: PairingAdministration
    /// How administrators sign in.
    public let accounts: Accounts
    /// What programs push to devices.
    public let messages: MessageDesk
    /// What programs of agents see of devices.
    public let tools: ToolDesk
    /// What happened.
    public let feed: EventFeed
    /// Invitations, and when devices may ask to pair.
    public let invitations: Invitations
    /// What happened, for people, and the proof of it.
    public let audit: Audit
    /// What an operator does with a database that was taken back to an earlier moment.
    public let restoration: Restoration
    /// Who else is told of it.
    public let webhooks: Webhooks
    /// This process's channels.
    public let channels: ChannelHost
    /// What the configuration decides.
    public let settings: PairingSettings
    /// Where to report what the web server in front does wrong.
    public let webServerFaults: WebServerFaults
    let store: PairingStore
    let pairing: DevicePairing
    let clock: WallClock
    private let logger: Logger

    /// - Parameters:
    ///   - clock: for the window of proofs, and what channels are told; everything else goes by the database's.
    /// - Throws: a `CryptographyError` where there is no source of randomness.
    public init(
        store: PairingStore, channels: ChannelHost, settings: PairingSettings, clock: @escaping WallClock,
        logger: Logger
    ) throws {
        self.store = store
        self.channels = channels
        self.settings = settings
        self.clock = clock
        self.logger = logger
        webServerFaults = WebServerFaults(logger: logger)
        administration = PairingAdministration(
            store: store, host: channels, settings: settings, logger: logger)
        accounts = try Accounts(store: store, settings: settings, logger: logger)
        messages = MessageDesk(store: store, logger: logger)
        tools = ToolDesk(
            store: store, administration: administration, settings: settings, logger: logger)
        feed = EventFeed(store: store, logger: logger)
        audit = Audit(store: store, logger: logger)
        restoration = Restoration(store: store, audit: audit, logger: logger)
        webhooks = Webhooks(store: store, settings: settings, clock: clock, logger: logger)
        invitations = Invitations(store: store, settings: settings, logger: logger)
        pairing = DevicePairing(
            store: store, channels: channels, settings: settings, clock: clock, logger: logger)
    }

    /// Whether this process can serve: the database answers, accepts changes and is prepared, and no channel has lost its threads to calls
    /// that do not return, which only a restart brings back.
    ///
    /// - Throws: `UNAVAILABLE` with a message that says which it is.
    public func checkReadiness() async throws(Refusal) {
        guard channels.isReady else {
            throw Refusal(.channelStuck)
        }
        try await refusing(logger) {
            try await store.ping()
            if let lack = try await store.lack() { throw Refusal.unprepared(lack) }
        }
    }

    /// Ends what is due and removes what is outdated, until graceful shutdown; one in each gateway, and as
    /// many as there are do no harm.
    public func sweeper() -> Sweeper {
        Sweeper(store: store, settings: settings, logger: logger)
    }
}
