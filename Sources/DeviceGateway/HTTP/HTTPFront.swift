import NIOCore
import NIOHTTP1
import NIOWebSocket
import PairingCore

/// Answers a GET of a path that is not the WebSocket's; `nil` is 404. It may be called on any thread.
public typealias HTTPPages = @Sendable (_ path: String) async -> HTTPAnswer?

/// A connection before it is a WebSocket: one request, one answer, and the end.
///
/// It lasts for seconds at most, however slowly its client sends.
final class HTTPFront: ChannelInboundHandler, RemovableChannelHandler, Swept {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// For the head of the request to come, and for its answer.
    private static let patience = TimeAmount.seconds(patienceSeconds)
    private static let patienceSeconds: Int64 = 10
    /// For the client to close after the answer.
    private static let drain = TimeAmount.seconds(2)

    private let policy: UpgradePolicy
    private let pages: HTTPPages
    private let streams: EventStreams?
    private let devices: GatewayContext?
    private let sweep: Sweep
    /// What the connection has become, where its request was a device's, or a program's that uses tools.
    private var exchange: (any HTTPExchange)?
    /// What the connection has become, where its request was for events.
    private var stream: (id: StreamID, stream: EventStream)?
    private var deadline: NIODeadline
    private var context: ChannelHandlerContext?
    /// Whether the one request has come, or cannot come any more.
    private var isDecided = false
    private var isAnswered = false
    var sweepIndex = -1

    init(
        policy: UpgradePolicy, pages: @escaping HTTPPages, streams: EventStreams?, devices: GatewayContext?,
        sweep: Sweep, now: NIODeadline
    ) {
        self.devices = devices
        self.policy = policy
        self.pages = pages
        self.streams = streams
        self.sweep = sweep
        deadline = now + Self.patience
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        sweep.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        if let stream { streams?.leave(stream.id) }
        exchange?.gone()
        exchange = nil
        sweep.remove(self)
    }

    func swept(now: NIODeadline) {
        if let stream { return stream.stream.swept(now: now) }
        if let exchange, !isAnswered {
            exchange.swept(now: now)
            if !exchange.isBeingRead { return }
        }
        guard now >= deadline else { return }
        if isAnswered {
            context?.close(promise: nil)
        } else {
            // What arrives from now on is not carried out: the other side was told to try again.
            exchange?.gone()
            exchange = nil
            answer(
                HTTPAnswer(
                    .requestTimeout,
                    "The request did not arrive whole within \(Self.patienceSeconds) s. Try again.\n"))
        }
    }

    func drop() { context?.close(promise: nil) }

