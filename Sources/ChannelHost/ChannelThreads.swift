import Dispatch
import Synchronization
import Unix

/// The threads of one channel, and the calls that wait for them.
///
/// A call that never returns occupies one of these threads and nothing else.
final class ChannelThreads: Sendable {
    private struct State {
        var queue: CallQueue<PluginCall>
        var idle = 0
        var running = 0
        var isStopped = false
    }

    private let count: Int
    private let state: Mutex<State>
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    init(count: Int, capacity: Int) {
        self.count = count
        state = Mutex(State(queue: CallQueue(capacity: capacity)))
    }

    /// Starts the threads.
    ///
    /// - Throws: ``Untrusted`` where the system grants none.
    func start(name: String, run: @escaping @Sendable (PluginCall) -> Void) throws(Untrusted) {
        for _ in 0..<count {
            try startThread(named: name) { [self] in
                work(run)
                ended.signal()
            }
            state.withLock { $0.running += 1 }
        }
    }

    /// Calls that no thread has taken yet.
    var waiting: Int { state.withLock { $0.queue.count } }

    /// Hands a call to the threads.
    ///
    /// - Returns: `false` where too many wait, or the threads were stopped.
    func add(_ call: PluginCall, always: Bool = false) -> Bool {
        enum Outcome { case refused, added, addedForIdle }
        let outcome: Outcome = state.withLock { state in
            guard !state.isStopped, state.queue.add(call, lane: call.lane, always: always) else {
                return .refused
            }
            guard state.idle > 0 else { return .added }
            state.idle -= 1
            return .addedForIdle
        }
        if outcome == .addedForIdle { wake.signal() }
        return outcome != .refused
    }

    /// A call of that lane has ended, by returning or by its ticket.
    ///
    /// - Parameter takesNext: whether it ended on one of these threads, which takes what is next by itself.
    func leave(lane: UInt64, takesNext: Bool) {
        let wakes = state.withLock { state in
            guard state.queue.leave(lane: lane), state.idle > 0, !takesNext else { return false }
            state.idle -= 1
            return true
        }
        if wakes { wake.signal() }
    }

    /// Lets the threads end once nothing waits, and waits for them.
    ///
    /// - Returns: whether all ended in that time.
    func stop(within limit: DispatchTimeInterval) -> Bool {
        let (idle, running) = state.withLock { state in
            state.isStopped = true
            defer { state.idle = 0 }
            return (state.idle, state.running)
        }
        for _ in 0..<idle { wake.signal() }
        let deadline = DispatchTime.now() + limit
        return (0..<running).allSatisfy { _ in ended.wait(timeout: deadline) == .success }
    }

    private func work(_ run: (PluginCall) -> Void) {
        enum Next { case call(PluginCall), wait, end }
        while true {
            let next: Next = state.withLock { state in
                if let call = state.queue.next() { return .call(call) }
                if state.isStopped { return .end }
                state.idle += 1
                return .wait
            }
            switch next {
            case .call(let call): run(call)
            case .wait: wake.wait()
            case .end: return
            }
        }
    }
}

/// Runs `body` on a thread of its own.
///
/// - Throws: ``Untrusted`` where the system grants none.
func startThread(named name: String, _ body: @escaping @Sendable () -> Void) throws(Untrusted) {
    guard OSThread.start(named: name, body) else {
        throw Untrusted("no thread could be started; raise the limit on threads")
    }
}
