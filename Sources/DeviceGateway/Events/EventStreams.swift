import Logging
import Metrics
import NIOCore
import NIOHTTP1
import PairingCore
import PairingKernel
import Synchronization

/// `/events`: tells the administrators' pages what happens, while it does. One in each gateway; thread-safe.
///
/// Every stream is fed by the one reader of the event feed that the gateway has anyway. Its session is checked when it
/// begins and every few seconds, and is never renewed by it.
final class EventStreams: Sendable {
    static let path = "/events"

    /// How often sessions are checked.
    private static let checkInterval = Duration.seconds(2)
    /// Checks between two signs of life.
    private static let checksPerHeartbeat = 7
    /// How long streams go on while sessions cannot be checked.
    private static let graceWithoutDatabase = Duration.seconds(10)

    /// What a request for a stream leads to.
    enum Entrance: Sendable {
        case refused(HTTPAnswer)
        case admitted(StreamID)
    }

    private struct Handle: Sendable {
        let stream: NIOLoopBound<EventStream>
        let eventLoop: any EventLoop
    }

    /// What has happened and has not been told yet.
    private struct Inbox {
        var changes: [PairingChange] = []
        /// Whether nothing that is shown has to be so any more.
        var isRestored = false
        var checksSessions = false
        var position: Int64 = 0
    }

    private let kernel: Kernel
    private let logger: Logger
    private let room: Mutex<StreamRoom<Handle>>
    private let inbox = Mutex(Inbox())
    private let wakes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let gauge = Gauge(label: "gateway_event_streams")
    private let refusals = Counter(label: "gateway_event_streams_refused")

    init(kernel: Kernel, most: Int, mostPerAccount: Int, logger: Logger) {
        self.kernel = kernel
        self.logger = logger
        room = Mutex(StreamRoom(most: most, mostPerAccount: mostPerAccount))
    }

    // MARK: Coming and going

    /// Whether the request may be answered with a stream.
    func enter(_ head: HTTPRequestHead) async -> Entrance {
        let origins = kernel.settings.origins
        let hosts = head.headers["host"]
        guard hosts.count == 1, !origins.dialled(host: hosts[0]).isEmpty else {
            return refuse(.misdirectedRequest, origins.hostRefusal(host: hosts.first ?? ""))
        }
        guard kernel.settings.edition == .standard else {
            return refuse(.notFound, "The lite edition has no devices.")
        }
        if let site = head.headers.first(name: "sec-fetch-site"), site != "same-origin" {
            return refuse(
                .forbidden,
                "The header Sec-Fetch-Site says \(quoted(site)): only pages of this server may follow events."
            )
        }
        let scope = CookieScope(host: hosts[0], origins: origins)
        let cookies = Cookies(header: head.headers["cookie"].joined(separator: "; "))
        var session: AdminSession?
        do {
            if let secret = try cookies.value(CookieName.session.wireName(in: scope)) {
                session = try await kernel.accounts.session(secret: secret, renews: false)
            }
        } catch is RepeatedCookie {
            return refuse(
                .badRequest,
                "The session's cookie arrived twice. Delete this site's cookies and sign in again.")
        } catch {
            return refuse(
                .serviceUnavailable,
                "The session can't be checked, as the database does not answer. Try again.")
        }
        guard let session else { return refuse(.unauthorized, "Sign in at /login.") }
        let admission = room.withLock { room in
            let admission = room.admit(session.authority, account: session.username)
            gauge.record(room.count)
            return admission
        }
        switch admission {
        case .admitted(let id): return .admitted(id)
        case .accountFull:
            return refuse(
                .tooManyRequests,
                "So many pages of this account follow events already as may. Close some, or raise gateway.event_streams_per_account."
            )
        case .full:
            return refuse(
                .serviceUnavailable,
                "As many pages follow events here as gateway.event_streams allows. Try again later.")
        case .stopping: return refuse(.serviceUnavailable, "This instance stops. Try again.")
        }
    }

    private func refuse(_ status: HTTPResponseStatus, _ sentence: String) -> Entrance {
        refusals.increment()
        return .refused(HTTPAnswer(status, sentence + "\n", fields: ["Retry-After": "5"]))
    }

    /// The stream has begun. Called on its event loop.
    func attach(_ id: StreamID, _ stream: EventStream, on eventLoop: any EventLoop) {
        let bound = NIOLoopBound(stream, eventLoop: eventLoop)
        guard room.withLock({ $0.attach(id, Handle(stream: bound, eventLoop: eventLoop)) }) else {
            return stream.end(nil)
        }
        Task {
            // Asked after it was attached: what comes later than this is sent.
            let position = (try? await kernel.feed.newestPosition()) ?? inbox.withLock { $0.position }
            let pending = await pendingCount() ?? 0
            let text = EventText.ready(
                position: position, pending: pending, retryAfter: .milliseconds(.random(in: 1000...4000)))
            eventLoop.execute { bound.value.send(ByteBuffer(string: text)) }
        }
    }

