import CGoClawChannel
import Logging
import PairingCore
import Synchronization

/// What a plugin reaches through the host table it was given.
final class HostContext: Sendable {
    static let maximumCloseReasonBytes = 120

    let services: ChannelServices
    let calls: PluginCalls
    private let sessions = LiveSessions()

    init(services: ChannelServices, limits: ChannelCallLimits) {
        self.services = services
        calls = PluginCalls(services: services, limits: limits) { [sessions] in sessions.find($0) }
    }

    var sessionCount: Int { sessions.count }

    /// Makes the plugin able to name the session.
    func add(_ session: ChannelSession) { sessions.add(session) }

    /// Makes the session unknown to the plugin.
    func remove(_ session: ChannelSession) { sessions.remove(session) }

    fileprivate func session(_ id: UInt64) -> ChannelSession? { sessions.find(id) }

    /// The plugin broke a rule on this thread.
    fileprivate func misbehaved(_ what: String) {
        services.misbehaved(what, serving: calls.senderOnThisThread)
    }

    /// Makes the plugin's host table, which is never freed: it has to live as long as the process.
    func makeTable() -> UnsafePointer<goclaw_host> {
        let table = UnsafeMutablePointer<goclaw_host>.allocate(capacity: 1)
        table.initialize(
            to: goclaw_host(
                size: recordSize(of: goclaw_host.self), abi_major: UInt16(GOCLAW_ABI_MAJOR),
                abi_minor: UInt16(GOCLAW_ABI_MINOR), context: Unmanaged.passRetained(self).toOpaque(),
                get_extension: hostExtension, log: hostLog, clock_ms: hostClock,
                monotonic_ns: hostMonotonic, count: hostCount, gauge: hostGauge,
                close_session: hostCloseSession, answer: hostAnswer))
        return UnsafePointer(table)
    }
}

// The functions of the table.

private func context(_ table: UnsafePointer<goclaw_host>?) -> HostContext? {
    guard let context = table?.pointee.context else { return nil }
    return Unmanaged<HostContext>.fromOpaque(context).takeUnretainedValue()
}

private func hostExtension(table: UnsafePointer<goclaw_host>?, id: goclaw_text) -> UnsafeRawPointer? {
    // This host has no extension yet.
    nil
}

private func hostLog(table: UnsafePointer<goclaw_host>?, severity: Int32, line: goclaw_text) {
    guard let context = context(table) else { return }
    let services = context.services
    guard let bytes = line.bytes else { return context.misbehaved("logged a line of no bytes") }
    let text = cleanDeviceText(
        String(decoding: bytes.prefix(4 * ChannelServices.maximumLineScalars), as: UTF8.self),
        maximumScalars: ChannelServices.maximumLineScalars)
    switch Int(severity) {
    case GOCLAW_LOG_DEBUG: services.log(.debug, text)
    case GOCLAW_LOG_INFO: services.log(.info, text)
    case GOCLAW_LOG_NOTICE: services.log(.notice, text)
    case GOCLAW_LOG_WARNING: services.log(.warning, text)
    case GOCLAW_LOG_ERROR: services.log(.error, text)
    case GOCLAW_LOG_HOST_MISBEHAVING: services.log(.error, "host misbehaving: " + text)
    case GOCLAW_LOG_PLUGIN_MISBEHAVING:
        services.log(.error, "plugin misbehaving: " + text)
        context.misbehaved("says so itself")
    default: context.misbehaved("logged with the unknown severity \(severity)")
    }
}

private func hostClock(table: UnsafePointer<goclaw_host>?) -> Int64 { wallClockMilliseconds() }

private func hostMonotonic(table: UnsafePointer<goclaw_host>?) -> UInt64 { monotonicNanoseconds() }

private func hostCount(
    table: UnsafePointer<goclaw_host>?, name: goclaw_text, amount: UInt64
) -> goclaw_status {
    guard let context = context(table) else { return goclaw_status(GOCLAW_MISPLACED) }
    guard let name = name.copyName() else {
        context.misbehaved("counted under a name that is not [a-z][a-z0-9_]{0,63}")
        return goclaw_status(GOCLAW_INVALID)
    }
    return context.status(of: context.services.numbers.count(name, by: amount), name)
}

private func hostGauge(
    table: UnsafePointer<goclaw_host>?, name: goclaw_text, value: Double
) -> goclaw_status {
    guard let context = context(table) else { return goclaw_status(GOCLAW_MISPLACED) }
    guard let name = name.copyName(), value.isFinite else {
        context.misbehaved(
            "set a gauge to no finite value, or under a name that is not [a-z][a-z0-9_]{0,63}")
        return goclaw_status(GOCLAW_INVALID)
    }
    return context.status(of: context.services.numbers.gauge(name, value), name)
}

extension HostContext {
    fileprivate func status(of outcome: ChannelNumbers.Outcome, _ name: String) -> goclaw_status {
        switch outcome {
        case .taken: return goclaw_status(GOCLAW_OK)
        case .full: return goclaw_status(GOCLAW_EXHAUSTED)
        case .otherKind:
            misbehaved("used the name \(name) for a counter and for a gauge")
            return goclaw_status(GOCLAW_INVALID)
        }
    }
}

private func hostCloseSession(
    table: UnsafePointer<goclaw_host>?, session: UInt64, reason: goclaw_text
) -> goclaw_status {
    guard let context = context(table) else { return goclaw_status(GOCLAW_MISPLACED) }
    guard let reason = reason.copy(atMost: HostContext.maximumCloseReasonBytes) else {
        context.misbehaved("closed a session for a reason that is not UTF-8 of at most 120 bytes")
        return goclaw_status(GOCLAW_INVALID)
    }
    let cleaned = cleanDeviceText(reason, maximumScalars: HostContext.maximumCloseReasonBytes)
    let isTaken = context.session(session)?.requestClose(reason: cleaned) == true
    return goclaw_status(isTaken ? GOCLAW_OK : GOCLAW_GONE)
}

private func hostAnswer(
    table: UnsafePointer<goclaw_host>?, ticket: goclaw_ticket, write: goclaw_writer?,
    user: UnsafeMutableRawPointer?
) -> goclaw_status {
    guard let context = context(table) else { return goclaw_status(GOCLAW_MISPLACED) }
    guard let write else {
        context.misbehaved("answered a ticket without a function")
        return goclaw_status(GOCLAW_INVALID)
    }
    return context.calls.answer(ticket, write: write, user: user)
}

/// The sessions that a plugin can name.
private final class LiveSessions: Sendable {
    private let sessions = Mutex<[UInt64: ChannelSession]>([:])

    var count: Int { sessions.withLock { $0.count } }

    func add(_ session: ChannelSession) { sessions.withLock { $0[session.id] = session } }

    func remove(_ session: ChannelSession) { sessions.withLock { $0[session.id] = nil } }

    func find(_ id: UInt64) -> ChannelSession? { sessions.withLock { $0[id] } }
}
