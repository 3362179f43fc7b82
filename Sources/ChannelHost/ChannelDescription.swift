public import PairingCore

/// A channel that is loaded.
public struct ChannelDescription: Sendable, Equatable {
    /// The channel's ID.
    public var id: ChannelID
    /// The channel's name for people.
    public var displayName: String
    /// The plugin's own version.
    public var version: String
    /// The version of the ABI the plugin was built for, such as `1.0`.
    public var abi: String
    /// The library's path.
    public var path: String
    /// The library's SHA-256 when it was loaded, 64 hexadecimal digits.
    public var sha256: String
    /// The Swift version the plugin was built with, where it is a Swift plugin.
    public var swiftVersion: String?
    /// What the channel asks the process to enforce.
    public var limits: ChannelLimits
    /// What the channel asks the process to keep for it.
    public var declarations = ChannelDeclarations()
}

/// How a loaded channel is doing.
public struct ChannelStatus: Sendable, Equatable {
    /// The channel.
    public var id: ChannelID
    /// Why no call reaches the channel at the moment; `nil` where calls do.
    public var outOfService: String?
    /// Whether all its threads are occupied by calls that have not returned in time. It is in service again when one
    /// returns; where none does, only a restart of the process brings the channel back.
    public var isStuck: Bool
    /// Calls that have not come back within their time and still occupy a thread.
    public var overdueCalls: Int
    /// Calls that wait for a thread.
    public var waitingCalls: Int
    /// Sessions that are open.
    public var sessions: Int
    /// How often the plugin broke a rule since the start.
    public var misbehaviours: Int
    /// The plugin's own counters and gauges, by name.
    public var values: [String: Double]
}

/// The bounds of what is done with plugins, of every call above all.
public struct ChannelCallLimits: Sendable {
    /// Threads that each channel has to itself.
    public var threads = 2
    /// Calls of one channel that may wait for a thread; more are refused.
    public var waiting = 1024
    /// The time from asking for a call to its return, after which it is answered without the plugin.
    public var call: Duration = .seconds(5)
    /// The time from asking for a call to the answer of its ticket.
    public var ticket: Duration = .seconds(30)
    /// The time a plugin has to start.
    public var start: Duration = .seconds(10)
    /// How often a minute a plugin may break a rule before no call reaches it for the rest of the minute.
    public var misbehaviours = 100
    /// How many of them a minute the sessions of one device can bring about. Beyond these no call for its
    /// sessions reaches the plugin for the rest of the minute, nor counts what went wrong against the plugin.
    public var misbehavioursPerSender = 10
    /// How often the folder is looked at for what a restart would load.
    public var folderLook: Duration = .seconds(2)

    /// The defaults.
    public init() {}
}
