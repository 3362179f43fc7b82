import NIOCore
import NIOWebSocket
import PairingCore

/// One WebSocket connection of the server: the channel handler that carries out what ``MessageReader``,
/// ``SocketLife`` and ``OutboundQueue`` decide. Used on its event loop only.
public final class WebSocket: ChannelDuplexHandler {
    /// Bytes of the connection.
    public typealias InboundIn = ByteBuffer
    /// Nothing writes through this handler; it is the last one.
    public typealias OutboundIn = Never
    /// Bytes of the connection.
    public typealias OutboundOut = ByteBuffer

    /// Why the socket is not read for the moment.
    private struct Pauses: OptionSet {
        let rawValue: UInt8
        static let application = Pauses(rawValue: 1)
        static let rate = Pauses(rawValue: 2)
        static let outbound = Pauses(rawValue: 4)
    }

    let application: any WebSocketApplication
    private let sweep: Sweep
    private var reader: MessageReader
    private var life: SocketLife
    private var queue: OutboundQueue
    private var frameRate: TokenBucket?
    private var pauses: Pauses = []
    private var unread = ByteBuffer()
    private var context: ChannelHandlerContext?
    private var endsWhenWritten = false
    private var isProcessing = false
    /// Whether the application was given a message since it was told that there are no more.
    private var hasDelivered = false
    private var hasUnflushed = false
    private var isFlushDue = false
    private var toldClosed = false
    var sweepIndex = -1

    init(
        application: any WebSocketApplication, configuration: WebSocketConfiguration, sweep: Sweep,
        now: NIODeadline
    ) {
        self.application = application
        self.sweep = sweep
        reader = MessageReader(limits: configuration.limits)
        life = SocketLife(times: configuration.times, now: now)
        queue = OutboundQueue(limits: configuration.queue)
        frameRate = configuration.frameRate.map {
            TokenBucket(perSecond: $0.perSecond, burst: $0.burst, now: now.sinceStart)
        }
    }

    // MARK: For the application

    /// The loop on which everything happens.
    public var eventLoop: (any EventLoop)? { context?.eventLoop }

    /// Whether messages can still be sent and come in.
    public var isOpen: Bool { life.isOpen && context != nil }

    /// Whether something waits for a slow client.
    public var isBehind: Bool { queue.hasFrames }

    /// Changes what is accepted from the next frame on.
    public func setLimits(_ limits: WebSocketLimits) { reader.limits = limits }

    /// Changes how often the client is pinged, and after what silence it is given up.
    public func setTimes(ping: TimeAmount, silence: TimeAmount) {
        life.times.ping = ping
        life.times.silence = silence
    }

    /// Sends a text message.
    ///
    /// A client too slow to take it is closed with 1008; nothing happens on a socket that is not open.
    ///
    /// - Parameter isDelivery: whether it waits while the socket is suspended.
    public func send(text: some Collection<UInt8>, isDelivery: Bool = false) {
        guard let context, life.isOpen else { return }
        let length = text.count
        var frame = context.channel.allocator.buffer(capacity: FrameHeader.maximumWrittenSize + length)
        FrameHeader.write(.text, length: length, to: &frame)
        frame.writeBytes(text)
        send(frame, context, isDelivery: isDelivery)
    }

    /// Sends a binary message, as ``send(text:)`` does a text.
    public func send(binary: ByteBuffer) {
        guard life.isOpen else { return }
        send(.binary, binary)
    }

    /// Sends a ping whose answer the application is told. It stays behind the deliveries before it, also while these are
    /// withheld.
    public func ping(_ payload: ByteBuffer) {
        guard life.isOpen else { return }
        send(.ping, payload, isDelivery: true)
    }

    /// Begins to close the socket.
    ///
    /// - Parameters:
    ///   - reason: at most 123 bytes; for the client's developer.
    ///   - discarding: whether what waits to be sent is dropped, which a lost authority demands (I3).
    ///   - lastWords: a text message before the close frame, whatever is dropped.
    public func close(
        _ code: WebSocketErrorCode, reason: String, discarding: Bool = false, lastWords: String? = nil
    ) {
        guard let context, life.isOpen else { return }
        if discarding { queue.removeAll() }
        queue.removeWithheld()
        if let lastWords { queue.pushLast(frame(.text, ByteBuffer(string: lastWords))) }
        // What is left is written, and the client's close frame is read.
        pauses = []
        run(life.close(code, reason: reason, now: context.eventLoop.now))
    }

