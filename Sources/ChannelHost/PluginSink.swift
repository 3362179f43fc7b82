import CGoClawChannel
import Glibc
import PairingCore
import Synchronization

/// A sink: where one call at a time puts its results.
///
/// A sink is never freed, so that a plugin that keeps one past its call reaches memory that is still a sink,
/// which refuses it; between calls it waits in ``SinkPool``.
///
/// `@unchecked Sendable`: `table` is written once, in `init`, and never freed; the rest is behind a lock.
final class PluginSink: @unchecked Sendable {
    /// The call the sink stands for at the moment.
    private struct Open {
        let kind: CallKind
        let thread: pthread_t
        let services: ChannelServices
        /// The device whose session the call serves.
        let sender: SenderID?
        /// Where a ticket is to be had.
        let call: PluginCall?
        /// Finds a live session by its ID, in a call that may name any.
        let findSession: (@Sendable (UInt64) -> ChannelSession?)?
        var output = CallOutput()

        var isOnItsThread: Bool { pthread_equal(thread, pthread_self()) != 0 }

        mutating func put(_ item: SinkItem, _ take: (inout CallOutput) -> Taken) -> goclaw_status {
            guard isOnItsThread, item.kinds.contains(kind) else {
                misbehaved(
                    "put a \(item.name) into the sink of \(kind.rawValue), where none belongs, or from "
                        + "another thread")
                return goclaw_status(GOCLAW_MISPLACED)
            }
            switch take(&output) {
            case .taken: return goclaw_status(GOCLAW_OK)
            case .broken(let rule):
                refuse(item, "put a \(item.name) into the sink of \(kind.rawValue) that \(rule)")
                return goclaw_status(GOCLAW_INVALID)
            case .full:
                refuse(item, "put too much into the sink of \(kind.rawValue)")
                return goclaw_status(GOCLAW_EXHAUSTED)
            }
        }

        private mutating func refuse(_ item: SinkItem, _ what: String) {
            misbehaved(what)
            output.isIncomplete = output.isIncomplete || item.isData
            if !item.isReason { output.brokenRule = what }
        }

        private func misbehaved(_ what: String) { services.misbehaved(what, serving: sender) }
    }

    let table: UnsafePointer<goclaw_sink>
    private let open = Mutex<Open?>(nil)

    init() {
        let table = UnsafeMutablePointer<goclaw_sink>.allocate(capacity: 1)
        self.table = UnsafePointer(table)
        table.initialize(
            to: goclaw_sink(
                size: recordSize(of: goclaw_sink.self), abi_major: UInt16(GOCLAW_ABI_MAJOR),
                abi_minor: UInt16(GOCLAW_ABI_MINOR), context: Unmanaged.passRetained(self).toOpaque(),
                description: sinkDescription, limits: sinkLimits, detail: sinkDetail,
                message: sinkMessage, frame: sinkFrame, reason: sinkReason, later: sinkLater,
                ephemeral: sinkEphemeral, frame_to: sinkFrameTo, receipt: sinkReceipt,
                background: sinkBackground, silence: sinkSilence))
    }

    /// Opens the sink for a call on this thread.
    func begin(
        _ kind: CallKind, services: ChannelServices, serving sender: SenderID? = nil, call: PluginCall?,
        findSession: (@Sendable (UInt64) -> ChannelSession?)? = nil
    ) {
        open.withLock {
            $0 = Open(
                kind: kind, thread: pthread_self(), services: services, sender: sender, call: call,
                findSession: findSession)
        }
    }

    /// Closes the sink.
    ///
    /// - Returns: what the call put into it.
    func end() -> CallOutput {
        open.withLock { open in
            defer { open = nil }
            return open?.output ?? CallOutput()
        }
    }

    /// Puts something in, where this call and this thread may.
    func put(_ item: SinkItem, _ take: (inout CallOutput) -> Taken) -> goclaw_status {
        open.withLock { $0?.put(item, take) } ?? goclaw_status(GOCLAW_MISPLACED)
    }

    /// Whether so many bytes fit beside what the call has put in.
    fileprivate func hasRoom(for bytes: Int) -> Bool {
        open.withLock { open in
            guard let open, open.isOnItsThread else { return true }
            return open.output.itemBytes == 0 || open.output.itemBytes + bytes <= CallOutput.maximumItemBytes
        }
    }

    /// Puts a frame in for a session of the plugin's choice.
    fileprivate func put(
        _ item: SinkItem, to session: UInt64, _ take: (inout CallOutput, ChannelSession) -> Taken
    ) -> goclaw_status {
        open.withLock { open in
            guard var call = open else { return goclaw_status(GOCLAW_MISPLACED) }
            defer { open = call }
            guard call.isOnItsThread, item.kinds.contains(call.kind) else {
                return call.put(item) { _ in .taken }
            }
            guard let target = call.findSession?(session) else { return goclaw_status(GOCLAW_GONE) }
            guard target.takesFrames else { return goclaw_status(GOCLAW_UNAVAILABLE) }
            guard call.output.emissions.count < CallOutput.maximumEmissions else {
                return goclaw_status(GOCLAW_EXHAUSTED)
            }
            return call.put(item) { take(&$0, target) }
        }
    }

