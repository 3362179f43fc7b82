import PairingCore

/// The agents of a process by name, and which one answers a channel's devices where nobody chose another.
///
/// Made once from the configuration; safe to use from any thread.
package struct AgentDirectory: Sendable {
    /// There is no agent of that name.
    package struct UnknownAgent: Error, Sendable, Equatable, CustomStringConvertible {
        /// The name that was asked for.
        package var name: String
        /// Names that are configured and spelled much like it, the closest first; at most three.
        package var closest: [String]

        /// What is wrong, and what may have been meant; for administrators and logs.
        package var description: String {
            let hint = closest.isEmpty ? "" : "; did you mean \(closest.joined(separator: " or "))?"
            return "There is no agent named “\(name)”\(hint)"
        }
    }

    /// The agent that is there without being configured, and answers where a channel names no other.
    package static let builtIn = "echo"

    private let agents: [String: any Agent]
    private let defaults: [ChannelID: any Agent]
    private let fallback: any Agent

    /// Agents, and the default of each channel that has one of its own.
    ///
    /// - Parameter agents: one that is called as the built-in agent replaces it; of two with one name the later
    ///   counts.
    /// - Throws: ``UnknownAgent`` where a channel's default is not among them.
    package init(
        _ agents: [any Agent] = [], defaults: [ChannelID: String] = [:]
    ) throws(UnknownAgent) {
        let builtIn = EchoAgent(name: Self.builtIn)
        var named: [String: any Agent] = [Self.builtIn: builtIn]
        for agent in agents { named[agent.name] = agent }
        self.agents = named
        fallback = named[Self.builtIn] ?? builtIn
        var chosen: [ChannelID: any Agent] = [:]
        for (channel, name) in defaults { chosen[channel] = try Self.find(name, among: named) }
        self.defaults = chosen
    }

    /// The names that exist, in order.
    package var names: [String] { agents.keys.sorted() }

    /// The agent of that name.
    package func agent(named name: String) throws(UnknownAgent) -> any Agent {
        try Self.find(name, among: agents)
    }

    /// The agent of a channel's devices where nobody chose another.
    package func defaultAgent(for channel: ChannelID) -> any Agent { defaults[channel] ?? fallback }

    /// How each agent that has limits is doing in this process, in order of their names.
    package var reports: [LimitedAgent.Report] {
        agents.values.compactMap { ($0 as? LimitedAgent)?.report }.sorted { $0.name < $1.name }
    }

    private static func find(
        _ name: String, among agents: [String: any Agent]
    ) throws(UnknownAgent) -> any Agent {
        if let agent = agents[name] { return agent }
        throw UnknownAgent(name: name, closest: closest(to: name, among: agents.keys))
    }

    private static func closest(to name: String, among names: some Collection<String>) -> [String] {
        // A name that nobody could have mistyped so far is no hint.
        let wanted = Array(name.prefix(64).lowercased())
        let limit = max(2, wanted.count / 3)
        return names.map { (name: $0, changes: changes(from: wanted, to: Array($0.lowercased()))) }
            .filter { $0.changes <= limit }
            .sorted { ($0.changes, $0.name) < ($1.changes, $1.name) }
            .prefix(3).map(\.name)
    }

    /// How many characters must be put in, taken out or replaced (Levenshtein).
    private static func changes(from first: [Character], to second: [Character]) -> Int {
        var row = Array(0...second.count)
        for (index, character) in first.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, other) in second.enumerated() {
                let replaced = diagonal + (character == other ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[second.count]
    }
}
