/// What a channel asks the process to enforce. `nil` leaves a limit to the process, whose own also bound these.
public struct ChannelLimits: Sendable, Equatable {
    /// Whether a device must have a key; its host refuses one with a bare token.
    public var requiresKey = false
    /// Whether a bare token is good enough.
    public var allowsToken: Bool { !requiresKey }
    /// The greatest size of a device's message, in bytes; enforced by the host.
    public var maximumMessageBytes: Int?
    /// How many messages a second one device may send in the long run, over all of its sessions; enforced by
    /// the host.
    public var messagesPerSecond: Double?
    /// How many messages one device may send at once after a pause, where their rate is limited; enforced by
    /// the host. A second's worth unless the channel says otherwise.
    public var burst: Int?
    /// The time between pings.
    public var heartbeat: Duration?
    /// The time without a byte from the device after which its session is closed.
    public var silence: Duration?
    /// The life of a pairing request that nobody decides.
    public var pairingLifetime: Duration?
    /// The time between the channel's ticks; `nil`: it has none.
    public var tick: Duration?

    /// Leaves everything to the process.
    public init() {}

    /// How many messages may be sent at once where nothing but their rate is said: a second's worth, 1 at least.
    package static func burst(ofRate perSecond: Double) -> Int {
        max(1, Int(min(perSecond.rounded(.up), Double(UInt32.max))))
    }
}
