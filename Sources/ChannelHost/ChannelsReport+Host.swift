import PairingCore

extension ChannelsReport.Channel {
    /// What a loaded channel is, how it is doing, and what a restart would make of it.
    init(_ channel: ChannelDescription, _ status: ChannelStatus, outlook: ChannelsReport.Outlook) {
        self.init(
            id: channel.id,
            library: ChannelsReport.Library(
                displayName: channel.displayName, version: channel.version, abi: channel.abi,
                path: channel.path, sha256: channel.sha256, swiftVersion: channel.swiftVersion),
            limits: channel.limits, outOfService: status.outOfService, isStuck: status.isStuck,
            overdueCalls: status.overdueCalls, waitingCalls: status.waitingCalls, sessions: status.sessions,
            misbehaviours: status.misbehaviours, values: status.values, outlook: outlook,
            declarations: channel.declarations.facts)
    }
}
