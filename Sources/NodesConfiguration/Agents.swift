import PairingCore

extension NodesConfiguration {
    /// One agent, as `agents` in the file names it.
    public struct Agent: Sendable, Equatable {
        /// What kind of connector reaches an agent.
        public enum Kind: String, Sendable, CaseIterable {
            /// Answers each message with itself.
            case echo
            /// A server with the chat completions interface.
            case openai
            /// A web hook (Standard Webhooks) whose response is the answer.
            case webhook
        }

        /// The kind.
        public var kind: Kind
        /// Where it is reached; empty for an echo. May be internal: never shown to devices.
        public var url = ""
        /// What the server calls the model.
        public var model = ""
        /// The environment variable that holds the key, or the secret of a web hook.
        public var keyVariable: String?
        /// The file that holds it.
        public var keyFile: String?
        /// What a model is told before each conversation.
        public var systemPrompt = ""
        /// How long a whole answer may take.
        public var timeout = Duration.seconds(120)
        /// Requests under way at once.
        public var concurrency = 16
        /// Requests that may wait for their turn.
        public var waiting = 256
        /// Messages of the conversation that go along.
        public var contextMessages = 20
        /// Bytes of those.
        public var contextBytes = 32 << 10

        /// An agent with the settings as shipped.
        public init(_ kind: Kind) { self.kind = kind }
    }

    static let agentsKey = "agents"
    static let defaultAgentsKey = "channels.default_agents"
    /// The agent of a channel that none is chosen for: it is there without being configured.
    public static let defaultAgent = "echo"
}

/// Reads `agents` and `channels.default_agents`. The environment has no spelling for objects.
struct AgentReader {
    private(set) var problems: [String] = []

    mutating func agents(in file: ConfigurationFile?) -> [String: NodesConfiguration.Agent] {
        let key = NodesConfiguration.agentsKey
        guard let value = file?.value(at: key) else { return [:] }
        guard case .object(let members) = value else {
            problems.append(
                "\(key) is refused; expected an object such as {\"support\": {\"type\": \"openai\", …}}")
            return [:]
        }
        var agents: [String: NodesConfiguration.Agent] = [:]
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            guard Self.isName(name) else {
                problems.append(
                    "\(key).\(name) is refused; expected a name of letters, digits, dots, hyphens and underscores, "
                        + "up to 64")
                continue
            }
            guard case .object(let settings) = value else {
                problems.append("\(key).\(name) is refused; expected an object with the key type")
                continue
            }
            agents[name] = agent(settings, at: "\(key).\(name)")
        }
        return agents
    }

    mutating func defaults(
        in file: ConfigurationFile?, among agents: some Collection<String>
    ) -> [ChannelID: String] {
        let key = NodesConfiguration.defaultAgentsKey
        guard let value = file?.value(at: key) else { return [:] }
        guard case .object(let members) = value else {
            problems.append("\(key) is refused; expected an object such as {\"web\": \"support\"}")
            return [:]
        }
        let known = Set(agents).union([NodesConfiguration.defaultAgent])
        var defaults: [ChannelID: String] = [:]
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            guard let channel = ChannelID(name) else {
                problems.append("\(key).\(name) is refused; expected a channel's name")
                continue
            }
            guard let agent = value.string, known.contains(agent) else {
                problems.append(
                    "\(key).\(name): \(value.text) is refused; expected one of "
                        + known.sorted().joined(separator: ", "))
                continue
            }
            defaults[channel] = agent
        }
        return defaults
    }

    private mutating func agent(
        _ settings: [String: JSONValue], at path: String
    ) -> NodesConfiguration.Agent? {
        var section = AgentSection(path: path, settings: settings)
        let kind = section.kind()
        defer { problems += section.problems }
        guard let kind else { return nil }
        var agent = NodesConfiguration.Agent(kind)
        if kind != .echo {
            agent.url = section.url()
            agent.keyVariable = section.text("key_env")
            agent.keyFile = section.text("key_file")
            if agent.keyVariable != nil, agent.keyFile != nil {
                section.problem("key_file", "is refused beside key_env; expected one of them")
            }
            if kind == .webhook, agent.keyVariable == nil, agent.keyFile == nil {
                section.problem("key_env", "is missing; expected where the secret whsec_… is, or key_file")
            }
            agent.timeout = section.duration("timeout") ?? (kind == .webhook ? .seconds(30) : agent.timeout)
        }
        if kind == .openai {
            agent.model = section.text("model") ?? ""
            if agent.model.isEmpty {
                section.problem("model", "is missing; expected the server's name of a model")
            }
            agent.systemPrompt = section.text("system_prompt") ?? ""
            agent.contextMessages = section.count("context_messages", in: 0...200) ?? agent.contextMessages
            agent.contextBytes = section.count("context_bytes", in: 0...(1 << 20)) ?? agent.contextBytes
        }
        agent.concurrency = section.count("concurrency", in: 1...10_000) ?? agent.concurrency
        agent.waiting = section.count("waiting", in: 0...100_000) ?? agent.waiting
        section.refuseRest()
        return agent
    }

    static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
                    UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}

