/// What a channel asks the host to keep for it, since ABI 1.1.
///
/// A host of 1.1 checks it, keeps it with the channel's description, and acts on it.
public struct Declarations: Sendable {
    /// The most messages of a device that an agent is given at once, up to 1,000.
    public var batchMessages: UInt32?
    /// How long the first message of a batch waits for others, up to a day; it needs ``batchMessages``.
    public var batchTime: Duration?
    /// After how long without a message of a device its agent is told: ascending, up to 8, up to a year.
    public var silencePeriods: [Duration] = []
    /// How long an agent's message is worth delivering, up to a year.
    public var commandLifetime: Duration?
    /// The name of the operator's hook that is to be called when there is something for a device that is not connected:
    /// `[a-z][a-z0-9_]{0,63}`.
    public var pushHook: String?
    /// Whether a connected device gets the event `typing` when an agent begins to answer it; since ABI 1.2.
    public var typing = false

    /// Asks for nothing.
    public init() {}
}

/// A frame that a channel sends by itself.
public struct SessionFrame: Sendable, Equatable {
    /// The session's ``Session/id``.
    public var session: UInt64
    /// What its device gets.
    public var frame: DeviceFrame

    /// Makes one.
    public init(session: UInt64, frame: DeviceFrame) {
        self.session = session
        self.frame = frame
    }
}
