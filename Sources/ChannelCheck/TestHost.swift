import CGoClawChannel
import Glibc
import Synchronization

/// The host of the plugin under test: it takes what the plugin says and remembers what breaks a rule.
///
/// `@unchecked Sendable`: `table` is written once, in `init`, and never freed; the rest is behind locks.
final class TestHost: @unchecked Sendable {
    private struct State {
        var rules: [String] = []
        var warnings: [String] = []
        var lastLine: String?
        var names: Set<String> = []
        var sessions: Set<UInt64> = []
        /// Whether an instance of this host is meant to be called at the moment.
        var isExpected = true
    }

    static let maximumNames = 64

    let tickets = Tickets()
    let table: UnsafePointer<goclaw_host>
    private let state = Mutex(State())

    /// - Parameter isNewer: whether it has the form of a newer host's, with functions behind those of today.
    init(isNewer: Bool = false) {
        let size = MemoryLayout<goclaw_host>.size
        let behind = isNewer ? 64 : 0
        let memory = lendForGood(size + behind)
        for offset in size..<(size + behind) { memory[offset] = 0xFF }
        // A region ends at a page's end and a table's size is a multiple of its alignment.
        guard let table = memory.baseAddress?.bindMemory(to: goclaw_host.self, capacity: 1) else {
            preconditionFailure("a region has a start")
        }
        self.table = UnsafePointer(table)
        table.initialize(
            to: goclaw_host(
                size: UInt32(size + behind), abi_major: UInt16(GOCLAW_ABI_MAJOR),
                abi_minor: UInt16(GOCLAW_ABI_MINOR) + (isNewer ? 1 : 0),
                context: Unmanaged.passRetained(self).toOpaque(),
                get_extension: hostExtension, log: hostLog, clock_ms: hostClock, monotonic_ns: hostMonotonic,
                count: hostCount, gauge: hostGauge, close_session: hostCloseSession, answer: hostAnswer))
    }

    /// The plugin broke a rule.
    func broke(_ rule: String) {
        state.withLock { state in
            if state.rules.count < 32, !state.rules.contains(rule) { state.rules.append(rule) }
        }
    }

    /// Something to look at.
    func warn(_ warning: String) {
        state.withLock { state in
            if state.warnings.count < 32, !state.warnings.contains(warning) { state.warnings.append(warning) }
        }
    }

    /// Takes out what was remembered.
    func takeFindings() -> (rules: [String], warnings: [String]) {
        state.withLock { state in
            defer { (state.rules, state.warnings) = ([], []) }
            return (state.rules, state.warnings)
        }
    }

    /// The last line that the plugin logged.
    var lastLine: String? { state.withLock { $0.lastLine } }

    func expect(_ isExpected: Bool) { state.withLock { $0.isExpected = isExpected } }

    func add(session: UInt64) { state.withLock { _ = $0.sessions.insert(session) } }

    func remove(session: UInt64) { state.withLock { _ = $0.sessions.remove(session) } }

    func knows(session: UInt64) -> Bool { state.withLock { $0.sessions.contains(session) } }

    fileprivate func logged(_ line: String) { state.withLock { $0.lastLine = String(line.prefix(300)) } }

    /// - Returns: `false` where there are too many names.
    fileprivate func keep(name: String) -> Bool {
        state.withLock { state in
            if state.names.contains(name) { return true }
            guard state.names.count < Self.maximumNames else { return false }
            state.names.insert(name)
            return true
        }
    }

    fileprivate func wasCalled(_ function: String) {
        guard !state.withLock({ $0.isExpected }) else { return }
        broke(
            "It called \(function) of one host in a call into an instance of another host: keep to the host "
                + "that create was given.")
    }
}

// The functions of the table.

private func host(_ table: UnsafePointer<goclaw_host>?, _ function: String) -> TestHost? {
    guard let context = table?.pointee.context else { return nil }
    let host = Unmanaged<TestHost>.fromOpaque(context).takeUnretainedValue()
    host.wasCalled(function)
    return host
}

private func hostExtension(table: UnsafePointer<goclaw_host>?, id: goclaw_text) -> UnsafeRawPointer? {
    if let host = host(table, "get_extension"), copy(id) == nil {
        host.broke("It asked for an extension by an ID that is not UTF-8.")
    }
    return nil
}