    /// The stream's connection is gone.
    func leave(_ id: StreamID) {
        room.withLock { room in
            room.leave(id)
            gauge.record(room.count)
        }
    }

    // MARK: Telling

    /// What the feed brings. Called by its one reader; never blocks.
    func happened(_ changes: [PairingChange]) {
        inbox.withLock { inbox in
            inbox.position = changes.last?.position ?? 0
            if changes.isEmpty { (inbox.isRestored, inbox.checksSessions) = (true, true) }
            for change in changes {
                if change.event == EventName.databaseRestored.rawValue { inbox.isRestored = true }
                if change.event.hasPrefix("pairing.") || change.event.hasPrefix("device.") {
                    // More than are told one by one need not be kept.
                    if inbox.changes.count > EventText.mostChanges { inbox.changes.removeFirst() }
                    inbox.changes.append(change)
                } else {
                    inbox.checksSessions = true
                }
            }
        }
        wakes.continuation.yield()
    }

    /// Tells what happens, and ends the streams of sessions that ended, until its task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    self.wakes.continuation.yield()
                    try? await Task.sleep(for: Self.checkInterval)
                }
                self.wakes.continuation.finish()
            }
            var checkedAt: ContinuousClock.Instant?
            var checks = 0
            var awaySince: ContinuousClock.Instant?
            for await _ in wakes.stream {
                let (changes, isRestored, isDue) = inbox.withLock { inbox in
                    defer { (inbox.changes, inbox.isRestored, inbox.checksSessions) = ([], false, false) }
                    return (inbox.changes, inbox.isRestored, inbox.checksSessions)
                }
                if room.withLock({ $0.count }) == 0 { continue }
                if isRestored {
                    broadcast(EventText.missed)
                } else if !changes.isEmpty {
                    broadcast(EventText.changes(changes, pending: await pendingCount()))
                }
                let now = ContinuousClock.now
                guard isDue || checkedAt.map({ now - $0 >= Self.checkInterval * 0.9 }) ?? true else {
                    continue
                }
                checkedAt = now
                await checkSessions(&awaySince, now: now)
                checks += 1
                if checks % Self.checksPerHeartbeat == 0 { broadcast(EventText.heartbeat) }
            }
            group.cancelAll()
        }
    }

    private func checkSessions(_ awaySince: inout ContinuousClock.Instant?, now: ContinuousClock.Instant)
        async
    {
        do throws(Refusal) {
            // Whoever comes meanwhile has been checked by coming.
            let checked = room.withLock { $0.authorities }
            let live = try await kernel.accounts.holding(among: Array(checked))
            let ended = room.withLock { room in
                let ended = room.removeAll(of: checked.subtracting(live))
                gauge.record(room.count)
                return ended
            }
            end(ended, EventText.ended)
            if awaySince != nil {
                awaySince = nil
                broadcast(EventText.back)
            }
        } catch {
            if Task.isCancelled { return }
            guard let since = awaySince else {
                awaySince = now
                return broadcast(EventText.away)
            }
            guard now - since >= Self.graceWithoutDatabase else { return }
            let streams = room.withLock { room in
                let streams = room.removeAll(of: room.authorities)
                gauge.record(room.count)
                return streams
            }
            logger.warning(
                "Sessions can't be checked: the streams of events end",
                metadata: ["streams": "\(streams.count)"])
            end(streams, nil)
        }
    }

    /// Ends every stream, and admits no more. Each comes back to another instance when its browser has waited a little.
    func stop() {
        end(room.withLock { $0.stop() }, nil)
        gauge.record(0)
    }

    /// How many requests wait, for whoever follows.
    private func pendingCount() async -> Int? {
        guard let authority = room.withLock({ $0.authorities.first }) else { return nil }
        return try? await kernel.administration.counts(by: authority).pending
    }

    private func broadcast(_ text: String) {
        let bytes = ByteBuffer(string: text)
        each(room.withLock { $0.streams }) { $0.send(bytes) }
    }

    private func end(_ streams: [Handle], _ text: String?) {
        each(streams) { $0.end(text) }
    }

    private func each(
        _ streams: [Handle], _ body: @escaping @Sendable (EventStream) -> Void
    ) {
        for (_, streams) in Dictionary(grouping: streams, by: { ObjectIdentifier($0.eventLoop) }) {
            streams[0].eventLoop.execute { for handle in streams { body(handle.stream.value) } }
        }
    }
}
