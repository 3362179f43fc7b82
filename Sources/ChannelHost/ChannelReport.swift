public import PairingCore

/// A plugin in the folder that passes every check which is made before its code runs.
public struct FoundPlugin: Sendable, Equatable {
    /// The channel's ID, as the manifest says.
    public var id: ChannelID
    /// The plugin's version, as the manifest says.
    public var version: String
    /// The library's path.
    public var path: String
    /// The library's SHA-256, 64 hexadecimal digits.
    public var sha256: String
}

/// What a restart of this process would make of a channel that is loaded, as the folder is now.
public enum RestartOutlook: Sendable, Equatable {
    /// The same library would be loaded.
    case same
    /// Another library would be loaded.
    case other(FoundPlugin)
    /// The channel would be refused, for that reason.
    case refused(String)
    /// The folder has the channel no more.
    case gone
}

/// What one process says of its channels: what runs, how it is doing, and what a restart would change.
///
/// What a restart would find is known to within ``ChannelCallLimits/folderLook``. Whether a plugin starts at
/// all is not known before: nothing but a start runs its code.
public struct ChannelHostReport: Sendable, Equatable {
    /// A channel that is loaded.
    public struct Channel: Sendable, Equatable {
        /// What was loaded.
        public var description: ChannelDescription
        /// How it is doing.
        public var status: ChannelStatus
        /// What a restart would make of it.
        public var outlook: RestartOutlook
    }

    /// The loaded channels, sorted by ID.
    public var channels: [Channel]
    /// The plugins that the start refused, in the order of their paths.
    public var refused: [RefusedPlugin]
    /// The plugins that a restart would try to load, of channels that are not loaded.
    public var newcomers: [FoundPlugin]
    /// The plugins that a restart would refuse, and the start did not, or for another reason.
    public var newlyRefused: [RefusedPlugin]
}
