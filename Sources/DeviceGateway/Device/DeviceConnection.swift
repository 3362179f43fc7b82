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
    private var exchange: DeviceExchange
    /// What translates for a client of another dialect; `nil` for this server's own.
    private var dialect: (any Dialect)?
    /// Which dialect that is.
    private var spoken: DialectName
    /// Whether the first frame is still to say so.
    private var isUndecided: Bool
    /// Whether nothing has come yet.
    private var isSilent = true
    /// For as long as it sends and delivers.
    private var socket: WebSocket?
    /// For as long as it takes a descriptor.
    private var connection: WebSocket?
    /// Whether a request is being parsed elsewhere; nothing is read meanwhile.
    private var isParsing = false
    private var isAuthenticated = false
    private var waits = false

    init(context: GatewayContext, request: UpgradeRequest, eventLoop: any EventLoop) {
        self.context = context
        self.request = request
        handle = ConnectionHandle(context: context, address: request.address, eventLoop: eventLoop)
        exchange = DeviceExchange(
            facts: context.facts, makeNonce: GatewayContext.makeNonce, clock: context.clock,
            now: eventLoop.now)
        spoken = request.dialect
        isUndecided = request.dialect == .nodes && !request.usesSubprotocol
        dialect = context.codec(of: spoken)
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
            other.dismiss(dismissal, "others need the room that this network takes; try again")
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
        if dialect != nil { limitBeforeConnect() }
        run(exchange.opened(usesSubprotocol: request.usesSubprotocol || dialect != nil))
        challengeLate(after: context.facts.settings.lateChallenge)
    }

    /// Clients of OpenClaw's wait for a challenge where others speak first.
    private func challengeLate(after delay: Duration) {
        guard isUndecided, delay > .zero, context.facts.settings.dialects.contains(.openclaw) else { return }
        let handle = handle
        socket?.eventLoop?.scheduleTask(in: TimeAmount(delay)) { handle.perform { $0.challengeIfSilent() } }
    }

    /// Said as OpenClaw's clients read it; what this one speaks is still for its first frame to say.
    private func challengeIfSilent() {
        guard isUndecided, isSilent else { return }
        let settings = context.facts.settings
        socket?.setLimits(settings.limits(settings.limitsBeforeConnect, for: .openclaw))
        dialect = context.codec(of: .openclaw)
        run { exchange, _ in exchange.opened(usesSubprotocol: true) }
        dialect = nil
    }

    func received(text: ByteBuffer, on socket: WebSocket) {
        isSilent = false
        context.metrics.requests.increment()
        let cost = text.readableBytes
        guard cost > Self.inlineParseLimit else {
            return received(parse(text), cost: cost)
        }
        isParsing = true
        socket.setReading(false)
        Task { [handle] in
            let frame = parse(text)
            handle.perform { connection in
                connection.isParsing = false
                connection.received(frame, cost: cost)
                connection.run { $0.readEnded(now: $1) }
            }
        }
    }

    func readEnded(on socket: WebSocket) { run { $0.readEnded(now: $1) } }

    /// Called where the limits accept binary messages: they hold text then.
    func received(binary: ByteBuffer, on socket: WebSocket) {
        var validator = UTF8Validator()
        guard validator.consume(binary.readableBytesView), validator.isComplete else {
            return close(.invalidText, "a binary message that is not UTF-8")
        }
        received(text: binary, on: socket)
    }

    func ponged(_ payload: ByteBuffer, on socket: WebSocket) {
        guard let number = Int64(String(buffer: payload)) else { return }
        carryOut(dialect?.ponged(number) ?? [], cost: 0)
        run { $0.readEnded(now: $1) }
    }

    func ticked(now: NIODeadline, on socket: WebSocket) {
        if !isParsing { run(exchange.ticked(now: now)) }
        carryOut(dialect?.ticked(now: context.clock()) ?? [], cost: 0)
    }

    private func received(_ frame: Result<RequestFrame, FrameRefusal>, cost: Int) {
        if isUndecided, case .success(let request) = frame, !decide(by: request) { return }
        guard dialect != nil else { return run { $0.received(frame, cost: cost, now: $1) } }
        carryOut(dialect?.read(frame, now: context.clock()) ?? [], cost: cost)
    }

    /// The first frame tells what the client speaks.
    ///
    /// - Returns: whether the client is served.
    private func decide(by frame: RequestFrame) -> Bool {
        switch frame.choice(among: context.facts.settings.dialects) {
        case .undecided: return true
        case .spoken(let name): spoken = name
        case .notServed(let name):
            // An answer of this form is read in every dialect.
            let refusal = Refusal.notServed(name)
            send(.failure(id: frame.id, refusal))
            close(
                .policyViolation,
                "this client's dialect, \(name.rawValue), is not served here (gateway.dialects)")
            return false
        }
        isUndecided = false
        dialect = context.codec(of: spoken)
        limitBeforeConnect()
        return true
    }

    private func limitBeforeConnect() {
        let settings = context.facts.settings
        socket?.setLimits(settings.limits(settings.limitsBeforeConnect, for: spoken))
    }

    /// What a codec made of something.
    private func carryOut(_ steps: [DialectStep], cost: Int, isDelivery: Bool = false) {
        for step in steps {
            switch step {
            case .ask(let id, let request): run { $0.received(request, id: id, cost: cost, now: $1) }
            case .send(let text): socket?.send(text: text.utf8, isDelivery: isDelivery)
            case .ping(let number): socket?.ping(ByteBuffer(string: String(number)))
            case .close(let code, let reason): close(code, reason)
            }
        }
    }

    func closed() {
        socket = nil
        context.sessions.detach(handle)
        if waits { context.withAdmission { [id = handle.id] in $0.stopWaiting(id) } }
    }

    func gone() {
        connection = nil
        handle.attach(nil)
        context.withAdmission { [id = handle.id] in $0.gone(id) }
    }

    /// There is no room for the socket.
    func dismiss(_ dismissal: SocketDismissal, _ reason: String) {
        switch dismissal {
        case .told: connection?.dismiss(WebSocketErrorCode(.tryLater), reason: reason)
        case .dropped: connection?.drop()
        }
    }

    /// The server stops: says so at once and closes after `delay`.
    func shutdown(closesIn delay: Duration) {
        guard let eventLoop = socket?.eventLoop else { return }
        run(exchange.shutdown(closesIn: delay))
        let handle = handle
        eventLoop.scheduleTask(in: TimeAmount(delay)) {
            handle.perform { $0.close(.restarting, "this instance restarts") }
        }
    }

    // MARK: What the exchange says

    /// Whether something waits for a slow client, or for answers that must leave before it.
    var isBehind: Bool { socket.map { $0.isBehind || exchange.isBehind } ?? false }

    /// The kernel ordered something.
    func ordered(_ order: DeviceExchange.Order) { run { $0.ordered(order, now: $1) } }

    /// Something happened, on the loop's clock; nothing does to a socket that is closed.
    private func run(_ event: (inout DeviceExchange, NIODeadline) -> [DeviceExchange.Action]) {
        guard let now = socket?.eventLoop?.now else { return }
        run(event(&exchange, now))
        socket?.setReading(exchange.isOpen && !isParsing)
    }

    private func run(_ actions: [DeviceExchange.Action]) {
        for action in actions {
            switch action {
            case .send(let frame, let isDelivery): send(frame, isDelivery: isDelivery)
            case .call(let ticket, let call): perform(call, ticket)
            case .accept(let tickets, let messages, let grant):
                ask(.messages, tickets) { [context, handle, trace = request.trace] in
                    await context.recording(MethodName.messageSend.rawValue, linkedTo: trace) { span in
                        span?.carries(messages.count)
                        let results = await context.sessions.send(messages, grant: grant, on: handle)
                        if case .failure(let refusal) = results.first { span?.refused(refusal) }
                        return results.map(DeviceAnswer.init)
                    }
                }
            case .acknowledge(let tickets, let numbers, let grant):
                ask(.acknowledgements, tickets) { [context, handle] in
                    await context.sessions.acknowledge(numbers, grant: grant, on: handle)
                }
            case .enter(let grant):
                let times = context.facts.settings.times(within: grant.limits)
                socket?.setTimes(ping: TimeAmount(times.ping), silence: TimeAmount(times.silence))
                authenticate()
            case .serve(let authority):
                authenticate()
                context.sessions.watch(authority, on: handle)
            case .begin(let grant): context.sessions.begin(grant, on: handle)
            case .wait(let request): wait(for: request)
            case .disown: context.withAdmission { [id = handle.id] in $0.disown(id) }
            case .suspend(let isSuspended): socket?.setSuspended(isSuspended)
            case .close(let code, let reason, let discarding): close(code, reason, discarding: discarding)
            }
        }
    }

    // MARK: Kernel

    private func perform(_ call: DeviceCall, _ ticket: DeviceExchange.Ticket) {
        var peer = Peer(address: request.address, origins: request.origins)
        peer.paySignature = { [context, address = request.address] in
            context.paySignature(address, from: $0, now: .now())
        }
        peer.refundSignature = { [context, address = request.address] in
            context.refundSignature(address, now: .now())
        }
        // Until it is somebody, what a socket asks is a part of what it was opened for.
        let parent = isAuthenticated ? nil : request.trace
        let link = isAuthenticated ? request.trace : nil
        Task { [context, handle, peer] in
            let start = ContinuousClock.now
            let answer = await context.recording(call.method.rawValue, in: parent, linkedTo: link) { span in
                let answer = await call.perform(
                    kernel: context.kernel, sessions: context.sessions, peer: peer, socket: handle)
                if case .refusal(let refusal) = answer { span?.refused(refusal) }
                return answer
            }
            context.metrics.answerTime.record(duration: ContinuousClock.now - start)
            handle.perform { connection in
                connection.run { $0.answered(ticket, answer, now: $1) }
            }
        }
    }

    /// Asks for what came together; the answers come together, too.
    private func ask(
        _ lane: DeviceExchange.Window.Lane, _ tickets: [DeviceExchange.Ticket],
        _ body: @escaping @Sendable () async -> [DeviceAnswer]
    ) {
        Task { [context, handle] in
            let start = ContinuousClock.now
            let answers = await body()
            let time = ContinuousClock.now - start
            for _ in tickets { context.metrics.answerTime.record(duration: time) }
            handle.perform { connection in
                connection.run { $0.answered(lane, tickets, answers, now: $1) }
            }
        }
    }

    // MARK: Place

    /// Of the sockets that wait for the decision on one request the newest has a place, so that a pending credential
    /// is not worth a room full of sockets.
    private func wait(for request: RequestID?) {
        waits = request != nil
        guard let request else {
            context.withAdmission { [id = handle.id] in $0.stopWaiting(id) }
            return
        }
        switch context.withAdmission({ [id = handle.id] in $0.wait(id, for: request) }) {
        case .waits: break
        case .waitsReplacing(let other):
            other.replaceWaiting()
        case .refused:
            close(.tryLater, "too many sockets of this network wait for decisions; come back later")
        }
    }

    private func authenticate() {
        let settings = context.facts.settings
        socket?.setLimits(settings.limits(settings.limitsAfterConnect, for: spoken))
        guard !isAuthenticated else { return }
        isAuthenticated = true
        context.withAdmission { [id = handle.id] in _ = $0.authenticate(id) }
    }

    // MARK: Out

    private func send(_ frame: ServerFrame, isDelivery: Bool = false) {
        switch frame {
        case .failure(_, let refusal): context.metrics.refusal(refusal)
        case .event, .channelEvent: context.metrics.events.increment()
        case .response, .accepted: break
        }
        guard dialect != nil else { return socket?.send(text: frame.text.utf8, isDelivery: isDelivery) ?? () }
        carryOut(dialect?.write(frame, now: context.clock()) ?? [], cost: 0, isDelivery: isDelivery)
    }

    fileprivate func close(_ code: CloseCode, _ reason: String, discarding: Bool = false) {
        let end = dialect?.closing(code, reason) ?? DialectEnd(code, reason)
        socket?.close(
            WebSocketErrorCode(end.code), reason: end.reason, discarding: discarding, lastWords: end.lastWords
        )
    }
}

