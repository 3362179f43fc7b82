import CGoClawChannel
import ChannelHost
import Glibc
import PairingCore
import Synchronization

/// A sink that holds the plugin to the header's rules. It is never freed, so that one that is used after its
/// call is found out.
///
/// `@unchecked Sendable`: `table` is written once, in `init`, and never freed; the rest is behind a lock.
final class TestSink: @unchecked Sendable {
    private struct Open {
        let call: Call
        let thread: pthread_t
        let host: TestHost
        /// Whether a ticket is to be had.
        let hasTicket: Bool
        var output = Output()
    }

    /// What became of something that was put in.
    enum Taken {
        case taken
        case broken(String)
        case full(String)
    }

    let table: UnsafePointer<goclaw_sink>
    private let open = Mutex<Open?>(nil)
    /// Whom to tell of a use after the call, and which call that was.
    private let last = Mutex<(TestHost, Call)?>(nil)

    /// - Parameter isNewer: whether it has the form of a newer host's, with functions behind those of today.
    init(isNewer: Bool = false) {
        let size = MemoryLayout<goclaw_sink>.size
        let behind = isNewer ? 64 : 0
        let memory = lendForGood(size + behind)
        for offset in size..<(size + behind) { memory[offset] = 0xFF }
        // A region ends at a page's end and a table's size is a multiple of its alignment.
        guard let table = memory.baseAddress?.bindMemory(to: goclaw_sink.self, capacity: 1) else {
            preconditionFailure("a region has a start")
        }
        self.table = UnsafePointer(table)
        table.initialize(
            to: goclaw_sink(
                size: UInt32(size + behind), abi_major: UInt16(GOCLAW_ABI_MAJOR),
                abi_minor: UInt16(GOCLAW_ABI_MINOR) + (isNewer ? 1 : 0),
                context: Unmanaged.passRetained(self).toOpaque(),
                description: sinkDescription, limits: sinkLimits, detail: sinkDetail, message: sinkMessage,
                frame: sinkFrame, reason: sinkReason, later: sinkLater, ephemeral: sinkEphemeral,
                frame_to: sinkFrameTo, receipt: sinkReceipt, background: sinkBackground,
                silence: sinkSilence))
    }

    /// Opens the sink for a call on this thread.
    func begin(_ call: Call, host: TestHost, hasTicket: Bool) {
        last.withLock { $0 = (host, call) }
        open.withLock { $0 = Open(call: call, thread: pthread_self(), host: host, hasTicket: hasTicket) }
    }

    /// Closes the sink.
    ///
    /// - Returns: what the call put into it.
    func end() -> Output {
        open.withLock { open in
            defer { open = nil }
            return open?.output ?? Output()
        }
    }

    func put(
        _ what: String, into calls: [Call], _ take: (inout Output) -> Taken
    ) -> goclaw_status {
        let answer = open.withLock { open -> (goclaw_status, String?, TestHost)? in
            guard let state = open else { return nil }
            let name = state.call.rawValue
            guard pthread_equal(state.thread, pthread_self()) != 0 else {
                return (
                    goclaw_status(GOCLAW_MISPLACED),
                    "It put a \(what) into the sink of \(name) from another thread than the call's.",
                    state.host
                )
            }
            guard calls.contains(state.call) else {
                return (
                    goclaw_status(GOCLAW_MISPLACED),
                    "It put a \(what) into the sink of \(name); it belongs into "
                        + "\(calls.map(\.rawValue).joined(separator: ", ")).", state.host
                )
            }
            var output = state.output
            let taken = take(&output)
            open?.output = output
            return switch taken {
            case .taken: (goclaw_status(GOCLAW_OK), nil, state.host)
            case .broken(let rule):
                (
                    goclaw_status(GOCLAW_INVALID), "It put a \(what) into the sink of \(name) that \(rule).",
                    state.host
                )
            case .full(let bound):
                (goclaw_status(GOCLAW_EXHAUSTED), "It put \(bound) into the sink of \(name).", state.host)
            }
        }
        guard let (status, rule, host) = answer else {
            complainOfLateness(what)
            return goclaw_status(GOCLAW_MISPLACED)
        }
        if let rule { host.broke(rule) }
        return status
    }

