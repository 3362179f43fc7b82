import Metrics
import NIOCore
import NIOHTTP1
import NodesProtocol
import PairingCore
import PairingKernel

/// One HTTP request of a device, from its head to the last byte of its answer. Used on its event loop only.
///
/// Its body is not read before its token is known, so that a stranger's costs nothing.
final class DeviceHTTPConnection: HTTPExchange {
    /// How long a client may take nothing in.
    private static let patience = TimeAmount.seconds(30)

    private let context: GatewayContext
    private let request: DeviceHTTPRequest
    private let channel: any Channel
    private let respond: (HTTPAnswer, EventLoopPromise<Void>?) -> Void
    private let handle: ExchangeHandle<DeviceHTTPConnection>
    private var body = ByteBuffer()
    private var isBodyWhole = false
    private var device: PairedDevice?
    private var exchange: AnswerExchange?
    private var question: Question?
    /// What was told before the message's acceptance was.
    private var early: [AnswerEvent] = []
    private var isStream = false
    private var isOver = false
    /// Since when the client takes nothing in.
    private var stuckSince: NIODeadline?

    /// - Parameter respond: writes an answer in one piece, and ends the connection.
    init(
        _ request: DeviceHTTPRequest, context: GatewayContext, channel: any Channel,
        respond: @escaping (HTTPAnswer, EventLoopPromise<Void>?) -> Void
    ) {
        self.request = request
        self.context = context
        self.channel = channel
        self.respond = respond
        handle = ExchangeHandle(id: context.nextSocketID(), eventLoop: channel.eventLoop)
    }

    // MARK: Request

    /// Asks whose token it is.
    func begin() {
        handle.attach(self)
        channel.setOption(.autoRead, value: false).whenFailure { _ in }
        switch context.withAdmission({ [handle, request] in $0.open(handle.id, handle, of: request.address) })
        {
        case .admitted: break
        case .admittedDisplacing(let other, let dismissal):
            context.metrics.displaced.increment()
            other.dismiss(dismissal, "others need the room that this network takes; try again")
        case .refused:
            context.metrics.refused.increment()
            return refuse(.noRoom)
        }
        guard let token = request.token else { return refuse(.noToken) }
        Task { [context, handle, request] in
            let result: Result<PairedDevice, Refusal>
            do throws(Refusal) {
                result = .success(try await context.sessions.device(bearing: token, from: request.address))
            } catch {
                result = .failure(error)
            }
            handle.perform { $0.authenticated(result) }
        }
    }

    private func authenticated(_ result: Result<PairedDevice, Refusal>) {
        guard !isOver else { return }
        switch result {
        case .failure(let refusal): refuse(refusal)
        case .success(let device):
            self.device = device
            guard context.withAdmission({ [id = handle.id] in $0.authenticate(id) }) else {
                return refuse(.noRoom)
            }
            let most = context.facts.settings.httpRequestsPerDevice
            guard context.enter(device.senderID.key, handle.id, most: most) else {
                return refuse(.tooManyRequests(most))
            }
            switch request.call {
            case .listModels: respondOnce(ok(ChatModels.list(modelNames)))
            case .findModel(let name):
                guard modelNames.contains(name) else { return refuse(.noSuchModel(name, modelNames)) }
                respondOnce(ok(ChatModels.one(name)))
            case .complete:
                channel.setOption(.autoRead, value: true).whenFailure { _ in }
                channel.read()
                askIfReady()
            }
        }
    }

    func received(body part: ByteBuffer) {
        guard !isOver, !isBodyWhole else { return }
        let most = context.facts.settings.maximumHTTPBody
        guard body.readableBytes + part.readableBytes <= most else { return refuse(.bodyTooLarge(most)) }
        body.writeImmutableBuffer(part)
    }

    func bodyEnded() {
        isBodyWhole = true
        askIfReady()
    }