private func parse(_ text: ByteBuffer) -> Result<RequestFrame, FrameRefusal> {
    do throws(FrameRefusal) {
        return .success(try RequestFrame(parsing: text.readableBytesView))
    } catch {
        return .failure(error)
    }
}

extension DeviceAnswer {
    fileprivate init(_ result: Result<MessageReceipt, Refusal>) {
        switch result {
        case .success(let receipt): self = .receipt(receipt)
        case .failure(let refusal): self = .refusal(refusal)
        }
    }
}

extension DeviceSessions {
    /// Stores the greatest of these: each says that the device has everything up to it.
    fileprivate func acknowledge(
        _ numbers: [Int64], grant: SessionGrant, on socket: any DeviceSocket
    ) async -> [DeviceAnswer] {
        do throws(Refusal) {
            if let greatest = numbers.max() {
                try await acknowledge(upTo: greatest, grant: grant, on: socket)
            }
            return numbers.map { .payload(.object(["messageSeq": .integer($0)])) }
        } catch {
            return numbers.map { _ in .refusal(error) }
        }
    }
}

extension ConnectionHandle: AdmittedConnection {
    func dismiss(_ dismissal: SocketDismissal, _ reason: String) {
        perform { $0.dismiss(dismissal, reason) }
    }

    func replaceWaiting() {
        perform { $0.close(.replaced, "a newer connection of this device waits for the decision") }
    }
}

extension WebSocketErrorCode {
    init(_ code: CloseCode) { self.init(codeNumber: Int(code.rawValue)) }
}
