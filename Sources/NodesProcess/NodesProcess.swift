import ChannelHost
import Dispatch
import FoundationEssentials
import Glibc
import Logging
import Metrics
import NodesConfiguration
import PairingCore
import PairingKernel
import PairingStore
import Postgres
import PrometheusMetrics
import ServiceLifecycle
import Traces
import Tracing

/// What every program here is made of: its configuration, its log and metrics, the database's connections and
/// the kernel over them.
public struct NodesProcess: Sendable {
    /// The version of every program here; the changelog says what is in it.
    public static let version = "1.0.0-dev"

    /// Everything an operator decided.
    public let configuration: NodesConfiguration
    /// The program's log, on standard error.
    public let logger: Logger
    /// What the program counts.
    public let metrics: PrometheusRegistry
    /// How the database is reached, for connections beside the pool.
    public let database: PostgresConfiguration
    /// The database's connections; run it as the first service.
    public let pool: PostgresPool
    /// Every use case.
    public let kernel: Kernel
    /// Records what requests lead to; `nil` where `tracing.otlp_endpoint` names nobody who wants to know.
    package let tracer: RecordingTracer?
    private let traceExporter: TraceExporter?

    /// Reads the configuration and makes everything else of it. Connects to nothing yet, and loads the channel
    /// plugins, which takes as long as they need to start.
    ///
    /// - Parameters:
    ///   - program: the program's name, for the log and for the database's list of connections.
    ///   - file: the configuration file; `nil` to use the environment alone.
    ///   - use: whether the program serves (and needs the public origins) or is a command.
    ///   - loadsChannels: whether the program needs the channel plugins, whose code runs in it.
    ///   - readsKey: whether a command needs the key that secrets are kept under; a server always does.
    ///   - logLevel: overrides the configuration's.
    /// - Throws: a `ConfigurationError` with everything that is wrong with the configuration, or what made
    ///   the kernel impossible.
    public init(
        program: String, file: String?, for use: NodesConfiguration.Program,
        loadsChannels: Bool = true, readsKey: Bool = false, logLevel: Logger.Level? = nil
    ) async throws {
        configuration = try await NodesConfiguration.load(
            file: file, environment: ProcessInfo.processInfo.environment, for: use)
        let level = logLevel ?? Logger.Level(rawValue: configuration.logLevel.rawValue) ?? .info
        let format = configuration.logFormat
        LoggingSystem.bootstrap(
            { label, provider in Self.logHandler(label, format, level, provider) },
            metadataProvider: .traces)
        metrics = PrometheusRegistry()
        MetricsSystem.bootstrap(metrics)
        logger = Logger(label: program)
        traceExporter = use == .server ? Self.exporter(program, configuration, logger) : nil
        tracer = traceExporter?.tracer(
            percent: configuration.tracing.sampledPercent, perSecond: configuration.tracing.tracesPerSecond)
        if let tracer { InstrumentationSystem.bootstrap(tracer) }

        var database = try PostgresConfiguration(configuration.database.url)
        database.maximumConnections = configuration.database.poolSize
        database.acquireTimeout = configuration.database.acquireTimeout
        database.statementTimeout = configuration.database.statementTimeout
        database.lockTimeout = configuration.database.lockTimeout
        database.applicationName = program
        self.database = database
        pool = PostgresPool(configuration: database, logger: logger)

        let channels = await Self.channels(
            loadsChannels && configuration.edition == .standard, of: configuration.channels, logger)
        var settings = PairingSettings(configuration)
        // Commands sign nobody in, and most run as others who need not be able to read it.
        if use == .server || readsKey {
            settings.accountKey = try Self.accountKey(configuration.session.keyFile)
        }
        kernel = try Kernel(
            store: PairingStore(pool: pool, limits: MessageLimits(configuration.messages)),
            channels: channels, settings: settings, clock: { .now }, logger: logger)
    }

    private static func logHandler(
        _ label: String, _ format: NodesConfiguration.LogFormat, _ level: Logger.Level,
        _ provider: Logger.MetadataProvider?
    ) -> any LogHandler {
        var handler: any LogHandler =
            switch format {
            case .text: StreamLogHandler.standardError(label: label)
            case .json: JSONLogHandler(program: label, clock: { .now }, write: StandardError.write)
            }
        handler.logLevel = level
        handler.metadataProvider = provider
        return handler
    }

    private static func accountKey(_ file: String?) throws(ConfigurationError) -> [UInt8]? {
        guard let file else { return nil }
        do throws(SecretFile.Problem) {
            let key = try SecretFile.contents(of: file, maximumBytes: 16 << 10)
            guard key.count >= 32 else {
                throw SecretFile.Problem(
                    reason: "\(file) has \(key.count) bytes; expected 32 random bytes or more")
            }
            return key
        } catch {
            throw ConfigurationError(problems: ["session.key_file: \(error.reason)"])
        }
    }

