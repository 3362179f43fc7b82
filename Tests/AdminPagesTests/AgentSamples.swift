// Constants of the tests.
// swift-format-ignore-file: NeverForceUnwrap

import PairingCore

@testable import PairingKernel

private func gateway(_ number: Int, _ name: String, _ agents: [AgentsReport.Agent]?) -> GatewayAgents {
    GatewayAgents(
        instanceID: InstanceID("6f1c1d1e-0000-4000-8000-00000000000\(number)")!, name: name,
        startedAt: sampleNow + .seconds(-7300), report: agents.map { AgentsReport(agents: $0) })
}

private let support = AgentsReport.Agent(
    name: "support", state: .working, active: 3, waiting: 0, answers: 1841, failures: 0, lastFailure: nil,
    median: 840, percentile99: 6200)

/// Two gateways of one name, of which one pauses an agent, and one that has said nothing yet.
let sampleAgents = [
    gateway(1, "host-a", [support]),
    gateway(
        2, "host-b",
        [
            AgentsReport.Agent(
                name: "plant", state: .trying, active: 1, waiting: 17, answers: 12, failures: 31,
                lastFailure: AgentsReport.Failure(reason: "timed_out", message: hostileText), median: 90_400,
                percentile99: 120_000),
            AgentsReport.Agent(
                name: "support", state: .paused, active: 0, waiting: 0, answers: 0, failures: 5,
                lastFailure: AgentsReport.Failure(
                    reason: "unreachable", message: "The agent's server can't be reached."), median: nil,
                percentile99: nil),
        ]),
    gateway(3, "host-b", nil),
]
