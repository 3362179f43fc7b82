/// What a channel asks its host to keep for it, since ABI 1.1: checked, and kept with its description.
public struct ChannelDeclarations: Sendable, Equatable {
    /// The most messages of a device that an agent is given at once, 1 to 1,000.
    public var batchMessages: Int?
    /// How long the first message of a batch waits for others.
    public var batchTime: Duration?
    /// After how long without a message of a connected device its agent is told; ascending, 8 at most.
    public var silencePeriods: [Duration] = []
    /// How long an agent's message is worth delivering.
    public var commandLifetime: Duration?
    /// The name of the operator's hook for devices that are not connected.
    public var pushHook: String?
    /// Whether a device is told when an agent begins to answer it.
    public var typing = false

    /// Asks for nothing.
    public init() {}

    /// Whether the channel asks for nothing.
    public var isEmpty: Bool { self == ChannelDeclarations() }
}
