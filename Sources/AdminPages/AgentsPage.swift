import PairingCore
import PairingKernel

/// `/agents`: how each agent is doing in each gateway.
struct AgentsPage: PageModel {
    /// One agent in every gateway that speaks of it.
    struct Agent {
        var name: String
        var places: [(gateway: GatewayAgents, label: String, agent: AgentsReport.Agent)]

        /// In how many gateways it is not asked, or only tried.
        var troubled: Int { places.count { $0.agent.state != .working } }
    }

    /// The agents in the order of their names.
    let agents: [Agent]
    private let gateways: [GatewayAgents]
    private let now: Timestamp

    init(_ gateways: [GatewayAgents], now: Timestamp) {
        self.gateways = gateways
        self.now = now
        let places = gateways.flatMap { gateway in
            (gateway.report?.agents ?? []).map {
                (gateway: gateway, label: Self.label(of: gateway, among: gateways), agent: $0)
            }
        }
        agents = Set(places.map(\.agent.name)).sorted().map { name in
            Agent(name: name, places: places.filter { $0.agent.name == name })
        }
    }

    /// Gateways of one name are told apart by their starts.
    private static func label(of gateway: GatewayAgents, among gateways: [GatewayAgents]) -> String {
        gateways.count { $0.name == gateway.name } == 1
            ? gateway.name : "\(gateway.name) (\(gateway.instanceID.text.prefix(8)))"
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "agents": agents.map { AgentItem($0, now: now) }
        case "hasAgents": !agents.isEmpty
        case "agentCount": agents.count
        case "pageAlerts": alerts
        default: nil
        }
    }

    private var alerts: [AlertItem] {
        if gateways.isEmpty {
            return [
                AlertItem(
                    "No gateway is running.",
                    "Devices cannot connect, and what they have sent waits for an answer.")
            ]
        }
        let silent = gateways.filter { $0.report == nil }
        if silent.isEmpty { return [] }
        return [
            AlertItem(
                "Not every gateway has said how its agents are doing.",
                "It does so within seconds of its start, unless it runs another version of this software.",
                labels: silent.map { Self.label(of: $0, among: gateways) })
        ]
    }
}

/// An agent with how it is doing everywhere.
final class AgentItem: PageModel {
    private let agent: AgentsPage.Agent
    private let now: Timestamp

    init(_ agent: AgentsPage.Agent, now: Timestamp) {
        self.agent = agent
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "agentName": agent.name
        case "isTroubled": agent.troubled > 0
        case "isTroubledInPart": agent.troubled < agent.places.count
        case "places": agent.places.map { AgentPlaceItem($0.gateway, $0.label, $0.agent, now: now) }
        default: nil
        }
    }
}

/// An agent in one gateway.
final class AgentPlaceItem: PageModel {
    private let gateway: GatewayAgents
    private let label: String
    private let agent: AgentsReport.Agent
    private let now: Timestamp

    init(_ gateway: GatewayAgents, _ label: String, _ agent: AgentsReport.Agent, now: Timestamp) {
        self.gateway = gateway
        self.label = label
        self.agent = agent
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "placeLabel": label
        case "placeStartedAt": TimeItem(gateway.startedAt, .ago, now: now)
        case "isAsked": agent.state == .working
        case "isTried": agent.state == .trying
        case "agentActive": agent.active
        case "agentWaiting": agent.waiting
        case "isWaitedFor": agent.waiting > 0
        case "agentAnswers": agent.answers
        case "agentFailures": agent.failures
        case "hasFailed": agent.failures > 0
        case "agentMedian": agent.median.map(Self.latency)
        case "agentSlowest": agent.percentile99.map(Self.latency)
        case "failureReason": agent.lastFailure?.reason
        case "failureMessage": agent.lastFailure?.message
        default: nil
        }
    }

    /// Milliseconds as people read them: `840 ms`, `2.5 s`, `90 s`.
    static func latency(_ milliseconds: Int64) -> String {
        switch milliseconds {
        case ..<1000: "\(milliseconds) ms"
        case ..<10_000: "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
        default: "\(milliseconds / 1000) s"
        }
    }
}
