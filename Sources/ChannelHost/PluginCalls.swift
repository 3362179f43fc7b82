import CGoClawChannel
import Dispatch
import Glibc
import Logging
import PairingCore
import Synchronization

/// Runs the calls into one plugin on the channel's threads, and answers the callers in time, whatever the
/// plugin does.
final class PluginCalls: Sendable {
    private struct State {
        /// Calls that have not ended, by their numbers.
        var open: [UInt64: PluginCall] = [:]
        var lastNumber: UInt64 = 0
        /// Calls that still occupy a thread though their callers have given up.
        var overdue = 0
    }

    let services: ChannelServices
    private let limits: ChannelCallLimits
    private let threads: ChannelThreads
    private let sinks = SinkPool()
    private let findSession: @Sendable (UInt64) -> ChannelSession?
    private let state = Mutex(State())
    /// The devices whose sessions the plugin is serving at the moment, by the threads it does that on.
    private let served = Mutex<[pthread_t: SenderID]>([:])

    /// - Parameter findSession: finds a session that the plugin knows by its ID.
    init(
        services: ChannelServices, limits: ChannelCallLimits,
        findSession: @escaping @Sendable (UInt64) -> ChannelSession?
    ) {
        self.findSession = findSession
        self.services = services
        self.limits = limits
        threads = ChannelThreads(count: limits.threads, capacity: limits.waiting)
    }

    /// Starts the threads.
    func start() throws(Untrusted) {
        try threads.start(name: "channel-\(services.name)") { [self] call in run(call) }
    }

    /// Lets the threads end once nothing waits.
    ///
    /// - Returns: whether all ended in that time.
    func stop(within limit: DispatchTimeInterval) -> Bool { threads.stop(within: limit) }

    var overdue: Int { state.withLock { $0.overdue } }
    var waiting: Int { threads.waiting }

    /// The device whose session the plugin is serving on this thread.
    var senderOnThisThread: SenderID? { served.withLock { $0[pthread_self()] } }

    /// Whether every thread is occupied by a call whose caller has given up.
    var hasNoThreadLeft: Bool { overdue >= limits.threads }

    /// Why calls are refused at the moment without asking the plugin.
    var outOfService: String? {
        if hasNoThreadLeft {
            return "all of its \(limits.threads) threads are occupied by calls that have not returned: "
                + "\(overdueCalls); the limit is \(limits.call.milliseconds) ms, beyond which a call takes a ticket "
                + "(goclaw_sink.later)"
        }
        if services.isOutOfFavour {
            return "it broke the interface's rules \(limits.misbehaviours) times in this minute"
        }
        return nil
    }

    /// The calls that occupy threads though their callers have given up, and for how long, the longest first: such
    /// as `receive for 12 s, deliver for 7 s`.
    private var overdueCalls: String {
        let now = monotonicNanoseconds()
        return state.withLock { Array($0.open.values) }
            .compactMap { call in call.overdueTime(at: now).map { (call.kind.rawValue, $0) } }
            .sorted { $0.1 > $1.1 }
            .map { "\($0.0) for \(seconds($0.1))" }
            .joined(separator: ", ")
    }

    /// Hands a call to the channel's threads.
    ///
    /// - Parameters:
    ///   - always: whether it is taken however many wait.
    ///   - completion: called once, on any thread, and only where this returns `true`; it must not block.
    /// - Returns: `false` where too many calls wait.
    func submit(
        _ kind: CallKind, session: ChannelSession? = nil, always: Bool = false,
        body: @escaping @Sendable (UnsafePointer<goclaw_sink>) -> goclaw_status,
        completion: @escaping @Sendable (PluginCall.CallResult) -> Void
    ) -> Bool {
        let now = monotonicNanoseconds()
        let call = state.withLock { state in
            state.lastNumber += 1
            let call = PluginCall(
                number: state.lastNumber, kind, session: session, deadline: now + nanoseconds(limits.call),
                ticketDeadline: now + nanoseconds(limits.ticket), body: body, completion: completion)
            state.open[call.number] = call
            return call
        }
        guard threads.add(call, always: always) else {
            state.withLock { $0.open[call.number] = nil }
            return false
        }
        return true
    }

