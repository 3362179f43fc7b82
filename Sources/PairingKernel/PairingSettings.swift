import PairingCore

/// What the configuration decides about pairing and sessions.
public struct PairingSettings: Sendable {
    /// Which origins are served; a proof must be signed for one of them.
    public var origins: OriginPolicy
    /// Whether channels exist at all; `lite` has none, and every pairing use case answers `FORBIDDEN`.
    public var edition: Edition
    /// How long a request waits for a decision; a channel may set a shorter time.
    public var pairingCodeTTL: Duration
    /// How long a denied credential and address wait before they may claim that sender ID again.
    public var pairingCooldown: Duration
    /// How far a proof's `signedAt` may be from this server's clock, either way.
    public var proofWindow: Duration
    /// Live requests an address may hold (IPv6: a /64).
    public var requestsPerAddress: Int
    /// Live requests in all.
    public var requestsTotal: Int
    /// Greatest length of a request's metadata in bytes of compact JSON.
    public var maximumMetadataBytes: Int
    /// Whether an administrator types the code instead of comparing it.
    public var requiresTypedCode: Bool
    /// How long an instance may act on its memory without confirming it with the database.
    public var authorityLease: Duration
    /// How long its sessions then pause before they are closed.
    public var authorityGrace: Duration
    /// How long a claim on agents' work lasts without being renewed.
    public var workLease: Duration
    /// How long a message waits at most to be handed to an agent with others, where its channel wants that; zero: none
    /// does.
    public var batchWait: Duration
    /// How long a message is kept after its end.
    public var messageRetention: Duration
    /// How often a channel may fail to deliver a message before the message ends as undeliverable.
    public var deliveryAttempts: Int
    /// How long it waits after its first failure; longer after each further one.
    public var deliveryPause: Duration
    /// How long an unused administrator session lasts.
    public var sessionIdleTimeout: Duration
    /// How long an administrator session lasts at most.
    public var sessionAbsoluteTimeout: Duration
    /// At least 32 bytes that no database holds: what the secrets of one-time codes are encrypted under. `nil` where
    /// there are none; then nobody can begin to use codes.
    public var accountKey: [UInt8]?

    /// Web hooks.
    public var webhooks: WebhookSettings
    /// Who may be chosen to answer devices.
    public var agents: AgentChoice
    /// Whether administrators may look at the text of devices' messages.
    public var showsMessageText: Bool

    /// The defaults of the specification for the given origins.
    public init(origins: OriginPolicy) {
        self.origins = origins
        edition = .standard
        pairingCodeTTL = .seconds(3600)
        pairingCooldown = .seconds(600)
        proofWindow = .seconds(120)
        requestsPerAddress = 5
        requestsTotal = 1000
        maximumMetadataBytes = 16 * 1024
        requiresTypedCode = false
        authorityLease = .seconds(10)
        authorityGrace = .seconds(5)
        workLease = .seconds(10)
        batchWait = .seconds(60)
        messageRetention = .seconds(7 * 86400)
        deliveryAttempts = 5
        deliveryPause = .seconds(1)
        sessionIdleTimeout = .seconds(12 * 3600)
        sessionAbsoluteTimeout = .seconds(7 * 86400)
        webhooks = WebhookSettings()
        agents = AgentChoice()
        showsMessageText = false
    }
}

/// The agents that the configuration names, for those who choose among them.
public struct AgentChoice: Sendable, Equatable {
    /// The agent that is there without being configured.
    public static let builtIn = "echo"

    /// Every agent's name, in order.
    public var names: [String]
    /// The agent of each channel's devices that has one of its own.
    public var defaults: [ChannelID: String]

    /// Wraps the two.
    public init(names: [String] = [], defaults: [ChannelID: String] = [:]) {
        self.names = Set(names + [Self.builtIn]).sorted()
        self.defaults = defaults
    }

    /// Who answers a channel's devices where nobody chose another.
    public func defaultAgent(of channel: ChannelID) -> String { defaults[channel] ?? Self.builtIn }
}