/// The settings of one agent while they are read: each is taken once, and what is left is unknown.
private struct AgentSection {
    let path: String
    var settings: [String: JSONValue]
    var problems: [String] = []
    private var known: [String] = []

    init(path: String, settings: [String: JSONValue]) {
        self.path = path
        self.settings = settings
    }

    mutating func problem(_ key: String, _ what: String) { problems.append("\(path).\(key) \(what)") }

    mutating func kind() -> NodesConfiguration.Agent.Kind? {
        let names = NodesConfiguration.Agent.Kind.allCases.map(\.rawValue).joined(separator: ", ")
        let text = text("type")
        guard let kind = text.flatMap(NodesConfiguration.Agent.Kind.init) else {
            problem(
                "type",
                text.map { "“\($0)” is refused; expected one of \(names)" }
                    ?? "is missing; expected one of \(names)")
            return nil
        }
        return kind
    }

    mutating func url() -> String {
        guard let text = text("url") else {
            problem("url", "is missing; expected an address such as https://agents.example.org/v1")
            return ""
        }
        let rest = ["http://", "https://"].compactMap { text.hasPrefix($0) ? text.dropFirst($0.count) : nil }
            .first
        let authority = rest?.prefix { !"/?#".contains($0) } ?? ""
        guard !authority.isEmpty, !authority.contains("@"),
            !text.contains(where: { $0.isWhitespace || $0 == "#" })
        else {
            problem(
                "url", "is refused; expected http:// or https:// and a host, without a name or password in it"
            )
            return ""
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    mutating func text(_ key: String) -> String? {
        known.append(key)
        guard let value = settings.removeValue(forKey: key) else { return nil }
        guard let text = value.string, !text.isEmpty, !text.utf8.contains(0) else {
            problem(key, "is refused; expected text")
            return nil
        }
        return text
    }

    mutating func duration(_ key: String) -> Duration? {
        guard let text = text(key) else { return nil }
        let range = Duration.milliseconds(100) ... .seconds(3600)
        guard let duration = Quantities.duration(text), range.contains(duration) else {
            problem(key, "“\(text)” is refused; expected a duration from 100ms to 1h, such as 60s")
            return nil
        }
        return duration
    }

    mutating func count(_ key: String, in range: ClosedRange<Int>) -> Int? {
        known.append(key)
        guard let value = settings.removeValue(forKey: key) else { return nil }
        guard let number = value.wholeNumber, range.contains(Int(clamping: number)) else {
            problem(
                key,
                "\(value.text) is refused; expected a number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return Int(number)
    }

    mutating func refuseRest() {
        for key in settings.keys.sorted() {
            problem(key, "is not a setting of such an agent; there are \(known.joined(separator: ", "))")
        }
    }
}
