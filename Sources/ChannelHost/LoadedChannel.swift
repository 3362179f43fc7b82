import CGoClawChannel
import Dispatch
import PairingCore
import Synchronization

/// A channel that is in use: its plugin, its threads, its sessions.
final class LoadedChannel: Sendable {
    /// Takes how a call came out; called once, at once or later on any thread; it must not block.
    typealias Completion<Value> = @Sendable (Result<Value, Refusal>) -> Void

    private struct Tick {
        var next: UInt64
        var isRunning = false
    }

    let description: ChannelDescription
    private let plugin: Plugin
    private let host: HostContext
    private let tick: Mutex<Tick>
    /// What is left of the declared rate to each device; `nil` where none is declared.
    private let rates: Mutex<KeyedTokenBuckets?>
    /// Devices whose rate is remembered one by one: more than one process has connected that have just sent.
    private static let maximumRates = 65_536

    /// Starts the channel's threads.
    init(description: ChannelDescription, plugin: Plugin, host: HostContext) throws(Untrusted) {
        self.description = description
        self.plugin = plugin
        self.host = host
        let interval = UInt64(description.limits.tick?.milliseconds ?? 0)
        tick = Mutex(Tick(next: monotonicNanoseconds() + interval * 1_000_000))
        rates = Mutex(
            description.limits.messagesPerSecond.map {
                // The floor keeps the time to wait for a message a number of milliseconds.
                KeyedTokenBuckets(
                    perSecond: max($0, 1e-6), burst: Double(description.limits.burst ?? 1),
                    capacity: Self.maximumRates, now: monotonicTime())
            })
        try host.calls.start()
    }

    var hasNoThreadLeft: Bool { host.calls.hasNoThreadLeft }

    var status: ChannelStatus {
        ChannelStatus(
            id: description.id, outOfService: host.calls.outOfService, isStuck: hasNoThreadLeft,
            overdueCalls: host.calls.overdue, waitingCalls: host.calls.waiting, sessions: host.sessionCount,
            misbehaviours: host.services.misbehaviours, values: host.services.numbers.values)
    }

    func review(_ claim: ChannelClaim) async throws(Refusal) -> ChannelReview {
        guard claim.hasKey || description.limits.allowsToken else {
            throw Refusal(
                .keyRequired,
                "Devices of the channel \(name) need a key: send publicKey and proof instead of a device token."
            )
        }
        guard claim.metadata.isEmpty || isJSONObject(claim.metadata) else {
            throw Refusal(.invalidMetadata)
        }
        return try await waiting { completion in
            call(.review, body: { [plugin] in plugin.review(claim, $0) }) { result in
                completion(result.map { ChannelReview(details: $0.details) })
            }
        }
    }

    func open(
        _ opening: ChannelSessionOpening, onFrame: @escaping @Sendable (ChannelFrame) -> Void,
        onCloseRequest: @escaping @Sendable (String) -> Void
    ) async throws(Refusal) -> (ChannelSession, [ChannelFrame]) {
        let session = ChannelSession(opening, onFrame: onFrame, onCloseRequest: onCloseRequest)
        host.add(session)
        guard plugin.table.session_opened != nil else {
            session.move(to: .open)
            return (session, [])
        }
        do throws(Refusal) {
            let output = try await waiting { completion in
                call(
                    .sessionOpened, session: session,
                    body: { [plugin] sink in
                        // Nobody waits for a session that was closed before.
                        guard session.beginOpening() else { return goclaw_status(GOCLAW_GONE) }
                        let status = plugin.opened(session, sink)
                        session.move(to: status == goclaw_status(GOCLAW_OK) ? .open : .apart)
                        return status
                    }, completion: completion)
            }
            session.keep(silencePeriods: output.silence)
            return (session, output.output.frames)
        } catch {
            // The plugin may yet accept the session, when nobody waits for that any more.
            close(session, reason: "not opened in time")
            throw error
        }
    }

