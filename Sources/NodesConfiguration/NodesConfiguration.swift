import Configuration
import Glibc
import PairingCore

/// Everything an operator can decide, checked.
///
/// This type's initialisers are the one place where a key, its default, its unit and its check are written;
/// ``settings`` lists them from there. The file is one JSON object of sections, `{"gateway": {"pairing_code_ttl":
/// "60m"}}`; an environment variable (`GATEWAY_PAIRING_CODE_TTL`) overrides it.
public struct NodesConfiguration: Sendable {
    /// What the configuration is read for; a server needs more than `nodesctl`.
    public enum Program: Sendable {
        /// `nodes-kernel` or `nodes-gateway`: the public origins must be known.
        case server
        /// `nodesctl`.
        case command
    }

    /// How the database is reached.
    public struct Database: Sendable {
        /// A libpq connection string or URL. Holds a password: never log it.
        public let url: String
        /// The most connections of one process.
        public let poolSize: Int
        /// How long to wait for a free connection.
        public let acquireTimeout: Duration
        /// How long one statement may run.
        public let statementTimeout: Duration
        /// How long a statement may wait for a lock.
        public let lockTimeout: Duration
    }

    /// The HTTP side: sockets, threads and limits of `nodes-kernel`.
    public struct Kernel: Sendable {
        /// The unix socket it listens on.
        public let socket: String
        /// How many requests are worked on at a time.
        public let threads: Int
        /// The greatest body of a request, in bytes.
        public let maximumBody: Int
        /// How long a request may take.
        public let requestTimeout: Duration
    }

    /// Administrators' browser sessions.
    public struct Session: Sendable {
        /// A session unused for this long ends.
        public let idleTimeout: Duration
        /// A session ends at this age, used or not.
        public let absoluteTimeout: Duration
        /// The file with the key that the secrets of one-time codes are encrypted under; `nil` for none.
        public let keyFile: String?
    }

    /// Channel plugins.
    public struct Channels: Sendable {
        /// The folder the plugins are loaded from.
        public let directory: String
        /// The threads that each channel's plugin has to itself.
        public let threads: Int
        /// The time a plugin has for one call.
        public let callTimeout: Duration
        /// The time a plugin has for an answer that it promised for later.
        public let ticketTimeout: Duration
        /// For each channel named under `channels.config`, its section as JSON text.
        public let configurations: [ChannelID: String]
    }

    /// How much is logged; the names are swift-log's.
    public enum LogLevel: String, Sendable, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    /// How the log is written.
    public enum LogFormat: String, Sendable, CaseIterable {
        /// Lines for people.
        case text
        /// An object a line.
        case json
    }

    /// Which set of features is served.
    public let edition: Edition
    /// How the database is reached.
    public let database: Database
    /// The devices' side: origins, pairing rules and limits.
    public let gateway: Gateway
    /// The pages' side.
    public let kernel: Kernel
    /// Whether an administrator types the pairing code to approve, instead of comparing it.
    public let approveRequiresTypedCode: Bool
    /// Administrators' browser sessions.
    public let session: Session
    /// Channel plugins.
    public let channels: Channels
    /// The agents that devices' messages go to, by name.
    public let agents: [String: Agent]
    /// The agent of each channel's devices; ``defaultAgent`` where none is named.
    public let defaultAgents: [ChannelID: String]
    /// What becomes of messages.
    public let messages: Messages
    /// Who else is told of events.
    public let webhooks: Webhooks
    /// Who is told what requests lead to.
    public let tracing: Tracing
    /// The folder of the pages' templates.
    public let templatesDirectory: String
    /// The least severe messages that are logged.
    public let logLevel: LogLevel
    /// How they are written.
    public let logFormat: LogFormat
    /// What this process calls itself in logs and metrics; empty to let it use its host's name.
    public let instanceName: String

