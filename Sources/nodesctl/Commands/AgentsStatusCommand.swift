import ArgumentParser
import PairingCore
import PairingKernel

/// `nodesctl agents status`
struct AgentsStatusCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how each agent is doing in every running gateway.",
        discussion: "Gateways tell every few seconds, through PostgreSQL. Counts are since a gateway's start."
    )

    @OptionGroup var options: OperatorOptions

    func run(at desk: Desk) async throws {
        let gateways = try await desk.administration.agents(by: desk.authority)
        try desk.print(.array(gateways.map(\.json)), GatewayAgents.text(gateways))
    }
}

extension GatewayAgents {
    /// For a program.
    var json: JSONValue {
        .object([
            "instanceId": .string(instanceID.text), "name": .string(name),
            "startedAt": .integer(startedAt.milliseconds), "agents": report?.json ?? .null,
        ])
    }

    /// For a person.
    static func text(_ gateways: [GatewayAgents]) -> String {
        if gateways.isEmpty { return "No gateway is running." }
        var table = TextTable(
            "AGENT", "GATEWAY", "STATE", "UNDER WAY", "WAITING", "ANSWERS", "FAILURES", "MEDIAN", "99 %",
            "LAST FAILURE")
        let told = gateways.flatMap { gateway in
            (gateway.report?.agents ?? []).map { (gateway: gateway.name, agent: $0) }
        }
        for (gateway, agent) in told.sorted(by: { ($0.agent.name, $0.gateway) < ($1.agent.name, $1.gateway) })
        {
            table.add(
                agent.name, gateway, agent.state.rawValue, "\(agent.active)", "\(agent.waiting)",
                "\(agent.answers)", "\(agent.failures)", agent.median.map { "\($0) ms" } ?? "",
                agent.percentile99.map { "\($0) ms" } ?? "",
                agent.lastFailure.map { "\($0.reason): \($0.message)" } ?? "")
        }
        let silent = gateways.filter { $0.report == nil }.map {
            "\(terminalText($0.name)) has not said yet how its agents are doing, or runs another version."
        }
        return ((told.isEmpty ? [] : [table.text]) + silent).joined(separator: "\n\n")
    }
}