    /// Whether it stands for that call at the moment.
    fileprivate func isOpen(for call: Call) -> Bool { open.withLock { $0?.call == call } }

    /// Whether that session of its host is open.
    fileprivate func knows(session: UInt64) -> Bool {
        open.withLock { $0?.host }?.knows(session: session) ?? false
    }

    fileprivate func later() -> goclaw_ticket {
        let calls: [Call] = [.review, .receive, .deliver]
        guard let state = open.withLock({ $0 }) else {
            complainOfLateness("ticket's request")
            return 0
        }
        guard pthread_equal(state.thread, pthread_self()) != 0 else {
            state.host.broke("It asked the sink of \(state.call.rawValue) for a ticket from another thread.")
            return 0
        }
        guard state.hasTicket, calls.contains(state.call) else {
            state.host.broke("It asked for a ticket where none is to be had, in \(state.call.rawValue).")
            return 0
        }
        if let ticket = state.output.ticket { return ticket }
        let ticket = state.host.tickets.open(state.call)
        open.withLock { $0?.output.ticket = ticket }
        return ticket
    }

    private func complainOfLateness(_ what: String) {
        guard let (host, call) = last.withLock({ $0 }) else { return }
        host.broke("It used the sink of \(call.rawValue) (for a \(what)) after that call had returned.")
    }
}

// The functions of the table.

func testSink(_ table: UnsafePointer<goclaw_sink>?) -> TestSink? {
    guard let context = table?.pointee.context else { return nil }
    return Unmanaged<TestSink>.fromOpaque(context).takeUnretainedValue()
}

let misplaced = goclaw_status(GOCLAW_MISPLACED)

private func sinkDescription(
    table: UnsafePointer<goclaw_sink>?, record: UnsafePointer<goclaw_description>?
) -> goclaw_status {
    testSink(table)?.put("description", into: [.describe]) { output in
        output.descriptions += 1
        if let problem = problem(with: record) { return .broken(problem) }
        guard let record = record.flatMap(wholeDescription) else { return .broken("is null") }
        guard let id = copy(record.id), let name = copy(record.display_name),
            let version = copy(record.version)
        else { return .broken("has a text that is not UTF-8, or null with a length") }
        if record.flags & ~UInt32(GOCLAW_DESCRIPTION_TYPING) != 0 {
            return .broken("has flags \(record.flags), of which some have no name")
        }
        if let problem = withUnsafePointer(to: record, { ChannelDeclarations.problem(inDescriptionAt: $0) }) {
            return .broken(problem)
        }
        output.identity = CheckedIdentity(id: id, displayName: name, version: version, abi: "")
        return .taken
    } ?? misplaced
}

private func sinkLimits(
    table: UnsafePointer<goclaw_sink>?, record: UnsafePointer<goclaw_limits>?
) -> goclaw_status {
    testSink(table)?.put("limits record", into: [.create]) { output in
        output.limitsRecords += 1
        if let problem = problem(with: record) { return .broken(problem) }
        guard let record = record?.pointee else { return .broken("is null") }
        let limits = PluginLimits(
            flags: record.flags, maximumMessageBytes: record.max_message_bytes, burst: record.burst,
            messagesPerSecond: record.messages_per_second, heartbeat: record.heartbeat_ms,
            silence: record.silence_ms, pairingLifetime: record.pairing_lifetime_ms, tick: record.tick_ms)
        output.limits = limits
        return limits.problem.map { .broken($0) } ?? .taken
    } ?? misplaced
}

private func sinkDetail(
    table: UnsafePointer<goclaw_sink>?, label: goclaw_text, value: goclaw_text
) -> goclaw_status {
    testSink(table)?.put("detail", into: [.review]) { output in
        guard output.details.count < CallOutput.maximumDetails else {
            return .full("more than \(CallOutput.maximumDetails) details")
        }
        guard let label = copy(label), let value = copy(value) else {
            return .broken("is not UTF-8, or null with a length")
        }
        guard label.utf8.count <= 65_536, value.utf8.count <= 65_536 else {
            return .broken("is longer than 64 KiB")
        }
        output.details.append(.init(label: label, value: value))
        return .taken
    } ?? misplaced
}