    /// Reads and checks a configuration.
    ///
    /// - Parameters:
    ///   - file: The path of the JSON file; `nil` to use the environment alone.
    ///   - environment: The process's environment variables.
    ///   - program: What the configuration is for.
    /// - Throws: ``ConfigurationError`` with everything that is wrong: a file that cannot be read, unknown keys,
    ///   missing, malformed or contradictory values.
    public static func load(
        file: String?, environment: [String: String], for program: Program
    ) async throws(ConfigurationError) -> NodesConfiguration {
        var provider: FileProvider<ConfigurationFile>?
        if let file {
            do {
                let path = InMemoryProvider(values: ["filePath": ConfigValue(.string(file), isSecret: false)])
                provider = try await FileProvider(config: ConfigReader(provider: path))
            } catch let failure as ConfigurationFile.Failure {
                throw ConfigurationError(problems: ["\(file): \(failure.reason)"])
            } catch {
                throw ConfigurationError(problems: [
                    "\(file) cannot be read: \(Self.reason(whyUnreadable: file, error))"
                ])
            }
        }
        let contents = provider?.snapshot() as? ConfigurationFile
        let variables = EnvironmentVariablesProvider(environmentVariables: environment)
        let providers: [any ConfigProvider] = [variables] + (provider.map { [$0] } ?? [])
        var reader = SettingReader(ConfigReader(providers: providers))
        let configuration = NodesConfiguration(&reader, contents, program)
        for key in unknownKeys(in: contents) + unknownVariables(in: environment) {
            reader.problem(Self.problem(ofUnknown: key, in: contents))
        }
        guard reader.problems.isEmpty else { throw ConfigurationError(problems: reader.problems) }
        return configuration
    }

    /// Every setting there is, in the order of the reference.
    public static let settings: [Setting] = {
        var reader = SettingReader(ConfigReader(provider: InMemoryProvider(values: [:])))
        _ = NodesConfiguration(&reader, nil, .command)
        return reader.settings
    }()

    /// What is wrong with a key that is no setting: it may be a section that holds something else than settings.
    private static func problem(ofUnknown key: String, in file: ConfigurationFile?) -> String {
        guard let inside = settings.first(where: { $0.key.hasPrefix("\(key).") })?.key,
            file?.value(at: key) != nil
        else { return "\(key) is not a setting; `nodesctl config` lists those there are" }
        return "\(key) is refused; expected an object with settings such as \(inside)"
    }

    /// The system's own words for why the file cannot be read, where it has some.
    private static func reason(whyUnreadable file: String, _ error: any Error) -> String {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { return String(cString: strerror(errno)) }
        defer { close(descriptor) }
        var status = stat()
        let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        return isFile ? "\(error)" : "it is no file; expected one with a JSON object"
    }

    private static func unknownKeys(in file: ConfigurationFile?) -> [String] {
        let keys = file?.keys(except: [Channels.configurationsKey, agentsKey, defaultAgentsKey]) ?? []
        return keys.filter { key in
            // An empty section, or an empty file, says nothing.
            let isSection = key.isEmpty || settings.contains { $0.key.hasPrefix("\(key).") }
            return !settings.contains { $0.key == key }
                && !(isSection && file?.value(at: key) == .object([:]))
        }
    }

    /// A misspelt variable must not be lost in silence, but sections with everyday names (`LOG_`, `SESSION_`,
    /// `DATABASE_`) are shared with other software, so only ours alone are looked through.
    private static func unknownVariables(in environment: [String: String]) -> [String] {
        let known = Set(settings.compactMap(\.environmentName))
        return environment.keys.sorted().filter { name in
            ["GATEWAY_", "KERNEL_", "CHANNELS_", "APPROVE_", "MESSAGES_", "WEBHOOKS_"].contains(
                where: name.hasPrefix)
                && !known.contains(name) && !isServiceLink(name)
        }
    }

    /// Kubernetes describes every service of a namespace in its containers' environment, and one may well be
    /// called gateway: `GATEWAY_SERVICE_HOST`, `GATEWAY_SERVICE_PORT_HTTP`, `GATEWAY_PORT_80_TCP_ADDR`.
    private static func isServiceLink(_ name: String) -> Bool {
        name.hasSuffix("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.hasSuffix("_PORT")
            || name.contains("_PORT_")
    }
}