    /// Takes a ticket, or the one the call has taken before.
    ///
    /// - Returns: 0 where there is none to be had.
    fileprivate func later() -> goclaw_ticket {
        open.withLock { open in
            guard let call = open?.call, open?.isOnItsThread == true,
                [.review, .receive, .deliver].contains(call.kind)
            else { return 0 }
            if open?.output.ticket == nil { open?.output.ticket = call.openTicket() }
            return call.number
        }
    }
}

/// Something that a plugin puts into a sink.
struct SinkItem {
    let name: String
    /// The calls it belongs into.
    let kinds: [CallKind]
    /// Whether a call that could not put it in must not count as a success.
    var isData = false
    /// Whether it says why a call is refused, which is a refusal with or without it.
    var isReason = false

    static let description = SinkItem(name: "description", kinds: [.describe])
    static let limits = SinkItem(name: "limits record", kinds: [.create])
    static let detail = SinkItem(name: "detail", kinds: [.review])
    static let message = SinkItem(name: "message", kinds: [.receive], isData: true)
    static let frame = SinkItem(
        name: "frame", kinds: [.sessionOpened, .receive, .deliver], isData: true)
    static let ephemeral = SinkItem(name: "mark of an ephemeral message", kinds: [.receive], isData: true)
    static let emission = SinkItem(name: "frame for a session", kinds: [.tick], isData: true)
    static let reason = SinkItem(
        name: "reason", kinds: [.describe, .create, .review, .sessionOpened, .receive, .deliver, .tick],
        isReason: true)
}

/// What became of something that a plugin put into a sink.
enum Taken {
    case taken
    case broken(rule: String)
    case full
}

/// The sinks of one channel that no call uses at the moment.
final class SinkPool: Sendable {
    private let free = Mutex<[PluginSink]>([])

    /// Takes a sink out, or makes one.
    func take() -> PluginSink { free.withLock { $0.popLast() } ?? PluginSink() }

    /// Puts a sink back.
    func put(_ sink: PluginSink) { free.withLock { $0.append(sink) } }
}

// The functions of the table.

func pluginSink(_ table: UnsafePointer<goclaw_sink>?) -> PluginSink? {
    guard let context = table?.pointee.context else { return nil }
    return Unmanaged<PluginSink>.fromOpaque(context).takeUnretainedValue()
}

let misplaced = goclaw_status(GOCLAW_MISPLACED)

private func sinkDescription(
    table: UnsafePointer<goclaw_sink>?, record: UnsafePointer<goclaw_description>?
) -> goclaw_status {
    pluginSink(table)?.put(.description) { output in
        guard let record = read(record), let id = record.id.copy(atMost: 1024),
            let displayName = record.display_name.copy(atMost: 1024),
            let version = record.version.copy(atMost: 1024)
        else { return .broken(rule: "is no record of UTF-8 texts of at most 1,024 bytes") }
        do throws(DeclarationProblem) {
            output.identity = .init(
                id: id, displayName: cleanDeviceText(displayName, maximumScalars: 64), version: version,
                declarations: try ChannelDeclarations(record))
        } catch {
            return .broken(rule: error.rule)
        }
        return .taken
    } ?? misplaced
}

private func sinkLimits(
    table: UnsafePointer<goclaw_sink>?, record: UnsafePointer<goclaw_limits>?
) -> goclaw_status {
    pluginSink(table)?.put(.limits) { output in
        guard let record = read(record) else { return .broken(rule: "is not aligned, or null") }
        guard let limits = ChannelLimits(record) else {
            return .broken(rule: "has a rate that is not a number, or times beyond a year")
        }
        output.limits = limits
        return .taken
    } ?? misplaced
}

private func sinkDetail(
    table: UnsafePointer<goclaw_sink>?, label: goclaw_text, value: goclaw_text
) -> goclaw_status {
    pluginSink(table)?.put(.detail) { output in
        guard output.details.count < CallOutput.maximumDetails else { return .full }
        guard let label = label.copy(atMost: 64 * 1024), let value = value.copy(atMost: 64 * 1024) else {
            return .broken(rule: "is not UTF-8 of at most 64 KiB")
        }
        output.details.append(
            Detail(
                label: cleanDeviceText(label, maximumScalars: CallOutput.maximumLabelScalars),
                value: cleanDeviceText(value, maximumScalars: CallOutput.maximumValueScalars)))
        return .taken
    } ?? misplaced
}

