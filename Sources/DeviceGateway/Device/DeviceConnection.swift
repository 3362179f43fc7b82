import Logging
import Metrics
import NIOCore
import NIOWebSocket
import NodesProtocol
import PairingCore
import PairingKernel
import Synchronization

/// One device's, or administrator's, socket: carries out what ``DeviceConversation`` decides. Used on its
/// event loop only.
final class DeviceConnection: WebSocketApplication {
    /// A request greater than this is parsed off the event loop (I10).
    private static let inlineParseLimit = 16 << 10

    private let context: GatewayContext
    private let request: UpgradeRequest
    private let handle: ConnectionHandle
    private var conversation: DeviceConversation
    /// For as long as it sends and delivers.
    private var socket: WebSocket?
    /// For as long as it takes a descriptor.
    private var connection: WebSocket?
    /// Whether the kernel works on a request; the socket is not read meanwhile.
    private var isBusy = false
    /// Whether that request may change what the socket is.
    private var awaitsRole = false
    /// Orders that must not overtake the answer to that request.
    private var deferred: [ConnectionHandle.Order] = []
    private var isAuthenticated = false
    /// The request whose decision the socket waits for, as far as its place is concerned.
    private var waitsFor: RequestID?

    init(context: GatewayContext, request: UpgradeRequest, eventLoop: any EventLoop) {
        self.context = context
        self.request = request
        handle = ConnectionHandle(context: context, address: request.address, eventLoop: eventLoop)
        conversation = DeviceConversation(
            facts: context.facts, makeNonce: GatewayContext.makeNonce, clock: context.clock,
            now: eventLoop.now)
    }

    // MARK: Socket

    func opened(_ socket: WebSocket) {
        self.socket = socket
        connection = socket
        handle.attach(self)
        context.sessions.attach(handle)
        switch context.withAdmission({ [handle] in $0.open(handle.id, handle, of: handle.address) }) {
        case .admitted: break
        case .admittedDisplacing(let other, let dismissal):
            context.metrics.displaced.increment()
            other.perform { $0.dismiss(dismissal, "others need the room that this network takes; try again") }
        case .refused(let refusal, let dismissal):
            context.metrics.refused.increment()
            let reason =
                switch refusal {
                case .address: "too many unauthenticated sockets of this address"
                case .instance: "this instance has no room for more of this network; try again"
                }
            // Not within the handshake, which a connection that is dropped would not survive in order.
            handle.perform { $0.dismiss(dismissal, reason) }
            return
        }
        context.metrics.accepted.increment()
        if request.usesSubprotocol { send(conversation.greeting()) }
    }

    func received(text: ByteBuffer, on socket: WebSocket) {
        context.metrics.requests.increment()
        socket.setReading(false)
        isBusy = true
        guard text.readableBytes > Self.inlineParseLimit else {
            parsed(parse(text))
            return
        }
        Task { [handle] in
            let frame = parse(text)
            handle.perform { $0.parsed(frame) }
        }
    }

    /// Never called: the limits of these sockets accept no binary message.
    func received(binary: ByteBuffer, on socket: WebSocket) {}

    func ticked(now: NIODeadline, on socket: WebSocket) {
        guard !isBusy, let step = conversation.ticked(now: now) else { return }
        run([step])
    }

    func closed() {
        socket = nil
        deferred = []
        context.sessions.detach(handle)
        if waitsFor != nil { context.withAdmission { [id = handle.id] in $0.stopWaiting(id) } }
    }

    func gone() {
        connection = nil
        handle.attach(nil)
        context.withAdmission { [id = handle.id] in $0.gone(id) }
    }

    /// There is no room for the socket.
    func dismiss(_ dismissal: SocketAdmission<ConnectionHandle>.Dismissal, _ reason: String) {
        switch dismissal {
        case .told: connection?.dismiss(WebSocketErrorCode(.tryLater), reason: reason)
        case .dropped: connection?.drop()
        }
    }

    /// The server stops: says so at once and closes after `delay`.
    func shutdown(closesIn delay: Duration) {
        guard let eventLoop = socket?.eventLoop else { return }
        send(conversation.shutdown(closesIn: delay))
        let handle = handle
        eventLoop.scheduleTask(in: TimeAmount(delay)) {
            handle.perform { $0.close(.restarting, "this instance restarts") }
        }
    }

    // MARK: Requests

    private func parsed(_ result: Result<RequestFrame, FrameRefusal>) {
        guard let now = socket?.eventLoop?.now else { return }
        switch result {
        case .failure(let failure):
            send(.failure(id: failure.id, failure.refusal))
            finish()
        case .success(let frame):
            switch conversation.received(frame, now: now) {
            case .reply(let reply):
                send(reply)
                finish()
            case .call(let call): perform(call)
            }
        }
    }

    private func perform(_ call: DeviceCall) {
        awaitsRole = call.changesRole
        var peer = Peer(address: request.address, origins: request.origins)
        peer.paySignature = { [context, address = request.address] in
            context.paySignature(address, from: $0, now: .now())
        }
        peer.refundSignature = { [context, address = request.address] in
            context.refundSignature(address, now: .now())
        }
        Task { [context, handle, peer] in
            let start = ContinuousClock.now
            let answer = await call.perform(
                kernel: context.kernel, sessions: context.sessions, peer: peer, socket: handle)
            context.metrics.answerTime.record(duration: ContinuousClock.now - start)
            handle.perform { $0.answered(answer) }
        }
    }

