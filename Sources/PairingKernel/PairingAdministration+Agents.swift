public import PairingCore
import PairingStore

/// A running gateway and what it says of its agents.
public struct GatewayAgents: Sendable, Equatable {
    /// The gateway, this start of it.
    public var instanceID: InstanceID
    /// What operators call it; several may have one name.
    public var name: String
    /// When it started.
    public var startedAt: Timestamp
    /// What it said, a few seconds ago at most; `nil` where it has said nothing that is understood here.
    public var report: AgentsReport?

    /// A gateway and its report.
    public init(instanceID: InstanceID, name: String, startedAt: Timestamp, report: AgentsReport?) {
        self.instanceID = instanceID
        self.name = name
        self.startedAt = startedAt
        self.report = report
    }
}

extension PairingAdministration {
    /// What the gateways whose lease runs say of their agents, in the order of the gateways' names.
    ///
    /// - Throws: `UNAVAILABLE` where the database, through which gateways tell, cannot be reached.
    public func agents(by authority: Authority) async throws(Refusal) -> [GatewayAgents] {
        try authority.require(.read)
        return try await refusing(logger) {
            try await store.instanceChannels().map { instance in
                let said = instance.report.flatMap { try? JSONValue(parsing: $0.utf8) }
                return GatewayAgents(
                    instanceID: instance.instanceID,
                    name: cleanDeviceText(instance.name, maximumScalars: 256), startedAt: instance.startedAt,
                    report: said?[AgentsReport.member].flatMap(AgentsReport.init))
            }
        }
    }
}

extension AgentsReport {
    /// Where the report stands in what a gateway says of itself, beside what it says of its channels.
    static let member = "agents"
}