    private static func channels(
        _ loads: Bool, of configuration: NodesConfiguration.Channels, _ logger: Logger
    ) async -> ChannelHost {
        await withCheckedContinuation { continuation in
            // It runs the plugins' code, which no cooperative thread may wait for.
            DispatchQueue.global().async {
                let channels = ChannelHost.load(
                    directory: loads ? configuration.directory : "",
                    configurations: Dictionary(
                        uniqueKeysWithValues: configuration.configurations.map { ($0.key.text, $0.value) }),
                    limits: ChannelCallLimits(configuration), logger: logger)
                continuation.resume(returning: channels)
            }
        }
    }

    /// What operators call this process: the configuration's `instance.name`, or the host's name.
    public var name: String { Self.name(configuration) }

    private static func name(_ configuration: NodesConfiguration) -> String {
        configuration.instanceName.isEmpty
            ? ProcessInfo.processInfo.hostName : configuration.instanceName
    }

    private static func exporter(
        _ program: String, _ configuration: NodesConfiguration, _ logger: Logger
    ) -> TraceExporter? {
        guard let endpoint = configuration.tracing.endpoint else { return nil }
        return TraceExporter(
            endpoint: endpoint,
            resource: TraceResource(program: program, instance: name(configuration), version: version),
            logger: logger)
    }

    /// What ends after everything else; run it before the pool.
    public var upkeep: [any Service] { traceExporter.map { [$0] } ?? [] }

    /// Ends the channel plugins, once nothing calls them any more; takes a few seconds where one does not end.
    public func stopChannels() async {
        await withCheckedContinuation { continuation in
            // It waits for the plugins' threads, which no cooperative thread may do.
            DispatchQueue.global().async { [channels = kernel.channels] in
                channels.shutdown(within: .seconds(2))
                continuation.resume()
            }
        }
    }

    /// Has everything refused at once while the database is frozen or read-only; run it beside the pool.
    public var pulse: PostgresPulse { PostgresPulse(pool: pool, logger: logger) }

    /// Brings the schema up to date; run it as the second service.
    ///
    /// - Parameter listens: whether the program follows notifications, so that a pooler which loses them has
    ///   to be refused.
    public func schema(listens: Bool) -> SchemaService {
        SchemaService(pool: pool, database: database, listens: listens, logger: logger)
    }
}

extension Logger.MetadataProvider {
    /// Which trace a line belongs to, where that is recorded.
    fileprivate static let traces = Logger.MetadataProvider {
        guard let trace = ServiceContext.current?.traceID else { return [:] }
        return ["traceId": "\(trace)"]
    }
}

extension ChannelCallLimits {
    /// What the configuration says about calls into plugins.
    init(_ channels: NodesConfiguration.Channels) {
        self.init()
        threads = channels.threads
        call = channels.callTimeout
        ticket = channels.ticketTimeout
    }
}

extension MessageLimits {
    /// What the configuration says of how much may wait.
    init(_ messages: NodesConfiguration.Messages) {
        self.init()
        unacknowledged = Int64(messages.unacknowledged)
        unacknowledgedBytes = Int64(messages.unacknowledgedBytes)
        unanswered = Int64(messages.unanswered)
        unansweredBytes = Int64(messages.unansweredBytes)
    }
}

extension PairingSettings {
    /// What the configuration says about pairing and sessions.
    public init(_ configuration: NodesConfiguration) {
        self.init(origins: OriginPolicy(configuration.gateway.publicOrigins))
        edition = configuration.edition
        pairingCodeTTL = configuration.gateway.pairingCodeTTL
        pairingCooldown = configuration.gateway.pairingCooldown
        proofWindow = configuration.gateway.proofWindow
        requestsPerAddress = configuration.gateway.requestsPerAddress
        requestsTotal = configuration.gateway.requestsTotal
        maximumMetadataBytes = configuration.gateway.maximumMetadata
        requiresTypedCode = configuration.approveRequiresTypedCode
        authorityLease = configuration.gateway.authorityLease
        messageRetention = configuration.messages.retention
        batchWait = configuration.messages.batchWait
        deliveryAttempts = configuration.messages.deliveryAttempts
        sessionIdleTimeout = configuration.session.idleTimeout
        sessionAbsoluteTimeout = configuration.session.absoluteTimeout
        webhooks.addresses = ReachableAddresses(allowed: configuration.webhooks.allowedNetworks)
        webhooks.allowsPlain = configuration.webhooks.allowsHTTP
        webhooks.timeout = configuration.webhooks.timeout
        webhooks.disableAfter = configuration.webhooks.disableAfter
        agents = AgentChoice(
            names: Array(configuration.agents.keys), defaults: configuration.defaultAgents)
        showsMessageText = configuration.messages.showsText
    }
}

extension Timestamp {
    /// The time by this machine's clock.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