private func hostLog(table: UnsafePointer<goclaw_host>?, severity: Int32, line: goclaw_text) {
    guard let host = host(table, "log") else { return }
    guard let line = copy(line) else { return host.broke("It logged a line that is not UTF-8.") }
    host.logged(line)
    switch Int(severity) {
    case GOCLAW_LOG_DEBUG...GOCLAW_LOG_ERROR: break
    case GOCLAW_LOG_HOST_MISBEHAVING:
        host.warn("It logged that the host misbehaves: \(line)")
    case GOCLAW_LOG_PLUGIN_MISBEHAVING:
        host.broke("It logged that it misbehaves itself: \(line)")
    default: host.broke("It logged with the unknown severity \(severity).")
    }
}

private func hostClock(table: UnsafePointer<goclaw_host>?) -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}

private func hostMonotonic(table: UnsafePointer<goclaw_host>?) -> UInt64 { monotonicNanoseconds() }

private func hostCount(
    table: UnsafePointer<goclaw_host>?, name: goclaw_text, amount: UInt64
) -> goclaw_status { keepValue(host(table, "count"), "counter", name, isFinite: true) }

private func hostGauge(
    table: UnsafePointer<goclaw_host>?, name: goclaw_text, value: Double
) -> goclaw_status { keepValue(host(table, "gauge"), "gauge", name, isFinite: value.isFinite) }

private func keepValue(_ host: TestHost?, _ what: String, _ name: goclaw_text, isFinite: Bool)
    -> goclaw_status
{
    guard let host else { return goclaw_status(GOCLAW_MISPLACED) }
    guard let name = copy(name), isName(name) else {
        host.broke("It has a \(what) whose name is not [a-z][a-z0-9_]{0,63}.")
        return goclaw_status(GOCLAW_INVALID)
    }
    guard isFinite else {
        host.broke("It set the gauge \(name) to a value that is not finite.")
        return goclaw_status(GOCLAW_INVALID)
    }
    guard host.keep(name: name) else {
        host.warn("It has more than \(TestHost.maximumNames) counters and gauges; a host keeps no more.")
        return goclaw_status(GOCLAW_EXHAUSTED)
    }
    return goclaw_status(GOCLAW_OK)
}

private func hostCloseSession(
    table: UnsafePointer<goclaw_host>?, session: UInt64, reason: goclaw_text
) -> goclaw_status {
    guard let host = host(table, "close_session") else { return goclaw_status(GOCLAW_MISPLACED) }
    guard let reason = copy(reason), reason.utf8.count <= 120 else {
        host.broke("It closed a session for a reason that is not UTF-8 of at most 120 bytes.")
        return goclaw_status(GOCLAW_INVALID)
    }
    return goclaw_status(host.knows(session: session) ? GOCLAW_OK : GOCLAW_GONE)
}

private func hostAnswer(
    table: UnsafePointer<goclaw_host>?, ticket: goclaw_ticket, write: goclaw_writer?,
    user: UnsafeMutableRawPointer?
) -> goclaw_status {
    guard let host = host(table, "answer") else { return goclaw_status(GOCLAW_MISPLACED) }
    guard let write else {
        host.broke("It answered a ticket without a function.")
        return goclaw_status(GOCLAW_INVALID)
    }
    switch host.tickets.use(ticket) {
    case .open(let call):
        let sink = AnswerSinks.take()
        sink.begin(call, host: host, hasTicket: false)
        let status = write(user, sink.table)
        host.tickets.answer(ticket, Reply(status: status, output: sink.end()))
        AnswerSinks.giveBack(sink)
        return goclaw_status(GOCLAW_OK)
    case .used:
        host.warn("It answered a ticket twice; the second answer got GOCLAW_GONE, and a host counts it.")
    case .void: break
    case .unknown:
        host.warn("It answered a ticket that it was never given; the answer got GOCLAW_GONE.")
    }
    return goclaw_status(GOCLAW_GONE)
}

/// The sinks for answers, which are used again so that answering leaves nothing behind.
private enum AnswerSinks {
    private static let free = Mutex<[TestSink]>([])

    static func take() -> TestSink { free.withLock { $0.popLast() } ?? TestSink() }

    static func giveBack(_ sink: TestSink) { free.withLock { $0.append(sink) } }
}