    private func askIfReady() {
        guard let device, isBodyWhole, !isOver, exchange == nil, request.call == .complete else { return }
        let messageID = request.messageID ?? GatewayContext.makeNonce()
        let body = body
        self.body = ByteBuffer()
        let settings = context.facts.settings
        Task { [context, handle, request] in
            let result: Result<(Question, ChatCompletionRequest), Refusal> = await context.recording(
                MethodName.messageSend.rawValue, in: request.trace
            ) { span in
                do throws(Refusal) {
                    // Here, because a large body takes its time (I10).
                    let wanted = try ChatCompletionRequest(parsing: body.readableBytesView)
                    let message = SentMessage(
                        id: messageID,
                        body: JSONValue.object(["type": .string("text"), "text": .string(wanted.text)]).text,
                        agent: try context.agent(named: wanted.model, of: device),
                        conversation: wanted.conversation)
                    let question = try await context.sessions.ask(message, of: device, at: request.address) {
                        event in
                        handle.perform { $0.told(event) }
                    }
                    return .success((question, wanted))
                } catch {
                    span?.refused(error)
                    return .failure(error)
                }
            }
            handle.perform(orElse: {
                // Nobody waits any more.
                if case .success(let (question, _)) = result {
                    context.sessions.giveUp(question, aborts: request.messageID == nil)
                }
            }) { $0.asked(result, timeout: settings.answerTimeout) }
        }
    }

    // MARK: Answer

    private func asked(
        _ result: Result<(Question, ChatCompletionRequest), Refusal>, timeout: Duration
    ) {
        switch result {
        case .failure(let refusal): refuse(refusal)
        case .success(let (question, wanted)):
            self.question = question
            guard !isOver else { return giveUp() }
            isStream = wanted.isStream
            let exchange = AnswerExchange(
                answer: ChatCompletionAnswer(
                    id: "chatcmpl-\(question.messageID)", created: context.clock().milliseconds / 1000,
                    model: wanted.model ?? ChatCompletionRequest.defaultModel),
                isStream: wanted.isStream, now: channel.eventLoop.now.sinceStart, timeout: timeout)
            self.exchange = exchange
            context.metrics.requests.increment()
            run(exchange.begin())
            let events = question.sequence == MessageReceipt.ephemeral ? [.answered([])] : early
            early = []
            for event in events { told(event) }
        }
    }

    private func told(_ event: AnswerEvent) {
        guard exchange != nil else { return early.append(event) }
        run(exchange?.told(event) ?? [])
    }