private func sinkMessage(
    table: UnsafePointer<goclaw_sink>?, record: UnsafePointer<goclaw_agent_message>?
) -> goclaw_status {
    pluginSink(table)?.put(.message) { output in
        guard output.output.messages.count < CallOutput.maximumItems else { return .full }
        guard !output.output.isEphemeral else { return .broken(rule: "comes of an ephemeral message") }
        guard let record = read(record), let id = record.id.copy(atMost: 256),
            let agent = record.agent.copy(atMost: 256), let bytes = record.body.bytes
        else { return .broken(rule: "is no record of UTF-8 texts, ID and agent of at most 256 bytes") }
        guard output.itemBytes + bytes.count <= CallOutput.maximumItemBytes else { return .full }
        guard JSONText.isValue(bytes) else { return .broken(rule: "is not JSON") }
        output.itemBytes += bytes.count
        let flags = Int(record.flags)
        output.output.messages.append(
            ChannelAgentMessage(
                id: id, agent: agent, body: String(decoding: bytes, as: UTF8.self),
                part: flags & GOCLAW_MESSAGE_PART == 0
                    ? nil : .init(index: record.part, isLast: flags & GOCLAW_MESSAGE_LAST != 0)))
        return .taken
    } ?? misplaced
}

private func sinkFrame(
    table: UnsafePointer<goclaw_sink>?, record: UnsafePointer<goclaw_frame>?
) -> goclaw_status {
    pluginSink(table)?.put(.frame) { output in
        guard output.output.frames.count < CallOutput.maximumItems else { return .full }
        return take(record, &output) { $0.output.frames.append($1) }
    } ?? misplaced
}

private func sinkFrameTo(
    table: UnsafePointer<goclaw_sink>?, session: UInt64, record: UnsafePointer<goclaw_frame>?
) -> goclaw_status {
    // No rule is broken by what does not fit any more.
    if let bytes = read(record)?.payload.len, let sink = pluginSink(table), !sink.hasRoom(for: bytes) {
        return goclaw_status(GOCLAW_EXHAUSTED)
    }
    return pluginSink(table)?.put(.emission, to: session) { output, session in
        take(record, &output) { $0.emissions.append(.init(session: session, frame: $1)) }
    } ?? misplaced
}

private func sinkEphemeral(table: UnsafePointer<goclaw_sink>?) -> goclaw_status {
    pluginSink(table)?.put(.ephemeral) { output in
        guard output.output.messages.isEmpty, output.output.receipts.isEmpty else {
            return .broken(rule: "has become a message for an agent")
        }
        output.output.isEphemeral = true
        return .taken
    } ?? misplaced
}

/// Takes a frame that keeps the rules.
private func take(
    _ record: UnsafePointer<goclaw_frame>?, _ output: inout CallOutput,
    _ put: (inout CallOutput, ChannelFrame) -> Void
) -> Taken {
    guard let record = read(record), let event = record.event.copyName(dots: true),
        let bytes = record.payload.bytes
    else { return .broken(rule: "is no record, or has an event that is not [a-z][a-z0-9._]{0,63}") }
    // A device must not take a channel's word for the server's.
    guard event != "shutdown", !event.hasPrefix("connect."), !event.hasPrefix("device.") else {
        return .broken(rule: "has an event of the host's: shutdown, connect.… or device.…")
    }
    guard output.itemBytes + bytes.count <= CallOutput.maximumItemBytes else { return .full }
    guard JSONText.isObject(bytes) else { return .broken(rule: "is not a JSON object") }
    output.itemBytes += bytes.count
    put(&output, ChannelFrame(event: event, payload: String(decoding: bytes, as: UTF8.self)))
    return .taken
}

private func sinkReason(
    table: UnsafePointer<goclaw_sink>?, code: goclaw_text, message: goclaw_text
) -> goclaw_status {
    pluginSink(table)?.put(.reason) { output in
        // What a device sent may stand in it, however long: it is cut, not held against the channel.
        guard let code = code.copyName(), let message = message.copy(cutTo: 64 * 1024) else {
            return .broken(rule: "is not UTF-8, or has a code that is not [a-z][a-z0-9_]{0,63}")
        }
        output.reasonCode = code
        output.reasonMessage = cleanDeviceText(message, maximumScalars: CallOutput.maximumReasonScalars)
        return .taken
    } ?? misplaced
}

private func sinkLater(table: UnsafePointer<goclaw_sink>?) -> goclaw_ticket {
    pluginSink(table)?.later() ?? 0
}

extension ChannelLimits {
    /// - Returns: `nil` where a value makes no sense.
    fileprivate init?(_ record: goclaw_limits) {
        let year: UInt64 = 366 * 86_400_000
        let rate = record.messages_per_second
        guard rate.isFinite, rate >= 0, record.heartbeat_ms <= year, record.silence_ms <= year,
            record.pairing_lifetime_ms <= year, record.tick_ms <= year
        else { return nil }
        func milliseconds(_ count: UInt64) -> Duration? { count == 0 ? nil : .milliseconds(Int64(count)) }
        self.init()
        requiresKey = Int(record.flags) & GOCLAW_LIMITS_KEY_REQUIRED != 0
        maximumMessageBytes = record.max_message_bytes == 0 ? nil : Int(record.max_message_bytes)
        messagesPerSecond = rate == 0 ? nil : rate
        burst = messagesPerSecond.map { record.burst == 0 ? Self.burst(ofRate: $0) : Int(record.burst) }
        heartbeat = milliseconds(record.heartbeat_ms)
        silence = milliseconds(record.silence_ms)
        pairingLifetime = milliseconds(record.pairing_lifetime_ms)
        tick = milliseconds(record.tick_ms)
    }
}