    private func answered(_ answer: DeviceAnswer) {
        guard let now = socket?.eventLoop?.now else { return }
        if case .refusal = answer, !isAuthenticated {
            context.withAdmission { [id = handle.id] in $0.disown(id) }
        }
        run(conversation.answered(answer, now: now))
        if case .connection(.paired(let grant)) = answer { context.sessions.begin(grant, on: handle) }
        finish()
    }

    private func finish() {
        isBusy = false
        awaitsRole = false
        let orders = deferred
        deferred = []
        for order in orders { carryOut(order) }
        socket?.setReading(true)
    }

    // MARK: Orders

    /// Whether something waits for a slow client.
    var isBehind: Bool { socket?.isBehind ?? false }

    /// The kernel ordered something.
    func ordered(_ order: ConnectionHandle.Order) {
        // Whoever asked before the authority was lost is answered before the socket goes.
        let isAnsweredFirst = isBusy && order.isLossOfAuthority
        if awaitsRole && order.waitsForAnswer || isAnsweredFirst {
            deferred.append(order)
        } else {
            carryOut(order)
        }
    }

    private func carryOut(_ order: ConnectionHandle.Order) {
        guard let socket, let now = socket.eventLoop?.now else { return }
        switch order {
        case .resolve(let resolution): run(conversation.resolved(resolution, now: now))
        case .deliver(let frame): send(conversation.frame(frame), isDelivery: true)
        case .suspend: socket.setSuspended(true)
        case .resume: socket.setSuspended(false)
        case .close(.revoked): close(.pairingRevoked, "the pairing was revoked; pair again", discarding: true)
        case .close(.replaced): close(.replaced, "a newer connection of this device took over")
        case .close(.denied): close(.denied, "an administrator denied the request")
        case .close(.authorityLost):
            // What was answered goes out, what was to be delivered does not (I3).
            socket.setSuspended(true)
            close(.tryLater, "this instance lost touch with the database")
        case .close(.authorityEnded):
            close(.policyViolation, "the token was revoked or has expired", discarding: true)
        case .close(.endedByChannel(let reason)): close(.policyViolation, reason)
        case .close(.channelUnavailable): close(.tryLater, "the channel is out of service")
        }
    }

    private func run(_ steps: [DeviceConversation.Step]) {
        for step in steps {
            switch step {
            case .send(let frame): send(frame)
            case .enter(let grant):
                let times = context.facts.settings.times(within: grant.limits)
                socket?.setTimes(ping: TimeAmount(times.ping), silence: TimeAmount(times.silence))
                authenticate()
            case .serve(let authority):
                authenticate()
                context.sessions.watch(authority, on: handle)
            case .close(let code, let reason): close(code, reason)
            }
        }
        holdPlace()
    }

    /// Of the sockets that wait for the decision on one request the newest has a place, so that a pending credential
    /// is not worth a room full of sockets.
    private func holdPlace() {
        let request: RequestID? = if case .waiting(let id, _) = conversation.role { id } else { nil }
        guard request != waitsFor, socket != nil else { return }
        waitsFor = request
        guard let request else {
            context.withAdmission { [id = handle.id] in $0.stopWaiting(id) }
            return
        }
        switch context.withAdmission({ [id = handle.id] in $0.wait(id, for: request) }) {
        case .waits: break
        case .waitsReplacing(let other):
            other.perform { $0.close(.replaced, "a newer connection of this device waits for the decision") }
        case .refused:
            close(.tryLater, "too many sockets of this network wait for decisions; come back later")
        }
    }

    private func authenticate() {
        socket?.setLimits(context.facts.settings.limitsAfterConnect)
        guard !isAuthenticated else { return }
        isAuthenticated = true
        context.withAdmission { [id = handle.id] in _ = $0.authenticate(id) }
    }

    // MARK: Out

    private func send(_ frame: ServerFrame, isDelivery: Bool = false) {
        switch frame {
        case .failure(_, let refusal): context.metrics.refusal(refusal)
        case .event, .channelEvent: context.metrics.events.increment()
        case .response: break
        }
        socket?.send(text: frame.text.utf8, isDelivery: isDelivery)
    }

    private func close(_ code: CloseCode, _ reason: String, discarding: Bool = false) {
        socket?.close(WebSocketErrorCode(code), reason: reason, discarding: discarding)
    }
}

private func parse(_ text: ByteBuffer) -> Result<RequestFrame, FrameRefusal> {
    do throws(FrameRefusal) {
        return .success(try RequestFrame(parsing: text.readableBytesView))
    } catch {
        return .failure(error)
    }
}

extension ConnectionHandle.Order {
    fileprivate var isLossOfAuthority: Bool {
        if case .close(.authorityLost) = self { true } else { false }
    }

    /// Whether this would make no sense to a client that has not read the answer to its request.
    fileprivate var waitsForAnswer: Bool {
        switch self {
        case .resolve, .deliver, .close(.denied): true
        case .suspend, .resume, .close: false
        }
    }
}

extension WebSocketErrorCode {
    init(_ code: CloseCode) { self.init(codeNumber: Int(code.rawValue)) }
}