    func close(_ session: ChannelSession, reason: String) {
        guard let phase = session.markClosed() else { return }
        guard plugin.table.session_closed != nil, phase != .apart else { return host.remove(session) }
        let reason = cleanDeviceText(reason, maximumScalars: HostContext.maximumCloseReasonBytes)
        let taken = host.calls.submit(
            .sessionClosed, session: session, always: true,
            body: { [plugin] _ in
                if session.phase == .open { plugin.closed(session, reason: reason) }
                return goclaw_status(GOCLAW_OK)
            }, completion: { [host] _ in host.remove(session) })
        if !taken { host.remove(session) }
    }

    func receive(
        _ message: ChannelDeviceMessage, in session: ChannelSession,
        completion: @escaping Completion<ChannelOutput>
    ) {
        if let refusal = refusal(of: message, in: session) { return completion(.failure(refusal)) }
        guard plugin.table.receive != nil else {
            return completion(.success(ChannelOutput(messages: [ChannelAgentMessage(body: message.body)])))
        }
        call(
            .receive, session: session, body: { [plugin] in plugin.receive(message, in: session, $0) },
            completion: { completion($0.map(\.output)) })
    }

    func deliver(
        _ message: ChannelAgentMessage, in session: ChannelSession,
        completion: @escaping Completion<[ChannelFrame]>
    ) {
        guard plugin.table.deliver != nil else {
            return completion(.success([ChannelFrame(message: message)]))
        }
        call(
            .deliver, session: session, body: { [plugin] in plugin.deliver(message, in: session, $0) },
            completion: { completion($0.map(\.output.frames)) })
    }

    /// Answers what is out of time, and ticks where it is time to; called every few hundredths of a second.
    func sweep(at now: UInt64) {
        host.calls.sweep(at: now)
        guard let interval = description.limits.tick, plugin.table.tick != nil,
            host.calls.outOfService == nil
        else { return }
        let isDue = tick.withLock { tick in
            guard now >= tick.next, !tick.isRunning else { return false }
            tick.next = now + UInt64(interval.milliseconds) * 1_000_000
            tick.isRunning = true
            return true
        }
        guard isDue else { return }
        let taken = host.calls.submit(
            .tick,
            body: { [plugin, weak self] sink in
                defer { self?.tick.withLock { $0.isRunning = false } }
                return plugin.tick(sink)
            },
            completion: { [weak self] result in
                guard case .ended(let ending) = result, let self,
                    case .success(let output) = outcome(of: ending, in: .tick, serving: nil)
                else { return }
                for emission in output.emissions { emission.session.emit(emission.frame) }
            })
        if !taken { tick.withLock { $0.isRunning = false } }
    }

    /// Ends the threads and, where all of them end in time, the instance.
    func stop(within limit: DispatchTimeInterval) {
        guard host.calls.stop(within: limit) else { return }
        let ended = DispatchSemaphore(value: 0)
        // On a thread of its own: one that never comes back must not keep the process from ending.
        let started: Void? = try? startThread(named: "channel-\(name)-end") { [plugin] in
            plugin.destroy()
            ended.signal()
        }
        if started != nil, ended.wait(timeout: .now() + limit) == .timedOut {
            host.services.misbehaved("did not come back from destroy")
        }
    }

    private var name: String { description.id.text }

    /// Why a message does not reach the plugin: the limits it declared.
    private func refusal(of message: ChannelDeviceMessage, in session: ChannelSession) -> Refusal? {
        let count = message.body.utf8.count
        if let maximum = description.limits.maximumMessageBytes, count > maximum {
            return Refusal(
                .messageTooLarge,
                "The message has \(count) bytes; the channel \(name) takes up to \(maximum).")
        }
        guard let perSecond = description.limits.messagesPerSecond else { return nil }
        let sender = session.opening.senderID.key
        return rates.withLock { $0?.take(sender, now: monotonicTime()) }.map { wait in
            Refusal(
                .tooManyMessages,
                "The channel \(name) takes \(perSecond) messages a second of a device; wait and send this one again.",
                retryAfter: min(max(wait, .milliseconds(1)), .seconds(3600)))
        }
    }

