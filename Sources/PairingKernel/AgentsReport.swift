import Agents
public import PairingCore

/// What one gateway says of its agents: how each is doing there, since the gateway's start.
///
/// What an agent's server contributed is cleaned (I7).
public struct AgentsReport: Sendable, Equatable {
    /// Whether an agent is asked.
    public enum State: String, Sendable, CaseIterable {
        /// It is.
        case working
        /// It failed too often, and is not asked for a while.
        case paused
        /// One request tries whether it works again.
        case trying
    }

    /// One agent. Times are in milliseconds.
    public struct Agent: Sendable, Equatable {
        /// Its name in the configuration.
        public var name: String
        /// Whether it is asked.
        public var state: State
        /// Requests under way.
        public var active: Int
        /// Requests that wait for their turn.
        public var waiting: Int
        /// Answers it gave.
        public var answers: Int
        /// Requests that got none.
        public var failures: Int
        /// The newest failure: what kind it is, and a sentence.
        public var lastFailure: Failure?
        /// What half of the last hundred answers took at most; `nil` before the first.
        public var median: Int64?
        /// What all but the slowest of a hundred took at most.
        public var percentile99: Int64?
    }

    /// Why there was no answer.
    public struct Failure: Sendable, Equatable {
        /// The kind, such as `timed_out`.
        public var reason: String
        /// A sentence.
        public var message: String
    }

    /// The agents in the order of their names.
    public var agents: [Agent] = []
}

extension AgentsReport {
    package init(_ directory: AgentDirectory) { agents = directory.reports.map(Agent.init) }
}

extension AgentsReport.Agent {
    fileprivate init(_ report: LimitedAgent.Report) {
        let state: AgentsReport.State =
            switch report.state {
            case .working: .working
            case .paused: .paused
            case .trying: .trying
            }
        self.init(
            name: cleanDeviceText(report.name, maximumScalars: 64), state: state, active: report.active,
            waiting: report.waiting, answers: report.answers, failures: report.failures,
            lastFailure: report.lastFailure.map {
                AgentsReport.Failure(
                    reason: $0.reason.rawValue, message: cleanDeviceText($0.message, maximumScalars: 1024))
            },
            median: Self.percentile(50, of: report.latencies),
            percentile99: Self.percentile(99, of: report.latencies))
    }

    /// - Parameter sorted: shortest first.
    static func percentile(_ percent: Int, of sorted: [Duration]) -> Int64? {
        guard let last = sorted.last else { return nil }
        let index = (sorted.count * percent + 99) / 100 - 1
        return (sorted.indices.contains(index) ? sorted[index] : last).milliseconds
    }
}

// How a gateway's report travels through the database, and what `nodesctl agents status --json` prints. Every member is
// always there; what there is not is null. Members may be added.
extension AgentsReport {
    /// The report as JSON.
    public var json: JSONValue { .array(agents.map(\.json)) }

    /// Reads a report of this version of the software, or of one that only added members.
    ///
    /// - Returns: `nil` for anything else.
    init?(json: JSONValue) {
        guard case .array(let values) = json else { return nil }
        for value in values {
            guard let agent = Agent(json: value) else { return nil }
            agents.append(agent)
        }
    }
}

extension AgentsReport.Agent {
    /// The agent as JSON.
    public var json: JSONValue {
        .object([
            "name": .string(name), "state": .string(state.rawValue), "active": .integer(Int64(active)),
            "waiting": .integer(Int64(waiting)), "answers": .integer(Int64(answers)),
            "failures": .integer(Int64(failures)),
            "lastFailure": lastFailure.map {
                .object(["reason": .string($0.reason), "message": .string($0.message)])
            } ?? .null,
            "medianMs": median.map(JSONValue.integer) ?? .null,
            "percentile99Ms": percentile99.map(JSONValue.integer) ?? .null,
        ])
    }

    fileprivate init?(json: JSONValue) {
        func count(_ name: String) -> Int? { json[name]?.wholeNumber.flatMap(Int.init(exactly:)) }
        guard let name = json["name"]?.string,
            let state = json["state"]?.string.flatMap(AgentsReport.State.init),
            let active = count("active"), let waiting = count("waiting"), let answers = count("answers"),
            let failures = count("failures")
        else { return nil }
        var failure: AgentsReport.Failure?
        if let reason = json["lastFailure"]?["reason"]?.string,
            let message = json["lastFailure"]?["message"]?.string
        {
            failure = AgentsReport.Failure(reason: reason, message: message)
        }
        self.init(
            name: name, state: state, active: active, waiting: waiting, answers: answers, failures: failures,
            lastFailure: failure, median: json["medianMs"]?.wholeNumber,
            percentile99: json["percentile99Ms"]?.wholeNumber)
    }
}
