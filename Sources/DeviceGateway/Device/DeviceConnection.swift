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
    private var socket: WebSocket?
    /// Whether the kernel works on a request; the socket is not read meanwhile.
    private var isBusy = false
    /// Whether that request may change what the socket is.
    private var awaitsRole = false
    /// Orders that must not overtake the answer to that request.
    private var deferred: [ConnectionHandle.Order] = []
    private var isAdmitted = false
    private var isAuthenticated = false

    init(context: GatewayContext, request: UpgradeRequest, eventLoop: any EventLoop) {
        self.context = context
        self.request = request
        handle = ConnectionHandle(id: context.nextSocketID(), address: request.address, eventLoop: eventLoop)
        conversation = DeviceConversation(
            facts: context.facts, makeNonce: GatewayContext.makeNonce, clock: context.clock,
            now: eventLoop.now)
    }

    // MARK: Socket

    func opened(_ socket: WebSocket) {
        self.socket = socket
        handle.attach(self)
        context.sessions.attach(handle)
        do throws(SocketAdmission.Refusal) {
            try context.admission.withLock { admission throws(SocketAdmission.Refusal) in
                try admission.open(request.address)
                context.metrics.sockets(admission)
            }
            isAdmitted = true
            context.metrics.accepted.increment()
        } catch {
            context.metrics.refused.increment()
            switch error {
            case .address: close(.tryLater, "too many unauthenticated sockets of this address")
            case .instance: close(.tryLater, "this instance is full; try again")
            }
            return
        }
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
        handle.attach(nil)
        deferred = []
        context.sessions.detach(handle)
        guard isAdmitted else { return }
        context.admission.withLock {
            $0.close(request.address, wasAuthenticated: isAuthenticated)
            context.metrics.sockets($0)
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
            case .call(let call): perform(call, now: now)
            }
        }
    }

    private func perform(_ call: DeviceCall, now: NIODeadline) {
        if call.checksSignature, let wait = context.paySignature(request.address, now: now) {
            answered(.refusal(.tooManyProofs(retryAfter: wait)))
            return
        }
        awaitsRole = call.changesRole
        var peer = Peer(address: request.address, origins: request.origins)
        peer.paySignature = { [context, address = request.address] in
            context.paySignature(address, now: .now())
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
    }

    private func authenticate() {
        socket?.setLimits(context.facts.settings.limitsAfterConnect)
        guard isAdmitted, !isAuthenticated else { return }
        isAuthenticated = true
        context.admission.withLock {
            $0.authenticated(request.address)
            context.metrics.sockets($0)
        }
    }

    // MARK: Out

    private func send(_ frame: ServerFrame, isDelivery: Bool = false) {
        switch frame {
        case .failure(_, let refusal): context.metrics.refusal(refusal.code)
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
