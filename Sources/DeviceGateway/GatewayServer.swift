import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NodesProtocol
import PairingCore
import PairingKernel
import ServiceLifecycle
import Traces

/// Serves the devices' WebSockets, and health and metrics beside them, on one Unix socket.
///
/// On graceful shutdown it stops listening, tells every client, closes the sockets with 1012 over
/// `shutdownSpread`, and returns when they are gone.
public struct GatewayServer: Service {
    /// How long after the spread sockets may take to close.
    private static let closeTime = Duration.seconds(8)

    private let context: GatewayContext
    private let group: MultiThreadedEventLoopGroup
    private let metricsText: @Sendable () -> String
    private let metricsType: String

    /// - Parameters:
    ///   - group: its threads serve the sockets and nothing else.
    ///   - tracer: records what requests lead to; `nil` where nobody wants to know.
    ///   - metricsType: the `Content-Type` of `metricsText`.
    ///   - metricsText: what `/metrics` answers; called on any thread.
    package init(
        kernel: Kernel, sessions: DeviceSessions, settings: GatewaySettings,
        group: MultiThreadedEventLoopGroup = .singleton, clock: @escaping WallClock, metricsType: String,
        metricsText: @escaping @Sendable () -> String, tracer: RecordingTracer?, logger: Logger
    ) {
        context = GatewayContext(
            kernel: kernel, sessions: sessions, settings: settings, clock: clock, tracer: tracer,
            logger: logger)
        self.group = group
        self.metricsText = metricsText
        self.metricsType = metricsType
    }

    /// Serves until graceful shutdown.
    ///
    /// - Throws: `ListeningSocketError` where the socket cannot be bound.
    public func run() async throws {
        let settings = context.facts.settings
        var policy = UpgradePolicy(
            path: settings.dialects.isDisjoint(with: [.nodes, .goclaw]) ? nil : NodesProtocol.path,
            origins: settings.origins,
            subprotocol: settings.dialects.contains(.nodes) ? NodesProtocol.subprotocol : nil)
        if policy.path == nil { policy.unservedPaths.insert(NodesProtocol.path) }
        if settings.dialects.contains(.openclaw) {
            policy.openClawPaths = NodesProtocol.openClawPaths
        } else {
            policy.unservedPaths.formUnion(NodesProtocol.openClawPaths)
        }
        policy.onNoAddress = context.kernel.webServerFaults.noAddress
        let streams = EventStreams(
            kernel: context.kernel, most: settings.eventStreams,
            mostPerAccount: settings.eventStreamsPerAccount, logger: context.logger)
        let server = try await WebSocketServer.start(
            at: .unixSocket(path: settings.socketPath), on: group, policy: policy,
            configuration: settings.webSocket, pages: pages, streams: streams, devices: context
        ) { [context] request, eventLoop in
            DeviceConnection(context: context, request: request, eventLoop: eventLoop)
        }
        context.logger.notice("Serving devices", metadata: ["socket": "\(settings.socketPath)"])
        context.sessions.readFeed(streams.happened)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await streams.run() }
            // Cancellation ends the server in the same order.
            try? await gracefulShutdown()
            streams.stop()
            group.cancelAll()
        }
        await stop(server)
    }

    @Sendable private func pages(_ path: String) async -> HTTPAnswer? {
        switch path {
        case "/healthz": return HTTPAnswer(.ok, "ok\n")
        case "/readyz": return await readiness()
        case "/metrics": return HTTPAnswer(.ok, metricsText(), contentType: metricsType)
        default: return nil
        }
    }

    private func readiness() async -> HTTPAnswer {
        do throws(Refusal) {
            try await context.kernel.checkReadiness()
        } catch {
            return HTTPAnswer(.serviceUnavailable, "not ready: \(error.message)\n")
        }
        guard context.sessions.hasAuthority else {
            return HTTPAnswer(.serviceUnavailable, "the sessions are not confirmed with the database\n")
        }
        return HTTPAnswer(.ok, "ready\n")
    }

    private func stop(_ server: WebSocketServer) async {
        let spread = context.facts.settings.shutdownSpread
        context.logger.notice("Closing the devices' sockets", metadata: ["spread": "\(spread)"])
        await server.stopListening()
        await server.forEachSocket { socket in
            guard let connection = socket.application as? DeviceConnection else { return }
            let delay = Int64.random(in: 0...max(0, spread.milliseconds))
            connection.shutdown(closesIn: .milliseconds(delay))
        }
        let start = ContinuousClock.now
        var hasStopped = false
        while ContinuousClock.now < start + spread + Self.closeTime, await server.connectionCount() > 0 {
            // What is answered by then is; the rest is told to come again.
            if !hasStopped, ContinuousClock.now >= start + spread {
                hasStopped = true
                await server.forEachFront { $0.stop() }
            }
            // A second shutdown signal cancels this task, and with it the patience.
            guard (try? await Task.sleep(for: .milliseconds(50))) != nil else { break }
        }
        await server.dropConnections()
    }
}
