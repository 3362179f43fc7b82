import Agents
import NodesConfiguration
import PairingCore

/// Makes agents of what the configuration says about them.
package struct ConfiguredAgents: Sendable {
    private let configuration: NodesConfiguration
    private let keys: AgentKeys
    private let http: AgentHTTP
    private let clock: WallClock

    /// - Parameters:
    ///   - environment: where keys may be.
    ///   - http: the way to agents; the caller ends it.
    package init(
        _ configuration: NodesConfiguration, environment: [String: String], http: AgentHTTP,
        clock: @escaping WallClock
    ) {
        self.configuration = configuration
        keys = AgentKeys(environment: environment)
        self.http = http
        self.clock = clock
    }

    /// All of them, each behind its limits.
    ///
    /// - Throws: every key that is not there or not fit to be one, with the setting's name.
    package func directory() throws(ConfigurationError) -> AgentDirectory {
        var agents: [any Agent] = []
        var problems: [String] = []
        for name in configuration.agents.keys.sorted() {
            do throws(ConfigurationError) {
                if let agent = try agent(named: name) { agents.append(agent) }
            } catch {
                problems += error.problems
            }
        }
        if configuration.agents[AgentDirectory.builtIn] == nil {
            agents.append(LimitedAgent(EchoAgent(name: AgentDirectory.builtIn)))
        }
        guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
        do throws(AgentDirectory.UnknownAgent) {
            return try AgentDirectory(agents, defaults: configuration.defaultAgents)
        } catch {
            throw ConfigurationError(problems: ["channels.default_agents: \(error)"])
        }
    }

    /// One of them behind its limits; `nil` where none of that name is configured.
    ///
    /// - Throws: where its key is not there, or not fit to be one.
    package func agent(named name: String) throws(ConfigurationError) -> LimitedAgent? {
        guard let settings = configuration.agents[name] else { return nil }
        return LimitedAgent(
            try connector(name, settings), limits: LimitedAgent.Limits(settings))
    }

    /// What is wrong with the key of an agent; `nil` where nothing is, or it needs none.
    package func keyProblem(of name: String) -> String? {
        guard let settings = configuration.agents[name] else { return nil }
        do throws(ConfigurationError) {
            _ = try connector(name, settings)
            return nil
        } catch {
            return error.problems.joined(separator: "; ")
        }
    }

    private func connector(
        _ name: String, _ settings: NodesConfiguration.Agent
    ) throws(ConfigurationError) -> any Agent {
        let key = try key(of: name, settings)
        switch settings.kind {
        case .echo: return EchoAgent(name: name)
        case .openai:
            return OpenAIAgent(name: name, settings: OpenAIAgent.Settings(settings, key: key), http: http)
        case .webhook:
            guard let secret = key.flatMap(StandardWebhook.secret) else {
                throw ConfigurationError(problems: [
                    "agents.\(name): the secret is not of the form whsec_ and 24 to 64 bytes in base64"
                ])
            }
            var webhook = WebhookAgent.Settings(url: settings.url, secret: secret)
            webhook.times = AgentTimes(settings)
            return WebhookAgent(name: name, settings: webhook, http: http, clock: clock)
        }
    }

    private func key(
        of name: String, _ settings: NodesConfiguration.Agent
    ) throws(ConfigurationError) -> String? {
        guard let source = settings.key else { return nil }
        do throws(AgentKeys.Problem) {
            return try keys.read(source)
        } catch {
            throw ConfigurationError(problems: ["agents.\(name).\(error.setting): \(error.reason)"])
        }
    }
}

extension OpenAIAgent.Settings {
    /// What the configuration says.
    package init(_ agent: NodesConfiguration.Agent, key: String?) {
        self.init(url: agent.url, model: agent.model)
        self.key = key
        systemPrompt = agent.systemPrompt
        context.messages = agent.contextMessages
        context.bytes = agent.contextBytes
        times = AgentTimes(agent)
    }
}

extension AgentTimes {
    /// What the configuration says.
    package init(_ agent: NodesConfiguration.Agent) {
        self.init(whole: agent.timeout, silence: agent.silenceTimeout)
    }
}

extension LimitedAgent.Limits {
    /// What the configuration says.
    package init(_ agent: NodesConfiguration.Agent) {
        self.init()
        concurrency = agent.concurrency
        waiting = agent.waiting
        failures = agent.breakerFailures
        pause = agent.breakerPause
        retries.attempts = agent.attempts
    }
}
