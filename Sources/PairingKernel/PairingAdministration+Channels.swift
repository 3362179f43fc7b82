import ChannelHost
public import PairingCore
import PairingStore

/// A running gateway and what it says of its channels.
public struct GatewayChannels: Sendable, Equatable {
    /// The gateway, this start of it.
    public var instanceID: InstanceID
    /// What operators call it; several may have one name.
    public var name: String
    /// When it started.
    public var startedAt: Timestamp
    /// What it says.
    public var account: Account
    /// How long ago it was last heard of; what it says was true then.
    public var heardAgo: Duration = .zero
    /// Whether it has missed its time to say that it lives twice: it ended, or cannot reach the database.
    public var isLate = false

    /// What is known of a gateway's channels.
    public enum Account: Sendable, Equatable {
        /// It started a moment ago and has said nothing yet.
        case none
        /// It runs a version of this software whose words are not understood here.
        case foreign
        /// What it said, as long ago as ``GatewayChannels/heardAgo`` says.
        case report(ChannelsReport)
    }
}

/// The channels of this process and of every running gateway.
public struct ChannelsOverview: Sendable, Equatable {
    /// What this process says.
    public var here: ChannelsReport
    /// The gateways whose lease runs, in the order of their names.
    public var gateways: [GatewayChannels]
}

extension PairingAdministration {
    /// What this process says of its channels; asks nobody else.
    public func channelsHere(by authority: Authority) throws(Refusal) -> ChannelsReport {
        try authority.require(.read)
        return host.report
    }

    /// The channels of this process and of every running gateway.
    ///
    /// - Throws: `UNAVAILABLE` where the database, through which gateways tell, cannot be reached.
    public func channels(by authority: Authority) async throws(Refusal) -> ChannelsOverview {
        let here = try channelsHere(by: authority)
        let gateways = try await refusing(logger) {
            try await store.instanceChannels().map {
                // A lease is renewed four times in its life.
                let heardAgo = max(.zero, settings.authorityLease - $0.leaseLeft)
                return GatewayChannels(
                    instanceID: $0.instanceID, name: cleanDeviceText($0.name, maximumScalars: 256),
                    startedAt: $0.startedAt, account: .init($0.report), heardAgo: heardAgo,
                    isLate: heardAgo > settings.authorityLease * 3 / 5)
            }
        }
        return ChannelsOverview(here: here, gateways: gateways)
    }
}

extension GatewayChannels.Account {
    fileprivate init(_ text: String?) {
        guard let text else {
            self = .none
            return
        }
        let report = (try? JSONValue(parsing: text.utf8)).flatMap(ChannelsReport.init)
        self = report.map(Self.report) ?? .foreign
    }
}
