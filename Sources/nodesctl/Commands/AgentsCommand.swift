import Agents
import ArgumentParser
import FoundationEssentials
import NodesConfiguration
import NodesProcess
import PairingCore

/// `nodesctl agents`
struct AgentsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agents",
        abstract: "List the agents, ask one whether it answers, or see how they are doing.",
        subcommands: [AgentsListCommand.self, AgentsCheckCommand.self, AgentsStatusCommand.self],
        defaultSubcommand: AgentsListCommand.self)
}

/// What both commands start with.
private struct AgentDesk {
    let configuration: NodesConfiguration
    let agents: ConfiguredAgents

    /// Reads the configuration, and lets `body` use the agents.
    static func open<Value>(
        _ options: OperatorOptions, _ body: (AgentDesk) async throws -> Value
    ) async throws -> Value {
        let environment = ProcessInfo.processInfo.environment
        let configuration = try await NodesConfiguration.load(
            file: options.file, environment: environment, for: .command)
        let http = AgentHTTP()
        let desk = AgentDesk(
            configuration: configuration,
            agents: ConfiguredAgents(configuration, environment: environment, http: http, clock: { .now }))
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(desk))
        } catch {
            result = .failure(error)
        }
        try await http.shutdown()
        return try result.get()
    }
}

/// `nodesctl agents list`
struct AgentsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the agents, where they are, and whose default they are.",
        discussion: """
            Reads the configuration and the keys, as this account and with this environment; asks no agent and no \
            database.
            """)

    @OptionGroup var options: OperatorOptions

    mutating func run() async throws {
        let options = options
        try await reporting(asJSON: options.json) {
            try await AgentDesk.open(options) { desk in
                let rows = AgentRow.all(of: desk.configuration, keyProblem: desk.agents.keyProblem)
                try Terminal.print(options.json ? AgentRow.json(rows).text : AgentRow.text(rows))
            }
        }
    }
}

/// An agent as the list shows it.
struct AgentRow: Equatable {
    var name: String
    var kind: NodesConfiguration.Agent.Kind
    var url: String
    var key: NodesConfiguration.Agent.KeySource?
    /// What is wrong with its key.
    var keyProblem: String?
    /// The channels whose devices it answers by default; `*` for all that name no other.
    var defaultOf: [String]

    /// The agents of a configuration in order of their names, the built-in one among them.
    static func all(
        of configuration: NodesConfiguration, keyProblem: (String) -> String?
    ) -> [AgentRow] {
        let builtIn = NodesConfiguration.defaultAgent
        return Set(configuration.agents.keys).union([builtIn]).sorted().map { name in
            let settings = configuration.agents[name]
            let channels = configuration.defaultAgents.filter { $0.value == name }.keys.map(\.text).sorted()
            return AgentRow(
                name: name, kind: settings?.kind ?? .echo, url: settings?.url ?? "", key: settings?.key,
                keyProblem: keyProblem(name), defaultOf: channels + (name == builtIn ? ["*"] : []))
        }
    }

    /// For a program.
    static func json(_ rows: [AgentRow]) -> JSONValue {
        .array(
            rows.map { row in
                let (source, place): (JSONValue, JSONValue) =
                    switch row.key {
                    case nil: (.null, .null)
                    case .variable(let name)?: (.string("environment"), .string(name))
                    case .file(let path)?: (.string("file"), .string(path))
                    }
                return .object([
                    "name": .string(row.name), "type": .string(row.kind.rawValue),
                    "url": row.url.isEmpty ? .null : .string(row.url),
                    "keyFrom": source, "keyAt": place,
                    "keyProblem": row.keyProblem.map(JSONValue.string) ?? .null,
                    "defaultOf": .array(row.defaultOf.map(JSONValue.string)),
                ])
            })
    }

    /// For a person.
    static func text(_ rows: [AgentRow]) -> String {
        var table = TextTable("AGENT", "TYPE", "DEFAULT OF", "KEY", "ADDRESS")
        for row in rows {
            let key =
                switch row.key {
                case nil: ""
                case .variable(let name)?: "$\(name)"
                case .file(let path)?: path
                }
            table.add(
                row.name, row.kind.rawValue, row.defaultOf.joined(separator: ", "),
                row.keyProblem == nil ? key : "\(key) (unusable)", row.url)
        }
        let problems = rows.compactMap(\.keyProblem).map { "  " + terminalText($0) }
        return problems.isEmpty
            ? table.text
            : ([table.text, "", "A gateway would not start:"] + problems).joined(separator: "\n")
    }
}

/// `nodesctl agents check`
struct AgentsCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Send an agent a message, and say whether and how fast it answers.",
        discussion: """
            The message is a real one, from the device nodesctl-check on the channel check: it costs what a device's \
            costs. It is asked once, from here and with the key that this account reads; what the gateways think of \
            the agent does not matter. Exit status 0: it answered, or took the message and answers later.
            """)

    @Argument(help: "The agent's name.") var name: String

    @Option(help: "What it is told.") var message = "Are you there? Answer with one word."

    @OptionGroup var options: OperatorOptions

    mutating func run() async throws {
        let (options, name, message) = (options, name, message)
        try await reporting(asJSON: options.json) {
            try await AgentDesk.open(options) { desk in
                let agent = try desk.agent(named: name)
                let check = try await AgentCheck.run(agent, message: message)
                let url = desk.configuration.agents[name]?.url ?? ""
                try Terminal.print(options.json ? check.json(name, url).text : check.text(name, url))
            }
        }
    }
}

extension AgentDesk {
    /// - Throws: ``CommandFailure`` where there is none, or its key is not fit to be one.
    fileprivate func agent(named name: String) throws -> any Agent {
        if let agent = try agents.agent(named: name) { return agent }
        do throws(AgentDirectory.UnknownAgent) {
            // Only the names matter: agents whose keys this account may not read are agents nevertheless.
            return try AgentDirectory(configuration.agents.keys.map { EchoAgent(name: $0) }).agent(
                named: name)
        } catch {
            throw CommandFailure(.notFound, "\(error). nodesctl agents list shows those there are.")
        }
    }
}