    /// Runs a call on one of the channel's threads.
    private func run(_ call: PluginCall) {
        guard call.begin() else { return close(call, onItsThread: true) }
        // It may have failed on this device's messages while this one waited.
        if call.kind != .sessionClosed, let pause = call.sender.flatMap(services.pause(of:)) {
            let (_, wasOverdue) = call.returned(CallEnding(status: gone, output: CallOutput()))
            if wasOverdue { state.withLock { $0.overdue -= 1 } }
            call.complete(.withheld(pause))
            return close(call, onItsThread: true)
        }
        let sink = sinks.take()
        sink.begin(
            call.kind, services: services, serving: call.sender, call: call,
            findSession: call.kind == .tick ? findSession : nil)
        let status = serving(call.sender) { call.body(sink.table) }
        let (ending, wasOverdue) = call.returned(CallEnding(status: status, output: sink.end()))
        sinks.put(sink)
        if wasOverdue {
            state.withLock { $0.overdue -= 1 }
            let time = seconds(call.runningTime(at: monotonicNanoseconds()))
            services.log(
                .warning,
                "\(call.kind.rawValue) returned after \(time), when nobody waited for it any more: the limit is "
                    + "\(limits.call.milliseconds) ms, and slow work takes a ticket (goclaw_sink.later)")
        }
        if let ending { end(call, ending, onItsThread: true) }
    }

    /// Answers the call of a ticket, on the plugin's thread.
    func answer(_ ticket: UInt64, write: goclaw_writer, user: UnsafeMutableRawPointer?) -> goclaw_status {
        let call = state.withLock { $0.open[ticket] }
        guard let call, call.useTicket() else {
            services.misbehaved(
                "answered a ticket that is not open: answered before, or too late",
                serving: call?.sender ?? senderOnThisThread)
            return gone
        }
        let sink = sinks.take()
        sink.begin(call.kind, services: services, serving: call.sender, call: nil)
        let status = serving(call.sender) { write(user, sink.table) }
        let ending = CallEnding(status: status, output: sink.end())
        sinks.put(sink)
        if let whole = call.answered(ending) { end(call, whole) }
        return goclaw_status(GOCLAW_OK)
    }

    /// Answers the callers whose time is up; called every few hundredths of a second.
    func sweep(at now: UInt64) {
        let open = state.withLock { Array($0.open.values) }
        for call in open {
            let (lapse, completion) = call.lapse(at: now)
            // Last: whoever is told that the time is up finds the channel as it is then.
            defer { completion?(.timedOut) }
            switch lapse {
            case .none: continue
            case .waiting: services.log(.warning, "no thread for \(call.kind.rawValue) in time")
            case .running:
                state.withLock { $0.overdue += 1 }
                services.misbehaved(
                    "did not return from \(call.kind.rawValue) within \(limits.call.milliseconds) ms; slow work takes "
                        + "a ticket (goclaw_sink.later)",
                    serving: call.sender)
            case .parked:
                services.misbehaved(
                    "did not answer the ticket of \(call.kind.rawValue) within \(limits.ticket.milliseconds) ms",
                    serving: call.sender)
                close(call)
            }
        }
    }

    /// Runs the plugin's code for a device on this thread; what it does to the host's table meanwhile is for
    /// that device.
    private func serving(_ sender: SenderID?, _ body: () -> goclaw_status) -> goclaw_status {
        guard let sender else { return body() }
        let thread = pthread_self()
        let before = served.withLock { $0.updateValue(sender, forKey: thread) }
        defer { served.withLock { $0[thread] = before } }
        return body()
    }

    /// The plugin's side of a call has ended.
    private func end(_ call: PluginCall, _ ending: CallEnding, onItsThread: Bool = false) {
        call.complete(.ended(ending))
        close(call, onItsThread: onItsThread)
    }

    /// Forgets a call and lets the session's next one run.
    ///
    /// - Parameter onItsThread: whether this is the channel's thread that ran it, which looks for another at once.
    private func close(_ call: PluginCall, onItsThread: Bool = false) {
        state.withLock { $0.open[call.number] = nil }
        if let lane = call.lane { threads.leave(lane: lane, takesNext: onItsThread) }
    }
}

private let gone = goclaw_status(GOCLAW_GONE)

/// A time for people: `0.4 s`, `12 s`.
private func seconds(_ nanoseconds: UInt64) -> String {
    let tenths = nanoseconds / 100_000_000
    return tenths < 100 ? "\(tenths / 10).\(tenths % 10) s" : "\(tenths / 10) s"
}

private func nanoseconds(_ duration: Duration) -> UInt64 {
    UInt64(max(0, duration.components.seconds)) * 1_000_000_000
        + UInt64(max(0, duration.components.attoseconds) / 1_000_000_000)
}