    /// The instance stops: a device that waits for an answer here is told so.
    func stop() { exchange?.stop() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let head: HTTPRequestHead
        switch Self.unwrapInboundIn(data) {
        case .head(let first) where !isDecided: head = first
        case .body(let part): return exchange?.received(body: part) ?? ()
        case .end: return exchange?.bodyEnded() ?? ()
        case .head: return
        }
        isDecided = true
        switch policy.decide(head) {
        case .refuse(let refusal): answer(refusal)
        case .page(let path):
            if path == EventStreams.path, let streams {
                enter(streams, head, context)
            } else {
                answerPage(path, context)
            }
        case .exchange(let request):
            guard let devices else {
                return answer(HTTPAnswer(.notFound, "There is nothing at this path.\n"))
            }
            let exchange = DeviceHTTPConnection(request, context: devices, channel: context.channel) {
                [weak self] in self?.answer($0, written: $1)
            }
            self.exchange = exchange
            exchange.begin()
        case .tools(let request):
            guard let devices else {
                return answer(HTTPAnswer(.notFound, "There is nothing at this path.\n"))
            }
            let exchange = ToolConnection(request, context: devices, channel: context.channel) {
                [weak self] in self?.answer($0, written: $1)
            }
            self.exchange = exchange
            exchange.begin()
        case .upgrade:
            // Granted, and yet the handshake failed: NIO's own checks are stricter somewhere.
            answer(
                HTTPAnswer(
                    .badRequest,
                    "The WebSocket handshake is not acceptable; expected that of RFC 6455, section 4.1.\n"))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case is RefusedUpgrade, is NIOWebSocketUpgradeError:
            // The request follows and is answered.
            break
        case HTTPParserError.headerOverflow, is ByteToMessageDecoderError.PayloadTooLargeError:
            answer(
                HTTPAnswer(
                    .requestHeaderFieldsTooLarge,
                    "The request's head is too large: send fewer or shorter headers, or delete this site's cookies.\n"
                ))
        case is HTTPParserError:
            answer(HTTPAnswer(.badRequest, "This is not an HTTP/1.1 request: \(error).\n"))
        default: context.close(promise: nil)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stream?.stream.writabilityChanged()
        exchange?.writabilityChanged()
        context.fireChannelWritabilityChanged()
    }

    private func enter(_ streams: EventStreams, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        Task {
            let entrance = await streams.enter(head)
            eventLoop.execute { bound.value.entered(streams, entrance) }
        }
    }

    private func entered(_ streams: EventStreams, _ entrance: EventStreams.Entrance) {
        switch entrance {
        case .refused(let refusal): answer(refusal)
        case .admitted(let id):
            // The client may have gone meanwhile, or have waited for too long.
            guard let context, !isAnswered else { return streams.leave(id) }
            isAnswered = true
            let begun = EventStream(channel: context.channel)
            stream = (id, begun)
            begun.begin()
            streams.attach(id, begun, on: context.eventLoop)
        }
    }

    private func answerPage(_ path: String, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        Task { [pages] in
            let page =
                await pages(path)
                ?? HTTPAnswer(.notFound, "There is nothing at \(quoted(path)); devices connect to /ws.\n")
            eventLoop.execute { bound.value.answer(page) }
        }
    }

    /// - Parameter written: told once everything is written, or can't be.
    private func answer(_ answer: HTTPAnswer, written: EventLoopPromise<Void>? = nil) {
        isDecided = true
        guard let context, !isAnswered else {
            written?.fail(ChannelError.alreadyClosed)
            return
        }
        isAnswered = true
        deadline = context.eventLoop.now + Self.drain
        var headers = HTTPHeaders([
            ("Content-Type", answer.contentType), ("Content-Length", String(answer.body.utf8.count)),
            ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
        ])
        for (name, value) in answer.fields { headers.add(name: name, value: value) }
        if !headers.contains(name: "connection") { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
        context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
        let body = context.channel.allocator.buffer(string: answer.body)
        context.write(Self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: written)
        context.close(mode: .output, promise: nil)
    }
}

/// An upgrade the policy does not grant; the request is answered as ordinary HTTP.
private struct RefusedUpgrade: Error {}

/// The handshake, once a connection: NIO computes the answer, the policy decides.
final class SocketUpgrader: HTTPServerProtocolUpgrader {
    let supportedProtocol = "websocket"
    let requiredUpgradeHeaders: [String] = []

    private let policy: UpgradePolicy
    private let handshake: NIOWebSocketServerUpgrader
    private let makeSocket: (UpgradeRequest, NIODeadline) -> WebSocket

    init(policy: UpgradePolicy, makeSocket: @escaping (UpgradeRequest, NIODeadline) -> WebSocket) {
        self.policy = policy
        self.makeSocket = makeSocket
        handshake = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, head in
                guard case .upgrade(let request) = policy.decide(head) else {
                    return channel.eventLoop.makeSucceededFuture(nil)
                }
                let fields = request.usesSubprotocol ? [("Sec-WebSocket-Protocol", policy.subprotocol)] : []
                return channel.eventLoop.makeSucceededFuture(
                    HTTPHeaders(fields.compactMap { name, value in value.map { (name, $0) } }))
            },
            // Only the handshake's headers are NIO's: the frames are read by `MessageReader`.
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
    }

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        guard case .upgrade = policy.decide(upgradeRequest) else {
            return channel.eventLoop.makeFailedFuture(RefusedUpgrade())
        }
        return handshake.buildUpgradeResponse(
            channel: channel, upgradeRequest: upgradeRequest, initialResponseHeaders: initialResponseHeaders)
    }

    func upgrade(
        context: ChannelHandlerContext, upgradeRequest: HTTPRequestHead
    ) -> EventLoopFuture<Void> {
        context.eventLoop.makeCompletedFuture {
            guard case .upgrade(let request) = policy.decide(upgradeRequest) else { throw RefusedUpgrade() }
            try context.pipeline.syncOperations.addHandler(makeSocket(request, context.eventLoop.now))
        }
    }
}
