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

        /// Where a key is, which is never in the configuration itself.
        public enum KeySource: Sendable, Equatable {
            /// The environment variable of that name holds it.
            case variable(String)
            /// The file at that absolute path holds it.
            case file(String)
        }

        /// The kind.
        public let kind: Kind
        /// Where it is reached, without a slash at its end; empty for an echo. May be internal: never shown to devices.
        public let url: String
        /// What the server calls the model; empty except for `openai`.
        public let model: String
        /// Where the key is, or the secret of a web hook.
        public let key: KeySource?
        /// What a model is told before each conversation.
        public let systemPrompt: String
        /// Messages of the conversation that go along.
        public let contextMessages: Int
        /// Bytes of those.
        public let contextBytes: Int
        /// How long a whole answer may take.
        public let timeout: Duration
        /// How long nothing may come of it.
        public let silenceTimeout: Duration
        /// Requests under way at once.
        public let concurrency: Int
        /// Requests that may wait for their turn.
        public let waiting: Int
        /// How often one message is tried.
        public let attempts: Int
        /// Failures in a row after which nobody asks for a while.
        public let breakerFailures: Int
        /// How long nobody asks then.
        public let breakerPause: Duration
    }

    static let agentsKey = "agents"
    static let defaultAgentsKey = "channels.default_agents"
    /// The agent of a channel that none is chosen for: it is there without being configured.
    public static let defaultAgent = "echo"

    /// One setting of an agent, as the reference lists it.
    struct AgentSetting: Sendable, Equatable {
        var key: String
        var kinds: [Agent.Kind]
        var form: String
        /// `nil` where one must be given, or nothing stands in its place.
        var defaultText: String?
        var summary: String
    }

    /// Every setting that an agent may have, in the order of the reference.
    static let agentSettings: [AgentSetting] = {
        var settings: [AgentSetting] = []
        // Those with most settings first.
        for kind in [Agent.Kind.openai, .webhook, .echo] {
            var section = AgentSection(path: "", settings: ["type": .string(kind.rawValue)])
            _ = Agent(&section)
            for setting in section.known {
                if let index = settings.firstIndex(where: { $0.key == setting.key }) {
                    settings[index].kinds.append(kind)
                } else {
                    settings.append(setting)
                }
            }
        }
        return settings
    }()
}

extension NodesConfiguration.Agent {
    private static let times = Duration.milliseconds(100) ... .seconds(3600)

    /// - Returns: `nil` where its type is not known.
    init?(_ section: inout AgentSection) {
        guard let kind = section.kind() else { return nil }
        self.kind = kind
        url =
            kind == .echo
            ? ""
            : section.url(
                "Where it is reached. A chat completions interface begins there: `…/chat/completions`.")
        model =
            kind == .openai
            ? section.text("model", isRequired: true, "What the server calls the model, or the agent.") : ""
        switch kind {
        case .echo: key = nil
        case .openai: key = section.key(isRequired: false)
        case .webhook: key = section.key(isRequired: true)
        }
        systemPrompt =
            kind == .openai
            ? section.text("system_prompt", "What a model is told before each conversation.") : ""
        contextMessages =
            kind == .openai
            ? section.count(
                "context_messages", default: 20, in: 0...200,
                "How many earlier messages of the conversation go along.")
            : 0
        contextBytes =
            kind == .openai
            ? section.size(
                "context_bytes", default: "32KiB", in: 0...1 << 20, "How much of them, the newest first.") : 0
        timeout =
            kind == .echo
            ? .zero
            : section.duration("timeout", default: "2m", in: Self.times, "How long a whole answer may take.")
        silenceTimeout =
            kind == .echo
            ? .zero
            : section.duration(
                "silence_timeout", default: "60s", in: Self.times,
                "How long nothing may come, before an answer and in its midst.")
        concurrency = section.count(
            "concurrency", default: 16, in: 1...10_000, "Requests of one gateway that are under way at once.")
        waiting = section.count(
            "waiting", default: 256, in: 0...100_000,
            "Requests of one gateway that may wait for their turn; more fail at once.")
        attempts = section.count(
            "attempts", default: 10, in: 1...100,
            "How often one message is tried, where trying again makes sense; pauses double, and `Retry-After` is obeyed."
        )
        breakerFailures = section.count(
            "breaker_failures", default: 5, in: 1...100_000,
            "Failures in a row after which a gateway does not ask for a while.")
        breakerPause = section.duration(
            "breaker_pause", default: "15s", in: Self.times, "How long; then one request tries it.")
        section.refuseRest()
    }
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
            var section = AgentSection(path: "\(key).\(name)", settings: settings)
            agents[name] = NodesConfiguration.Agent(&section)
            problems += section.problems
        }
        return agents
    }

    /// - Parameter agents: every name that the file configures, whatever else is wrong with it.
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

    /// The names under `agents`, those of agents that are refused as well.
    func names(in file: ConfigurationFile?) -> [String] {
        guard case .object(let members)? = file?.value(at: NodesConfiguration.agentsKey) else { return [] }
        return Array(members.keys)
    }

    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.unicodeScalars.allSatisfy { scalar in
                scalar.isASCII
                    && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                        || "._-".unicodeScalars.contains(scalar))
            }
    }
}
