import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import Unix

/// Where a server listens.
public enum ListeningPlace: Sendable {
    /// A Unix socket at that path; see `ListeningSocket`.
    case unixSocket(path: String)
    /// TCP on 127.0.0.1, for test servers; port 0 is any free one.
    case loopback(port: Int)
}

/// Accepts connections and makes WebSockets of those that may upgrade.
public final class WebSocketServer: Sendable {
    /// How many connections the kernel holds until they are accepted.
    public static let backlog: CInt = 4096

    private let channel: any Channel
    private let loops: [LoopSweep]
    private let socket: ListeningSocket?

    private struct LoopSweep: Sendable {
        let eventLoop: any EventLoop
        let sweep: NIOLoopBound<Sweep>
    }

    private init(channel: any Channel, loops: [LoopSweep], socket: ListeningSocket?) {
        self.channel = channel
        self.loops = loops
        self.socket = socket
    }

    /// The TCP port, where there is one.
    public var port: Int? { channel.localAddress?.port }

    /// Begins to listen.
    ///
    /// - Parameter makeApplication: called on the new socket's event loop, once a handshake is done.
    /// - Throws: `ListeningSocketError`, or an error of the operating system.
    public static func start(
        at place: ListeningPlace, on group: MultiThreadedEventLoopGroup, policy: UpgradePolicy,
        configuration: WebSocketConfiguration, pages: @escaping HTTPPages = { _ in nil },
        makeApplication: @escaping @Sendable (UpgradeRequest, any EventLoop) -> any WebSocketApplication
    ) async throws -> WebSocketServer {
        try await start(
            at: place, on: group, policy: policy, configuration: configuration, pages: pages, streams: nil,
            devices: nil, makeApplication: makeApplication)
    }

