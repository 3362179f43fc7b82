import ChannelHost
public import PairingCore

/// What one process says of its channels: what it loaded and refused at its start, how that is doing, and
/// what a restart would change as the folder is now.
///
/// Whatever a plugin or a file's name contributed is cleaned (I7).
public struct ChannelsReport: Sendable, Equatable {
    /// A channel that is loaded.
    public struct Channel: Sendable, Equatable {
        /// The channel's ID.
        public var id: ChannelID
        /// Its library.
        public var library: Library
        /// What it asks the process to enforce.
        public var limits: ChannelLimits
        /// Why no call reaches it at the moment; `nil` where calls do.
        public var outOfService: String?
        /// Whether only a restart of the process brings it back: its calls do not return.
        public var isStuck: Bool
        /// Calls that have not come back within their time and still occupy a thread.
        public var overdueCalls: Int
        /// Calls that wait for a thread.
        public var waitingCalls: Int
        /// Sessions that are open in the process.
        public var sessions: Int
        /// How often the plugin broke a rule since the process started.
        public var misbehaviours: Int
        /// The plugin's own counters and gauges, by name.
        public var values: [String: Double]
        /// What a restart of the process would make of it.
        public var outlook: Outlook
        /// What it asks the servers to keep for it, in words; no server acts on it yet.
        public var declarations: [Detail] = []
    }

    /// What was loaded, and from where; the same in processes that run the same.
    public struct Library: Sendable, Equatable {
        /// The channel's name for people.
        public var displayName: String
        /// The plugin's own version.
        public var version: String
        /// The version of the ABI it was built for, such as `1.0`.
        public var abi: String
        /// The library's path.
        public var path: String
        /// The library's SHA-256 when it was loaded, 64 hexadecimal digits.
        public var sha256: String
        /// The Swift version it was built with, where it is a Swift plugin.
        public var swiftVersion: String?
    }

    /// A plugin that a restart would try to load; whether it starts is not known before.
    public struct Found: Sendable, Equatable {
        /// The channel's ID.
        public var id: ChannelID
        /// The plugin's version.
        public var version: String
        /// The library's path.
        public var path: String
        /// The library's SHA-256, 64 hexadecimal digits.
        public var sha256: String
    }

    /// What a restart of the process would make of a loaded channel.
    public enum Outlook: Sendable, Equatable {
        /// The same library would be loaded.
        case same
        /// Another library would be loaded.
        case other(Found)
        /// The channel would be refused, for that reason.
        case refused(String)
        /// The folder has the channel no more.
        case gone
    }

    /// A plugin that is not used.
    public struct Refused: Sendable, Hashable {
        /// The path of the library, or of the folder where that is what was refused.
        public var path: String
        /// A sentence: what was found, what was expected, and what to do.
        public var reason: String
    }

    /// The loaded channels, sorted by ID.
    public var channels: [Channel] = []
    /// The plugins that the start refused, in the order of their paths.
    public var refused: [Refused] = []
    /// The plugins that a restart would try to load, of channels that are not loaded.
    public var newcomers: [Found] = []
    /// The plugins that a restart would refuse, and the start did not, or for another reason.
    public var newlyRefused: [Refused] = []
}

extension ChannelsReport {
    init(_ report: ChannelHostReport) {
        channels = report.channels.map(Channel.init)
        refused = report.refused.map(Refused.init)
        newcomers = report.newcomers.map(Found.init)
        newlyRefused = report.newlyRefused.map(Refused.init)
    }
}

extension ChannelsReport.Channel {
    fileprivate init(_ channel: ChannelHostReport.Channel) {
        let (description, status) = (channel.description, channel.status)
        self.init(
            id: description.id,
            library: ChannelsReport.Library(
                displayName: cleaned(description.displayName), version: cleaned(description.version),
                abi: cleaned(description.abi), path: cleaned(description.path), sha256: description.sha256,
                swiftVersion: description.swiftVersion.map(cleaned)),
            limits: description.limits,
            outOfService: status.outOfService.map(cleaned), isStuck: status.isStuck,
            overdueCalls: status.overdueCalls, waitingCalls: status.waitingCalls,
            sessions: status.sessions, misbehaviours: status.misbehaviours, values: status.values,
            outlook: ChannelsReport.Outlook(channel.outlook), declarations: description.declarations.facts)
    }
}

extension ChannelsReport.Outlook {
    fileprivate init(_ outlook: RestartOutlook) {
        switch outlook {
        case .same: self = .same
        case .other(let found): self = .other(ChannelsReport.Found(found))
        case .refused(let reason): self = .refused(cleaned(reason))
        case .gone: self = .gone
        }
    }
}

extension ChannelsReport.Found {
    fileprivate init(_ plugin: FoundPlugin) {
        self.init(
            id: plugin.id, version: cleaned(plugin.version), path: cleaned(plugin.path), sha256: plugin.sha256
        )
    }
}

extension ChannelsReport.Refused {
    fileprivate init(_ plugin: RefusedPlugin) {
        self.init(path: cleaned(plugin.path), reason: cleaned(plugin.reason))
    }
}

private func cleaned(_ text: String) -> String { cleanDeviceText(text, maximumScalars: 4096) }
