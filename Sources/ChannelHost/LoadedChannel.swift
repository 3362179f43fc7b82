import CGoClawChannel
import Dispatch
import PairingCore
import Synchronization

/// A channel that is in use: its plugin, its threads, its sessions.
final class LoadedChannel: Sendable {
    let description: ChannelDescription
    private let plugin: Plugin
    private let host: HostContext

    private struct Tick {
        var next: UInt64 = 0
        var isRunning = false
    }

    private let tick = Mutex(Tick())

    /// Starts the channel's threads.
    init(description: ChannelDescription, plugin: Plugin, host: HostContext) throws(Untrusted) {
        self.description = description
        self.plugin = plugin
        self.host = host
        try host.calls.start()
    }

    var status: ChannelStatus {
        ChannelStatus(
            id: description.id, outOfService: host.calls.outOfService, overdueCalls: host.calls.overdue,
            waitingCalls: host.calls.waiting, sessions: host.sessionCount,
            misbehaviours: host.services.misbehaviours, values: host.services.values)
    }

    var hasNoThreadLeft: Bool { host.calls.hasNoThreadLeft }

    func review(_ claim: ChannelClaim) async throws(Refusal) -> ChannelReview {
        guard claim.hasKey || description.limits.allowsToken else {
            throw Refusal(
                .invalidRequest, "key_required",
                "Devices of the channel \(name) need a key: send publicKey and proof instead of a device token."
            )
        }
        guard claim.metadata.isEmpty || isJSONObject(claim.metadata) else {
            throw Refusal(.invalidRequest, "invalid_metadata", "The metadata must be a JSON object.")
        }
        let output = try await call(.review) { [plugin] sink in
            withTexts(claim.senderID.text, claim.displayName) { senderID, displayName in
                withText(claim.metadata) { metadata in
                    var record = goclaw_claim(
                        size: recordSize(of: goclaw_claim.self), credential: credential(hasKey: claim.hasKey),
                        sender_id: senderID, display_name: displayName, metadata: metadata)
                    return plugin.table.review(plugin.instance, &record, sink)
                }
            }
        }
        return ChannelReview(details: output.details)
    }

    func open(
        _ opening: ChannelSessionOpening, onCloseRequest: @escaping @Sendable (String) -> Void
    ) async throws(Refusal) -> (ChannelSession, [ChannelFrame]) {
        let limits = description.limits
        let bucket = limits.messagesPerSecond.map {
            TokenBucket(
                perSecond: $0, burst: limits.burst ?? max(1, Int($0.rounded(.up))),
                now: monotonicNanoseconds())
        }
        let session = ChannelSession(opening, bucket: bucket, onCloseRequest: onCloseRequest)
        host.add(session)
        guard let function = plugin.table.session_opened else {
            session.markOpened()
            return (session, [])
        }
        do throws(Refusal) {
            let output = try await call(.sessionOpened, session: session) { [plugin] sink in
                let status = session.lend { function(plugin.instance, $0, sink) }
                if status == goclaw_status(GOCLAW_OK) { session.markOpened() }
                return status
            }
            return (session, output.output.frames)
        } catch {
            // The plugin may yet accept the session, when nobody waits for that any more.
            close(session, reason: "not opened in time")
            throw error
        }
    }

    func close(_ session: ChannelSession, reason: String) {
        guard session.markClosed() else { return }
        guard let function = plugin.table.session_closed else { return host.remove(session) }
        let reason = cleanDeviceText(reason, maximumScalars: HostContext.maximumCloseReasonBytes)
        let taken = host.calls.submit(
            .sessionClosed, session: session, always: true,
            body: { [plugin] _ in
                if session.wasOpened {
                    session.lend { session in withText(reason) { function(plugin.instance, session, $0) } }
                }
                return goclaw_status(GOCLAW_OK)
            }, completion: { [host] _ in host.remove(session) })
        if !taken { host.remove(session) }
    }

    func receive(
        _ message: ChannelDeviceMessage, in session: ChannelSession
    ) async throws(Refusal) -> ChannelOutput {
        try admit(message, in: session)
        guard let function = plugin.table.receive else {
            return ChannelOutput(messages: [ChannelAgentMessage(body: message.body)])
        }
        return try await call(.receive, session: session) { [plugin] sink in
            withTexts(message.id, message.body) { id, body in
                var record = goclaw_device_message(
                    size: recordSize(of: goclaw_device_message.self), flags: 0, number: message.number,
                    received_ms: message.receivedAt.milliseconds, id: id, body: body)
                return session.lend { function(plugin.instance, $0, &record, sink) }
            }
        }.output
    }

