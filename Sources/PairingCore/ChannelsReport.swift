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

        /// Wraps the parts.
        package init(
            id: ChannelID, library: Library, limits: ChannelLimits, outOfService: String?, isStuck: Bool,
            overdueCalls: Int, waitingCalls: Int, sessions: Int, misbehaviours: Int,
            values: [String: Double], outlook: Outlook, declarations: [Detail] = []
        ) {
            self.id = id
            self.library = library
            self.limits = limits
            self.outOfService = outOfService
            self.isStuck = isStuck
            self.overdueCalls = overdueCalls
            self.waitingCalls = waitingCalls
            self.sessions = sessions
            self.misbehaviours = misbehaviours
            self.values = values
            self.outlook = outlook
            self.declarations = declarations
        }
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

        /// Wraps the parts.
        package init(
            displayName: String, version: String, abi: String, path: String, sha256: String,
            swiftVersion: String?
        ) {
            self.displayName = displayName
            self.version = version
            self.abi = abi
            self.path = path
            self.sha256 = sha256
            self.swiftVersion = swiftVersion
        }
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

        /// Wraps the parts.
        package init(id: ChannelID, version: String, path: String, sha256: String) {
            self.id = id
            self.version = version
            self.path = path
            self.sha256 = sha256
        }
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

        /// Wraps the two.
        package init(path: String, reason: String) {
            self.path = path
            self.reason = reason
        }
    }

    /// The loaded channels, sorted by ID.
    public var channels: [Channel] = []
    /// The plugins that the start refused, in the order of their paths.
    public var refused: [Refused] = []
    /// The plugins that a restart would try to load, of channels that are not loaded.
    public var newcomers: [Found] = []
    /// The plugins that a restart would refuse, and the start did not, or for another reason.
    public var newlyRefused: [Refused] = []

    /// Wraps the parts.
    package init(
        channels: [Channel] = [], refused: [Refused] = [], newcomers: [Found] = [],
        newlyRefused: [Refused] = []
    ) {
        self.channels = channels
        self.refused = refused
        self.newcomers = newcomers
        self.newlyRefused = newlyRefused
    }
}

extension ChannelsReport {
    /// The report with all that plugins and the names of files contributed cleaned (I7).
    package var cleaned: ChannelsReport {
        ChannelsReport(
            channels: channels.map(\.cleaned), refused: refused.map(\.cleaned),
            newcomers: newcomers.map(\.cleaned), newlyRefused: newlyRefused.map(\.cleaned))
    }
}

extension ChannelsReport.Channel {
    fileprivate var cleaned: ChannelsReport.Channel {
        var channel = self
        channel.library.displayName = clean(library.displayName)
        channel.library.version = clean(library.version)
        channel.library.abi = clean(library.abi)
        channel.library.path = clean(library.path)
        channel.library.swiftVersion = library.swiftVersion.map(clean)
        channel.outOfService = outOfService.map(clean)
        channel.outlook = outlook.cleaned
        return channel
    }
}

extension ChannelsReport.Outlook {
    fileprivate var cleaned: ChannelsReport.Outlook {
        switch self {
        case .same, .gone: self
        case .other(let found): .other(found.cleaned)
        case .refused(let reason): .refused(clean(reason))
        }
    }
}

extension ChannelsReport.Found {
    fileprivate var cleaned: ChannelsReport.Found {
        ChannelsReport.Found(id: id, version: clean(version), path: clean(path), sha256: sha256)
    }
}

extension ChannelsReport.Refused {
    fileprivate var cleaned: ChannelsReport.Refused {
        ChannelsReport.Refused(path: clean(path), reason: clean(reason))
    }
}

private func clean(_ text: String) -> String { cleanDeviceText(text, maximumScalars: 4096) }