    private func run(_ actions: [AnswerExchange.Action]) {
        for action in actions {
            switch action {
            case .document(let text, let answers): respondOnce(ok(text), handOver(answers))
            case .refuse(let refusal): refuse(refusal)
            case .begin(let text):
                let headers = HTTPHeaders([
                    ("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-store"),
                    ("X-Content-Type-Options", "nosniff"), ("Transfer-Encoding", "chunked"),
                    ("Connection", "close"), ("X-Accel-Buffering", "no"),
                ])
                let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
                channel.write(HTTPServerResponsePart.head(head), promise: nil)
                write(text)
            case .write(let text): write(text)
            case .end(let text, let answers):
                isOver = true
                // A client that has read the last piece leaves: the end of the transfer, behind it, is no part of the
                // answer, and may find it gone.
                let last = HTTPServerResponsePart.body(.byteBuffer(channel.allocator.buffer(string: text)))
                channel.write(last, promise: handOver(answers))
                let channel = channel
                channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in
                    channel.close(promise: nil)
                }
            case .giveUp: giveUp()
            }
        }
    }

    private func write(_ text: String) {
        let bytes = channel.allocator.buffer(string: text)
        channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: nil)
    }

    /// The answers count as handed over once all is written.
    private func handOver(_ answers: [AnsweredMessage]) -> EventLoopPromise<Void> {
        let written = channel.eventLoop.makePromise(of: Void.self)
        if let question, !answers.isEmpty {
            self.question = nil
            let sessions = context.sessions
            written.futureResult.whenComplete { result in
                switch result {
                case .success: sessions.handedOver(answers, to: question)
                case .failure: sessions.giveUp(question, aborts: false, answers)
                }
            }
        }
        return written
    }

    private func giveUp() {
        guard let question else { return }
        self.question = nil
        // Who named the message asks for it again by that name.
        context.sessions.giveUp(question, aborts: request.messageID == nil)
    }

    private func refuse(_ refusal: Refusal) {
        context.metrics.refusal(refusal)
        respondOnce(HTTPRefusal(refusal).answer)
    }

    private func respondOnce(_ answer: HTTPAnswer, _ written: EventLoopPromise<Void>? = nil) {
        guard !isOver else {
            written?.fail(ChannelError.alreadyClosed)
            return
        }
        isOver = true
        // So that the end of the connection is noticed.
        channel.setOption(.autoRead, value: true).whenFailure { _ in }
        respond(answer, written)
    }

    private func ok(_ body: String) -> HTTPAnswer { HTTPAnswer(.ok, body, contentType: "application/json") }

    private var modelNames: [String] {
        let names = device.map { context.sessions.agentNames(for: $0) } ?? []
        let byDefault = ChatCompletionRequest.defaultModel
        return names.contains(byDefault) ? names : [byDefault] + names
    }

    // MARK: Connection

    /// Whether the front's own deadline is for this request: while it is read.
    var isBeingRead: Bool { exchange == nil && !(isBodyWhole && device != nil) }

    func writabilityChanged() {
        stuckSince = channel.isWritable ? nil : channel.eventLoop.now
        run(exchange?.writable(channel.isWritable) ?? [])
    }

    func swept(now: NIODeadline) {
        if let stuckSince, now >= stuckSince + Self.patience { return channel.close(promise: nil) }
        run(exchange?.ticked(now: now.sinceStart) ?? [])
    }

    /// The instance stops.
    func stop() {
        if exchange == nil { return refuse(.stops) }
        run(exchange?.stop() ?? [])
    }

    /// The connection is no more.
    func gone() {
        isOver = true
        giveUp()
        handle.attach(nil)
        context.withAdmission { [id = handle.id] in $0.gone(id) }
        if let device { context.leave(device.senderID.key, handle.id) }
    }

    /// There is no room for it.
    func dismiss(_ reason: String) { refuse(.dismissed(reason)) }
}

extension Refusal {
    fileprivate static let noToken = Refusal(.noToken)

    fileprivate static let noRoom = Refusal(
        .noRoom, "This instance has no room for more of this network. Try again.")

    fileprivate static let stops = Refusal(.stopping)

    fileprivate static func dismissed(_ reason: String) -> Refusal {
        Refusal(.noRoom, "No room: \(reason).")
    }

    fileprivate static func tooManyRequests(_ most: Int) -> Refusal {
        Refusal(.tooManyRequests, "\(most) requests of this device are under way. Wait for one of them.")
    }

    fileprivate static func bodyTooLarge(_ most: Int) -> Refusal {
        Refusal(
            .bodyTooLarge,
            "The body has more than \(most) bytes. Leave earlier messages out: the server knows them.")
    }

    fileprivate static func noSuchModel(_ name: String, _ names: [String]) -> Refusal {
        Refusal(
            .modelNotFound,
            "There is no agent of this name for this device. Agents: \(names.joined(separator: ", ")).")
    }
}

extension GatewayContext {
    /// The agent of that name, for a message; `nil` for whoever answers the device's channel.
    fileprivate func agent(named name: String?, of device: PairedDevice) throws(Refusal) -> String? {
        guard let name else { return nil }
        let names = sessions.agentNames(for: device)
        if names.contains(name) { return name }
        if name == ChatCompletionRequest.defaultModel { return nil }
        throw .noSuchModel(name, [ChatCompletionRequest.defaultModel] + names)
    }
}