    /// Closes a socket for which there is no room: quickly, however its client behaves, and also where it is being
    /// closed in another way already.
    ///
    /// - Parameter reason: at most 123 bytes; for the client's developer.
    public func dismiss(_ code: WebSocketErrorCode, reason: String) {
        guard let context else { return }
        queue.removeAll()
        pauses = []
        run(life.dismiss(code, reason: reason, now: context.eventLoop.now))
    }

    /// Stops or resumes reading, so that a client cannot send faster than the application works.
    public func setReading(_ reads: Bool) {
        if reads { resume(.application) } else { pauses.insert(.application) }
    }

    /// Withholds deliveries, or lets them go. Requests are read and answered meanwhile.
    public func setSuspended(_ isSuspended: Bool) {
        queue.isSuspended = isSuspended
        if let context { drain(context) }
    }

    // MARK: Channel

    /// The connection has become a WebSocket.
    public func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        sweep.add(self)
        application.opened(self)
    }

    /// The connection goes away.
    public func handlerRemoved(context: ChannelHandlerContext) { ended() }

    /// The connection is closed.
    public func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    /// The connection broke.
    public func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Resets and broken pipes: the connection is gone.
        context.close(promise: nil)
    }

    /// Bytes came.
    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = Self.unwrapInboundIn(data)
        life.heard(now: context.eventLoop.now)
        guard life.readsFrames else { return }
        if unread.readableBytes == 0 { unread = bytes } else { unread.writeBuffer(&bytes) }
        process()
    }

    /// NIO wants to read on; not while the socket is paused.
    public func read(context: ChannelHandlerContext) {
        // A socket that has ended is read until its end, to notice that end.
        if pauses.isEmpty || !life.readsFrames { context.read() }
    }

    /// The client took what it was sent, or does not keep up.
    public func channelWritabilityChanged(context: ChannelHandlerContext) {
        drain(context)
        context.fireChannelWritabilityChanged()
    }

    private func ended() {
        guard context != nil else { return }
        context = nil
        sweep.remove(self)
        queue.removeAll()
        unread = ByteBuffer()
        tellClosed()
        application.gone()
    }

    private func tellClosed() {
        guard !toldClosed else { return }
        toldClosed = true
        application.closed()
    }

    // MARK: In

    private func process() {
        guard !isProcessing else { return }
        isProcessing = true
        repeat {
            while let context, life.readsFrames, pauses.isEmpty {
                do {
                    guard let event = try reader.next(&unread) else { break }
                    charge(event.price, now: context.eventLoop.now)
                    handle(event, now: context.eventLoop.now)
                } catch {
                    run(life.violated(error, now: context.eventLoop.now))
                }
            }
            guard hasDelivered else { break }
            hasDelivered = false
            application.readEnded(on: self)
            // What ended a pause meanwhile, goes on here.
        } while pauses.isEmpty && unread.readableBytes > 0
        isProcessing = false
        // A paused socket keeps what it had read; otherwise at most a part of a header is left.
        if unread.readableBytes == 0 || !life.readsFrames {
            unread = ByteBuffer()
        } else if pauses.isEmpty {
            unread = ByteBuffer(bytes: unread.readableBytesView)
        }
        flush()
    }

    private func handle(_ event: MessageReader.Event, now: NIODeadline) {
        switch event {
        case .text(let text):
            guard life.isOpen else { return }
            hasDelivered = true
            application.received(text: text, on: self)
        case .binary(let bytes):
            guard life.isOpen else { return }
            hasDelivered = true
            application.received(binary: bytes, on: self)
        case .ping(let payload): if life.isOpen { send(.pong, payload) }
        case .pong(let payload): if life.isOpen { application.ponged(payload, on: self) }
        case .fragment: break
        case .close(let code): run(life.closeReceived(code, now: now))
        }
    }

    /// Every frame has its price; a client that cannot pay for one is not read on before it has.
    private func charge(_ price: Double, now: NIODeadline) {
        guard let context, let wait = frameRate?.take(price, now: now.sinceStart) else {
            return resume(.rate)
        }
        pauses.insert(.rate)
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(wait)) { [weak self] in
            guard let self, pauses.contains(.rate), let context = self.context else { return }
            charge(price, now: context.eventLoop.now)
        }
    }

    private func resume(_ pause: Pauses) {
        guard pauses.contains(pause) else { return }
        pauses.remove(pause)
        guard pauses.isEmpty, !isProcessing else { return }
        process()
        if pauses.isEmpty { context?.read() }
    }

    // MARK: Out

    private func run(_ action: SocketLife.Action) {
        switch action {
        case .none: return
        case .ping: if queue.isEmpty { send(.ping, ByteBuffer()) }
        case .sendClose(let code, let reason):
            sendClose(code, reason)
            context?.read()
        case .sendCloseAndEnd(let code, let reason):
            sendClose(code, reason)
            end()
        case .end: end()
        case .drop: context?.close(promise: nil)
        }
        if !life.isOpen { tellClosed() }
    }

    private func end() {
        endsWhenWritten = true
        if let context { drain(context) }
        // Reads on, whatever paused it, to notice the client's end.
        context?.read()
    }

    private func frame(_ opcode: WebSocketOpcode, _ payload: ByteBuffer) -> ByteBuffer {
        let capacity = FrameHeader.maximumWrittenSize + payload.readableBytes
        var frame = context?.channel.allocator.buffer(capacity: capacity) ?? ByteBuffer()
        FrameHeader.write(opcode, length: payload.readableBytes, to: &frame)
        frame.writeImmutableBuffer(payload)
        return frame
    }

    private func send(_ opcode: WebSocketOpcode, _ payload: ByteBuffer, isDelivery: Bool = false) {
        guard let context else { return }
        send(frame(opcode, payload), context, isDelivery: isDelivery)
    }

    private func send(_ frame: ByteBuffer, _ context: ChannelHandlerContext, isDelivery: Bool) {
        switch queue.push(frame, isDelivery: isDelivery, isWritable: isWritable(context)) {
        case .write: write(frame, context)
        case .queued: if !queue.isEmpty { pauses.insert(.outbound) }
        case .overflow:
            close(.policyViolation, reason: "the client reads too slowly", discarding: true)
        }
        if !isProcessing { flushSoon() }
    }

    private func sendClose(_ code: WebSocketErrorCode?, _ reason: String) {
        var payload = ByteBuffer()
        if let code {
            payload.write(webSocketErrorCode: code)
            payload.writeString(reason)
        }
        queue.pushLast(frame(.connectionClose, payload))
        if let context { drain(context) }
    }

    private func drain(_ context: ChannelHandlerContext) {
        while isWritable(context), let frame = queue.pop() { write(frame, context) }
        flush()
        guard queue.isEmpty else { return }
        if endsWhenWritten {
            endsWhenWritten = false
            context.close(mode: .output, promise: nil)
        }
        resume(.outbound)
    }

    private func isWritable(_ context: ChannelHandlerContext) -> Bool {
        context.channel.isWritable
    }

    private func write(_ frame: ByteBuffer, _ context: ChannelHandlerContext) {
        context.write(Self.wrapOutboundOut(frame), promise: nil)
        hasUnflushed = true
    }

    /// What is sent until the loop's other tasks are done goes in one write.
    private func flushSoon() {
        guard hasUnflushed, !isFlushDue, let context else { return }
        isFlushDue = true
        context.eventLoop.assumeIsolated().execute { [weak self] in
            self?.isFlushDue = false
            self?.flush()
        }
    }

    private func flush() {
        guard hasUnflushed else { return }
        hasUnflushed = false
        context?.flush()
    }
}

extension WebSocket: Swept {
    func swept(now: NIODeadline) {
        // A socket that is not read for this server's own reasons is not silent.
        if !pauses.isDisjoint(with: [.application, .rate]) { life.heard(now: now) }
        run(life.tick(now: now))
        if life.isOpen { application.ticked(now: now, on: self) }
    }

    func drop() { context?.close(promise: nil) }
}

@available(*, unavailable)
extension WebSocket: Sendable {}

extension NIODeadline {
    /// The time on the loop's monotonic clock.
    var sinceStart: Duration { .nanoseconds(Int64(clamping: uptimeNanoseconds)) }
}
