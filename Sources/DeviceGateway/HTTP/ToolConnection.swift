import Metrics
import NIOCore
import NIOHTTP1
import NodesProtocol
import PairingCore
import PairingKernel

/// One request of a program that uses the tools of `/mcp`. Used on its event loop only.
///
/// Its body is not read before its token is known, so that a stranger's costs nothing. A token that is revoked while its
/// call is under way ends that call within seconds.
final class ToolConnection: HTTPExchange {
    private let context: GatewayContext
    private let request: ToolRequest
    private let channel: any Channel
    private let respond: (HTTPAnswer, EventLoopPromise<Void>?) -> Void
    private let handle: ExchangeHandle<ToolConnection>
    private var body = ByteBuffer()
    private var isBodyWhole = false
    private var authority: Authority?
    private var work: Task<Void, Never>?
    private var watch: Task<Void, Never>?
    private var isOver = false

    /// - Parameter respond: writes an answer in one piece, and ends the connection.
    init(
        _ request: ToolRequest, context: GatewayContext, channel: any Channel,
        respond: @escaping (HTTPAnswer, EventLoopPromise<Void>?) -> Void
    ) {
        self.request = request
        self.context = context
        self.channel = channel
        self.respond = respond
        handle = ExchangeHandle(id: context.nextSocketID(), eventLoop: channel.eventLoop)
    }

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
        guard let token = request.token else { return refuse(.noAPIToken) }
        Task { [context, handle, request] in
            let result: Result<Authority, Refusal>
            do throws(Refusal) {
                let authority = try await context.kernel.accounts.authenticate(
                    token: token, from: request.address)
                do throws(Refusal) { try authority.require(.send) } catch {
                    await context.kernel.accounts.note(
                        error, of: ToolRequest.path, from: request.address, by: authority)
                    throw error
                }
                result = .success(authority)
            } catch {
                result = .failure(error)
            }
            handle.perform { $0.authenticated(result) }
        }
    }

    private func authenticated(_ result: Result<Authority, Refusal>) {
        guard !isOver else { return }
        switch result {
        case .failure(let refusal): refuse(refusal)
        case .success(let authority):
            guard context.withAdmission({ [id = handle.id] in $0.authenticate(id) }) else {
                return refuse(.noRoom)
            }
            let most = context.facts.settings.httpRequestsPerDevice
            guard context.enter(Self.key(authority), handle.id, most: most) else {
                return refuse(.tooManyCalls(most))
            }
            self.authority = authority
            if let wait = context.payToolCall(
                Self.key(authority), now: channel.eventLoop.now.sinceStart)
            {
                return refuse(.tooOften(wait))
            }
            channel.setOption(.autoRead, value: true).whenFailure { _ in }
            channel.read()
            workIfReady()
        }
    }

    func received(body part: ByteBuffer) {
        guard !isOver, !isBodyWhole else { return }
        let most = context.facts.settings.maximumHTTPBody
        guard body.readableBytes + part.readableBytes <= most else { return refuse(.callTooLarge(most)) }
        body.writeImmutableBuffer(part)
    }

    func bodyEnded() {
        isBodyWhole = true
        workIfReady()
    }

    private func workIfReady() {
        guard let authority, isBodyWhole, !isOver, work == nil else { return }
        context.metrics.requests.increment()
        let calls = ToolCalls(context: context, authority: authority, address: request.address) { [context] in
            context.payToolCall(Self.key(authority), now: NIODeadline.now().sinceStart)
        }
        let body = body
        self.body = ByteBuffer()
        work = Task { [handle, version = request.version] in
            let answer = await calls.answer(Array(body.readableBytesView), version)
            handle.perform { $0.respondOnce(answer) }
        }
        // Asked, as the end of a token is no event that wakes anybody: a second is soon enough for a call that may last a
        // minute, and few are under way.
        watch = Task { [context, handle] in
            while (try? await Task.sleep(for: .seconds(1))) != nil {
                let held = try? await context.kernel.accounts.holding(among: [authority])
                if let held, !held.contains(authority) {
                    return handle.perform { $0.refuse(.tokenEnded) }
                }
            }
        }
    }

    private func refuse(_ refusal: Refusal) {
        context.metrics.refusal(refusal)
        respondOnce(HTTPRefusal(tools: refusal).answer)
    }

    private func respondOnce(_ answer: HTTPAnswer) {
        guard !isOver else { return }
        finish()
        // So that the end of the connection is noticed.
        channel.setOption(.autoRead, value: true).whenFailure { _ in }
        respond(answer, nil)
    }

    private func finish() {
        isOver = true
        work?.cancel()
        watch?.cancel()
    }

    /// What counts a token's requests.
    private static func key(_ authority: Authority) -> String { "token \(authority.actor.name)" }

    // MARK: Connection

    var isBeingRead: Bool { work == nil }

    func writabilityChanged() {}

    func swept(now: NIODeadline) {}

    func stop() { refuse(.stopsCalls) }

    func gone() {
        finish()
        handle.attach(nil)
        context.withAdmission { [id = handle.id] in $0.gone(id) }
        if let authority { context.leave(Self.key(authority), handle.id) }
    }

    func dismiss(_ reason: String) { refuse(.noRoom) }
}

extension Refusal {
    fileprivate static let noAPIToken = Refusal(
        .noToken, "Expected Authorization: Bearer and an API token with the scope \"send\".")

    fileprivate static let tokenEnded = Refusal(
        .invalidToken, "This API token was revoked or has expired while the call was under way.")

    fileprivate static let noRoom = Refusal(
        .noRoom, "This instance has no room for more of this network. Try again.", retryable: true,
        retryAfter: .seconds(1))

    fileprivate static let stopsCalls = Refusal(
        .stopping, "The server is stopping. Try again.", retryable: true, retryAfter: .seconds(1))

    fileprivate static func tooManyCalls(_ most: Int) -> Refusal {
        Refusal(
            .tooManyRequests, "\(most) requests of this token are under way. Wait for one of them.",
            retryable: true, retryAfter: .seconds(1))
    }

    fileprivate static func tooOften(_ wait: Duration) -> Refusal {
        Refusal(.tooOften, retryAfter: wait)
    }

    fileprivate static func callTooLarge(_ most: Int) -> Refusal {
        Refusal(.bodyTooLarge, "The body has more than \(most) bytes.")
    }
}