    func deliver(
        _ message: ChannelAgentMessage, in session: ChannelSession
    ) async throws(Refusal) -> [ChannelFrame] {
        guard let function = plugin.table.deliver else { return [ChannelFrame(message: message)] }
        return try await call(.deliver, session: session) { [plugin] sink in
            withTexts(message.id, message.agent) { id, agent in
                withText(message.body) { body in
                    var record = goclaw_agent_message(
                        size: recordSize(of: goclaw_agent_message.self), flags: message.part.flags,
                        number: message.number, id: id, agent: agent, body: body,
                        part: message.part?.index ?? 0, reserved: 0)
                    return session.lend { function(plugin.instance, $0, &record, sink) }
                }
            }
        }.output.frames
    }

    /// Answers what is out of time, and ticks where it is time to; called every few hundredths of a second.
    func sweep(at now: UInt64) {
        host.calls.sweep(at: now)
        guard let interval = description.limits.tick, let function = plugin.table.tick else { return }
        let isDue = tick.withLock { tick in
            guard now >= tick.next, !tick.isRunning else { return false }
            tick.isRunning = tick.next > 0
            tick.next = now + UInt64(interval.milliseconds) * 1_000_000
            return tick.isRunning
        }
        guard isDue, host.calls.outOfService == nil else { return tick.withLock { $0.isRunning = false } }
        let taken = host.calls.submit(
            .tick,
            body: { [plugin, weak self] sink in
                defer { self?.tick.withLock { $0.isRunning = false } }
                return function(plugin.instance, wallClockMilliseconds(), sink)
            }, completion: { _ in })
        if !taken { tick.withLock { $0.isRunning = false } }
    }

    /// Ends the threads and, where all of them end in time, the instance.
    func stop(within limit: DispatchTimeInterval) {
        if host.calls.stop(within: limit) { plugin.destroy() }
    }

    private var name: String { description.id.text }

    private func admit(_ message: ChannelDeviceMessage, in session: ChannelSession) throws(Refusal) {
        if let maximum = description.limits.maximumMessageBytes, message.body.utf8.count > maximum {
            throw Refusal(
                .invalidRequest, "message_too_large",
                "The message has \(message.body.utf8.count) bytes; the channel \(name) takes up to \(maximum)."
            )
        }
        if let wait = session.admitMessage() {
            throw Refusal(
                .resourceExhausted, "too_many_messages",
                "The channel \(name) takes fewer messages a second; wait and send this one again.",
                retryable: true, retryAfter: max(wait, .milliseconds(1)))
        }
    }

    /// Calls the plugin on the channel's threads.
    ///
    /// - Throws: the plugin's refusal, or one for the fault it has.
    private func call(
        _ kind: CallKind, session: ChannelSession? = nil,
        body: @escaping @Sendable (UnsafePointer<goclaw_sink>) -> goclaw_status
    ) async throws(Refusal) -> CallOutput {
        if let why = host.calls.outOfService {
            throw .channelUnavailable(
                "channel_out_of_service", "The channel \(name) is out of service: \(why).")
        }
        let result = await withCheckedContinuation { continuation in
            let taken = host.calls.submit(kind, session: session, body: body) { result in
                continuation.resume(returning: Optional(result))
            }
            if !taken { continuation.resume(returning: nil) }
        }
        switch result {
        case nil:
            throw .channelUnavailable("channel_busy", "The channel \(name) has too much to do at the moment.")
        case .timedOut:
            throw .channelUnavailable("channel_timeout", "The channel \(name) did not answer in time.")
        case .ended(let ending):
            return try success(of: ending, in: kind)
        }
    }

    private func success(of ending: CallEnding, in kind: CallKind) throws(Refusal) -> CallOutput {
        let output = ending.output
        let code = output.reasonCode ?? "channel_refused"
        let message = output.reasonMessage ?? "The channel \(name) refuses this without saying why."
        switch Int(ending.status) {
        case GOCLAW_OK where !output.isIncomplete: return output
        case GOCLAW_INVALID: throw Refusal(.invalidRequest, code, message)
        case GOCLAW_FORBIDDEN: throw Refusal(.forbidden, code, message)
        case GOCLAW_UNAVAILABLE: throw .channelUnavailable(code, message)
        default:
            host.services.misbehaved(
                output.isIncomplete
                    ? "returned from \(kind.rawValue) without having put everything into the sink"
                    : "returned status \(ending.status) from \(kind.rawValue)")
            throw .channelUnavailable(
                "channel_failed", "The channel \(name) failed to handle this; the server's log says more.")
        }
    }
}

extension Refusal {
    fileprivate static func channelUnavailable(_ reason: String, _ message: String) -> Refusal {
        Refusal(
            .unavailable, reason, message.hasSuffix(".") ? message + " Try again later." : message,
            retryable: true, retryAfter: .seconds(5))
    }
}

extension ChannelAgentMessage.Part? {
    fileprivate var flags: UInt32 {
        guard let self else { return 0 }
        return UInt32(GOCLAW_MESSAGE_PART | (self.isLast ? GOCLAW_MESSAGE_LAST : 0))
    }
}

private func isJSONObject(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { JSONCheck.isObject(UnsafeRawBufferPointer($0)) }
}