    /// The same, which also serves events, and devices that speak HTTP.
    static func start(
        at place: ListeningPlace, on group: MultiThreadedEventLoopGroup, policy: UpgradePolicy,
        configuration: WebSocketConfiguration, pages: @escaping HTTPPages,
        streams: EventStreams?, devices: GatewayContext?,
        makeApplication: @escaping @Sendable (UpgradeRequest, any EventLoop) -> any WebSocketApplication
    ) async throws -> WebSocketServer {
        let loops = try await startSweeps(on: group, every: configuration.times.sweep)
        let sweeps = Dictionary(
            uniqueKeysWithValues: loops.map { (ObjectIdentifier($0.eventLoop), $0.sweep) })
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // Without a free descriptor it waits for one, instead of trying without pause.
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptBackoffHandler(shouldForwardIOErrorCaught: false))
                }
            }
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.recvAllocator, value: FrugalReceiveAllocator())
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let sweep = sweeps[ObjectIdentifier(channel.eventLoop)]?.value else {
                        preconditionFailure("a connection on a loop that is not of the group")
                    }
                    let front = HTTPFront(
                        policy: policy, pages: pages, streams: streams, devices: devices, sweep: sweep,
                        now: channel.eventLoop.now)
                    try addHandlers(to: channel, policy: policy, front: front) {
                        WebSocket(
                            application: makeApplication($0, channel.eventLoop), configuration: configuration,
                            sweep: sweep,
                            now: $1)
                    }
                }
            }
        switch place {
        case .loopback(let port):
            let channel = try await bootstrap.bind(host: "127.0.0.1", port: port).get()
            return WebSocketServer(channel: channel, loops: loops, socket: nil)
        case .unixSocket(let path):
            let socket = try ListeningSocket(path: path, mode: 0o660, backlog: backlog)
            let channel = try await bootstrap.withBoundSocket(socket.descriptor).get()
            // NIO listens on a socket that it is handed with a backlog of its own, 128, whatever the option says.
            do throws(ListeningSocketError) {
                try socket.listen(backlog: backlog)
            } catch {
                try? await channel.close()
                throw error
            }
            return WebSocketServer(channel: channel, loops: loops, socket: socket)
        }
    }

    /// Accepts no more connections; those that are open stay open.
    public func stopListening() async {
        socket?.unlinkIfOwn()
        // The only error is that it is closed already.
        try? await channel.close()
    }

    /// Waits until ``stopListening()`` has been called, or the listening socket has failed.
    public func closed() async throws { try await channel.closeFuture.get() }

    /// Calls `body` for every open WebSocket, on its event loop.
    public func forEachSocket(_ body: @escaping @Sendable (WebSocket) -> Void) async {
        for loop in loops {
            let sweep = loop.sweep
            try? await loop.eventLoop.submit {
                sweep.value.forEach { if let socket = $0 as? WebSocket { body(socket) } }
            }.get()
        }
    }

    /// Calls `body` for every connection that is no WebSocket, on its event loop.
    func forEachFront(_ body: @escaping @Sendable (HTTPFront) -> Void) async {
        for loop in loops {
            let sweep = loop.sweep
            try? await loop.eventLoop.submit {
                sweep.value.forEach { if let front = $0 as? HTTPFront { body(front) } }
            }.get()
        }
    }

    /// How many connections there are, WebSockets and others.
    public func connectionCount() async -> Int {
        var count = 0
        for loop in loops {
            let sweep = loop.sweep
            count += (try? await loop.eventLoop.submit { sweep.value.count }.get()) ?? 0
        }
        return count
    }

    /// Closes every connection that is left and the timers.
    public func dropConnections() async {
        for loop in loops {
            let sweep = loop.sweep
            try? await loop.eventLoop.submit {
                sweep.value.stop()
                sweep.value.forEach { $0.drop() }
            }.get()
        }
    }

    private static func startSweeps(
        on group: MultiThreadedEventLoopGroup, every period: TimeAmount
    ) async throws -> [LoopSweep] {
        var loops: [LoopSweep] = []
        for eventLoop in group.makeIterator() {
            let sweep = try await eventLoop.submit {
                let sweep = Sweep(eventLoop: eventLoop)
                sweep.start(every: period)
                return NIOLoopBound(sweep, eventLoop: eventLoop)
            }.get()
            loops.append(LoopSweep(eventLoop: eventLoop, sweep: sweep))
        }
        return loops
    }

    private static func addHandlers(
        to channel: any Channel, policy: UpgradePolicy, front: HTTPFront,
        makeSocket: @escaping (UpgradeRequest, NIODeadline) -> WebSocket
    ) throws {
        let encoder = HTTPResponseEncoder()
        let decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: .head),
            maximumBufferSize: maximumHeadSize)
        let upgrade = HTTPServerUpgradeHandler(
            upgraders: [SocketUpgrader(policy: policy, makeSocket: makeSocket)], httpEncoder: encoder,
            extraHTTPHandlers: [decoder, front], upgradeCompletionHandler: { _ in })
        try channel.pipeline.syncOperations.addHandlers(encoder, decoder, upgrade, front)
    }

    /// The greatest request line and header fields together, in bytes.
    static let maximumHeadSize = 16 * 1024
}

extension NIOHTTPDecoderLimitConfiguration {
    fileprivate static var head: Self {
        var limits = Self()
        limits.maxHeaderFieldSize = 8 * 1024
        limits.maxHeaderListSize = WebSocketServer.maximumHeadSize
        limits.maxHeaderFieldCount = 100
        return limits
    }
}

/// Allocates each buffer anew and lets none be kept, because an idle device would hold one for nothing.
///
/// NIO keeps a buffer for the next read only where the allocator foretells its size and says that it will
/// not grow.
private struct FrugalReceiveAllocator: RecvByteBufferAllocator {
    private var adaptive = AdaptiveRecvByteBufferAllocator(minimum: 256, initial: 512, maximum: 65_536)

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { adaptive.buffer(allocator: allocator) }

    func nextBufferSize() -> Int? { nil }

    mutating func record(actualReadBytes: Int) -> Bool {
        _ = adaptive.record(actualReadBytes: actualReadBytes)
        return true
    }
}