    /// Calls the plugin on the channel's threads; what comes out is the plugin's refusal, or one for its fault.
    private func call(
        _ kind: CallKind, session: ChannelSession? = nil,
        body: @escaping @Sendable (UnsafePointer<goclaw_sink>) -> goclaw_status,
        completion: @escaping Completion<CallOutput>
    ) {
        if let why = host.calls.outOfService {
            return completion(
                .failure(
                    Refusal(
                        .channelOutOfService,
                        "The channel \(name) is out of service: \(why). Try again later.")))
        }
        let sender = session?.opening.senderID
        if let pause = sender.flatMap(host.services.pause(of:)) {
            return completion(.failure(failingHere(for: pause)))
        }
        let taken = host.calls.submit(kind, session: session, body: body) { [self] result in
            switch result {
            case .withheld(let pause):
                completion(.failure(failingHere(for: pause)))
            case .timedOut:
                completion(
                    .failure(
                        Refusal(
                            .channelTimeout, "The channel \(name) did not answer in time. Try again later."))
                )
            case .ended(let ending):
                completion(outcome(of: ending, in: kind, serving: sender))
            }
        }
        if !taken {
            completion(
                .failure(
                    Refusal(
                        .channelBusy, "The channel \(name) has too much to do at the moment. Try again later."
                    )))
        }
    }

    private func failingHere(for pause: Duration) -> Refusal {
        Refusal(
            .channelFailingHere,
            "The channel \(name) failed too often on this device's messages; the server's log says more. "
                + "Try again later.", retryAfter: pause)
    }

    private func outcome(
        of ending: CallEnding, in kind: CallKind, serving sender: SenderID?
    ) -> Result<CallOutput, Refusal> {
        let output = ending.output
        let code = output.reasonCode ?? "channel_refused"
        let message = output.reasonMessage ?? "The channel \(name) refuses this without saying why."
        // A plugin that hands on what a sink answered refuses nothing: the fault is its own, and what the call was
        // about is not to be lost by it.
        let isOwnFault = output.isIncomplete || (output.brokenRule != nil && output.reasonCode == nil)
        switch Int(ending.status) {
        case GOCLAW_OK where !output.isIncomplete: return .success(output)
        case GOCLAW_INVALID where isOwnFault, GOCLAW_FORBIDDEN where isOwnFault,
            GOCLAW_UNAVAILABLE where isOwnFault:
            break
        case GOCLAW_INVALID: return .failure(Refusal(.invalidRequest, code, message))
        case GOCLAW_FORBIDDEN: return .failure(Refusal(.forbidden, code, message))
        case GOCLAW_UNAVAILABLE: return .failure(.channelUnavailable(code, message))
        default: break
        }
        host.services.misbehaved(
            isOwnFault
                ? "returned status \(ending.status) from \(kind.rawValue) without having put everything into the "
                    + "sink: \(output.brokenRule ?? "one answer had more than a call may have")"
                : "returned status \(ending.status) from \(kind.rawValue)",
            serving: sender)
        return .failure(
            Refusal(
                .channelFailed,
                "The channel \(name) failed to handle this; the server's log says more. Try again later."))
    }
}

/// Waits for a completion.
func waiting<Value: Sendable>(
    _ start: (@escaping LoadedChannel.Completion<Value>) -> Void
) async throws(Refusal) -> Value {
    try await withCheckedContinuation { continuation in
        start { continuation.resume(returning: $0) }
    }.get()
}

extension Refusal {
    fileprivate static func channelUnavailable(_ reason: String, _ message: String) -> Refusal {
        Refusal(
            .unavailable, reason, message.hasSuffix(".") ? message + " Try again later." : message,
            retryable: true, retryAfter: .seconds(5))
    }
}

private func monotonicTime() -> Duration { .nanoseconds(Int64(clamping: monotonicNanoseconds())) }

private func isJSONObject(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { JSONText.isObject(UnsafeRawBufferPointer($0)) }
}