private func sinkMessage(
    table: UnsafePointer<goclaw_sink>?, record: UnsafePointer<goclaw_agent_message>?
) -> goclaw_status {
    testSink(table)?.put("message", into: [.receive]) { output in
        guard !output.isEphemeral else {
            return .broken("comes of an ephemeral message, which no agent hears of")
        }
        guard output.messages.count < CallOutput.maximumItems else {
            return .full("more than \(CallOutput.maximumItems) messages")
        }
        if let problem = problem(with: record) { return .broken(problem) }
        guard let record = record?.pointee else { return .broken("is null") }
        guard let id = copy(record.id), let agent = copy(record.agent), id.utf8.count <= 256,
            agent.utf8.count <= 256, let body = record.body.bytes
        else { return .broken("has an ID or agent that is not UTF-8 of at most 256 bytes") }
        if record.flags & ~3 != 0 { return .broken("has flags \(record.flags), of which some have no name") }
        if record.reserved != 0 { return .broken("has reserved \(record.reserved), expected zero") }
        guard JSONText.isValue(body) else {
            return .broken("has a body that is no JSON value (UTF-8, no NUL, at most 64 levels deep)")
        }
        output.itemBytes += body.count
        guard output.itemBytes <= CallOutput.maximumItemBytes else { return .full("more than 1 MiB") }
        output.messages.append(
            .init(
                agent: agent, body: String(decoding: body, as: UTF8.self), flags: record.flags,
                part: record.part))
        return .taken
    } ?? misplaced
}

private func sinkFrame(
    table: UnsafePointer<goclaw_sink>?, record: UnsafePointer<goclaw_frame>?
) -> goclaw_status {
    testSink(table)?.put("frame", into: [.sessionOpened, .receive, .deliver]) { output in
        guard output.frames.count < CallOutput.maximumItems else {
            return .full("more than \(CallOutput.maximumItems) frames")
        }
        return take(record, &output)
    } ?? misplaced
}

private func sinkFrameTo(
    table: UnsafePointer<goclaw_sink>?, session: UInt64, record: UnsafePointer<goclaw_frame>?
) -> goclaw_status {
    guard let sink = testSink(table) else { return misplaced }
    if sink.isOpen(for: .tick), !sink.knows(session: session) { return goclaw_status(GOCLAW_GONE) }
    return sink.put("frame for a session", into: [.tick]) { take(record, &$0) }
}

private func sinkEphemeral(table: UnsafePointer<goclaw_sink>?) -> goclaw_status {
    testSink(table)?.put("mark of an ephemeral message", into: [.receive]) { output in
        guard output.messages.isEmpty, !output.hasReceipt else {
            return .broken("comes after a message for an agent, or a receipt")
        }
        output.isEphemeral = true
        return .taken
    } ?? misplaced
}

/// Takes a frame that keeps the rules.
private func take(_ record: UnsafePointer<goclaw_frame>?, _ output: inout Output) -> TestSink.Taken {
    if let problem = problem(with: record) { return .broken(problem) }
    guard let record = record?.pointee else { return .broken("is null") }
    guard let event = copy(record.event), isName(event, dots: true) else {
        return .broken("has an event that is not [a-z][a-z0-9._]{0,63}")
    }
    guard event != "shutdown", !event.hasPrefix("connect."), !event.hasPrefix("device.") else {
        return .broken("has the event \(event), which is the host's")
    }
    if record.flags != 0 { return .broken("has flags \(record.flags), where none has a meaning") }
    guard let payload = record.payload.bytes, JSONText.isObject(payload) else {
        return .broken("has a payload that is no JSON object (UTF-8, no NUL, at most 64 levels deep)")
    }
    output.itemBytes += payload.count
    guard output.itemBytes <= CallOutput.maximumItemBytes else { return .full("more than 1 MiB") }
    output.frames.append(.init(event: event, payload: String(decoding: payload, as: UTF8.self)))
    return .taken
}

