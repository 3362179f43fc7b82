import Agents
import ArgumentParser
import DeviceGateway
import FoundationEssentials
import Logging
import NodesConfiguration
import NodesProcess
import PairingCore
import PairingKernel
import PairingStore
import Postgres
import PrometheusMetrics
import ServiceLifecycle
import UnixSignals

/// The companion that holds the devices' WebSockets.
@main
struct NodesGateway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes-gateway",
        abstract: "Serves the devices' WebSockets to nginx over a Unix socket.",
        version: NodesProcess.versionText)

    @Option(help: "The configuration file; without it, the environment alone decides.")
    var config: String?

    func run() async throws {
        let process = try await NodesProcess(program: "nodes-gateway", file: config, for: .server)
        guard let instanceID = InstanceID(UUID().uuidString) else {
            preconditionFailure("a UUID that is not one")
        }
        let listener = PostgresListener(
            configuration: process.database, channels: StoreHints.channels, logger: process.logger)
        let agentHTTP = AgentHTTP()
        let agents = try ConfiguredAgents(
            process.configuration, environment: ProcessInfo.processInfo.environment, http: agentHTTP,
            clock: { .now }
        ).directory()
        let sessions = DeviceSessions(
            kernel: process.kernel, instanceID: instanceID, name: process.name, hints: StoreHints(listener),
            agents: agents, logger: process.logger)
        let webhooks = WebhookDispatcher(
            kernel: process.kernel, instanceID: instanceID, logger: process.logger)
        sessions.onFeed { webhooks.wake() }
        let settings = GatewaySettings(process.configuration.gateway)
        let server = GatewayServer(
            kernel: process.kernel, sessions: sessions, settings: settings, clock: { .now },
            metricsType: PrometheusRegistry.contentType, metricsText: { process.metrics.text() },
            tracer: process.tracer, logger: process.logger)
        // Shut down in the opposite order: the sockets go first, what they rest on last.
        var group = ServiceGroupConfiguration(
            services: process.upkeep + [
                process.pool, process.pulse, process.schema(listens: true), listener, sessions,
                process.kernel.sweeper(), webhooks, server,
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: process.logger)
        group.maximumGracefulShutdownDuration = settings.shutdownSpread + .seconds(20)
        group.maximumCancellationDuration = .seconds(5)
        process.logger.notice(
            "Starting", metadata: ["instance": "\(process.name)", "instanceId": "\(instanceID)"])
        try await ServiceGroup(configuration: group).run()
        try? await agentHTTP.shutdown()
        await process.stopChannels()
    }
}

extension GatewaySettings {
    /// What the configuration says about sockets.
    init(_ gateway: NodesConfiguration.Gateway) {
        self.init(
            origins: OriginPolicy(gateway.publicOrigins, deviceOrigins: gateway.deviceOrigins),
            socketPath: gateway.socket)
        maximumMessageBeforeConnect = gateway.maximumMessageBeforeConnect
        maximumMessage = gateway.maximumMessage
        firstRequestTimeout = gateway.firstRequestTimeout
        pingInterval = gateway.pingInterval
        silenceTimeout = gateway.silenceTimeout
        sockets = gateway.sockets
        unauthenticatedSockets = gateway.unauthenticatedSockets
        unauthenticatedSocketsPerAddress = gateway.unauthenticatedSocketsPerAddress
        waitingSocketsPerBlock = gateway.waitingSocketsPerBlock
        framesPerSecond = gateway.framesPerSecond
        framesBurst = gateway.framesBurst
        windowRequests = gateway.windowRequests
        windowBytes = gateway.windowBytes
        signaturesPerSecond = gateway.signaturesPerSecond
        outboundQueueBytes = gateway.outboundQueueBytes
        outboundQueueMessages = gateway.outboundQueueMessages
        dialects = gateway.dialects
        lateChallenge = gateway.lateChallenge
        httpRequestsPerDevice = gateway.httpRequestsPerDevice
        maximumHTTPBody = gateway.maximumHTTPBody
        answerTimeout = gateway.answerTimeout
        eventStreams = gateway.eventStreams
        eventStreamsPerAccount = gateway.eventStreamsPerAccount
        shutdownSpread = gateway.shutdownSpread
    }
}