private func sinkReason(
    table: UnsafePointer<goclaw_sink>?, code: goclaw_text, message: goclaw_text
) -> goclaw_status {
    testSink(table)?.put(
        "reason", into: [.describe, .create, .review, .sessionOpened, .receive, .deliver, .tick]
    ) { output in
        guard let code = copy(code), isName(code) else {
            return .broken("has a code that is not [a-z][a-z0-9_]{0,63}")
        }
        guard let message = copy(message) else { return .broken("has a message that is not UTF-8") }
        guard message.contains(where: { !$0.isWhitespace }) else { return .broken("has an empty message") }
        guard message.utf8.count <= 65_536 else {
            // Too much was said, not nothing.
            output.reason = .init(code: code, message: String(message.prefix(80)))
            return .broken(
                "has a message of more than 64 KiB, which no host takes, and which a host would cut to 512 "
                    + "characters: quote no more than the beginning of what a device sent")
        }
        output.reason = .init(code: code, message: message)
        return .taken
    } ?? misplaced
}

private func sinkLater(table: UnsafePointer<goclaw_sink>?) -> goclaw_ticket { testSink(table)?.later() ?? 0 }

/// The size of a description of ABI 1.0.
private let firstDescriptionSize = UInt32(
    // A member of an imported C struct is stored, so it has an offset.
    MemoryLayout<goclaw_description>.offset(of: \.batch_messages) ?? MemoryLayout<goclaw_description>.size)

/// A description no further than it says it is long, the rest being zero.
private func wholeDescription(_ record: UnsafePointer<goclaw_description>) -> goclaw_description {
    var whole = goclaw_description()
    let size = min(Int(record.pointee.size), MemoryLayout<goclaw_description>.size)
    withUnsafeMutableBytes(of: &whole) {
        $0.copyMemory(from: UnsafeRawBufferPointer(start: record, count: size))
    }
    whole.size = UInt32(MemoryLayout<goclaw_description>.size)
    return whole
}

/// What is wrong with a record's place and stated size; `nil` where nothing is.
private func problem<Record>(with record: UnsafePointer<Record>?) -> String? {
    guard let record else { return "is null" }
    guard UInt(bitPattern: record) % UInt(MemoryLayout<Record>.alignment) == 0 else {
        return "is not aligned"
    }
    let stated = UnsafeRawPointer(record).load(as: UInt32.self)
    let least =
        Record.self == goclaw_description.self ? firstDescriptionSize : UInt32(MemoryLayout<Record>.size)
    guard stated >= least else {
        return "states a size of \(stated) bytes, expected \(MemoryLayout<Record>.size): set size to sizeof"
    }
    return nil
}

/// A copy of a text of the plugin's.
///
/// - Returns: `nil` where it is not UTF-8, longer than 1 MiB, or null with a length.
func copy(_ text: goclaw_text) -> String? {
    guard let bytes = text.bytes, bytes.count <= 1 << 20 else { return nil }
    return String(validating: bytes, as: UTF8.self)
}

extension goclaw_text {
    /// The bytes, where there are any and they are at least possible.
    var bytes: UnsafeRawBufferPointer? {
        if len == 0 { return UnsafeRawBufferPointer(start: nil, count: 0) }
        // Swift sees a size_t as an Int: what is beyond its range is negative.
        guard let ptr, len > 0 else { return nil }
        return UnsafeRawBufferPointer(start: ptr, count: len)
    }
}

/// Whether a text is `[a-z][a-z0-9_]{0,63}`, with dots too where `dots`.
func isName(_ text: String, dots: Bool = false) -> Bool {
    guard let first = text.utf8.first, ("a"..."z").contains(Character(Unicode.Scalar(first))) else {
        return false
    }
    return text.utf8.count <= 64
        && text.unicodeScalars.allSatisfy {
            ("a"..."z").contains($0) || ("0"..."9").contains($0) || $0 == "_" || (dots && $0 == ".")
        }
}

extension PluginLimits {
    /// What no host could enforce; `nil` where all can be.
    fileprivate var problem: String? {
        let year: UInt64 = 366 * 86_400_000
        if flags & ~1 != 0 { return "has flags \(flags), of which some have no name" }
        if !messagesPerSecond.isFinite || messagesPerSecond < 0 {
            return "has messages_per_second \(messagesPerSecond), expected zero or more"
        }
        let times = [
            ("heartbeat_ms", heartbeat), ("silence_ms", silence), ("pairing_lifetime_ms", pairingLifetime),
            ("tick_ms", tick),
        ]
        for (name, value) in times where value > year {
            return "has \(name) \(value), expected at most a year (\(year))"
        }
        return nil
    }
}
