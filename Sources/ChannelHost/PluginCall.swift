import CGoClawChannel
import PairingCore
import Synchronization

/// How a plugin's call ended.
struct CallEnding: Sendable {
    var status: goclaw_status
    var output: CallOutput
}

/// One call into a plugin: the plugin's side of it, and the side of whoever waits for the answer.
///
/// The two end independently: a caller whose time is up is answered, while the plugin may still run.
final class PluginCall: Sendable {
    /// Where the plugin's side stands.
    private enum Phase {
        case waiting
        /// `early` is the answer to the call's ticket, where it came before the call returned.
        case running(early: CallEnding?)
        /// The call returned GOCLAW_LATER, having put this into its sink.
        case parked(CallOutput)
        case ended
    }

    private struct State {
        var phase = Phase.waiting
        /// The call took a ticket that nobody has answered.
        var hasOpenTicket = false
        /// The caller has given up while the call occupies a thread.
        var isOverdue = false
        /// When a thread took the call, in monotonic nanoseconds.
        var begun: UInt64 = 0
        var completion: Completion?
    }

    typealias Completion = @Sendable (CallResult) -> Void

    /// What the caller gets.
    enum CallResult: Sendable {
        case ended(CallEnding)
        case timedOut
        /// The plugin was not called: it has failed too often on that device's messages, and its calls may
        /// pass again after that time.
        case withheld(Duration)
    }

    /// What a call whose time is up leaves behind.
    enum Lapse {
        /// Its time is not up, or somebody else has answered it.
        case none
        /// It waits for a thread and will not run.
        case waiting
        /// It runs and occupies its thread.
        case running
        /// It waited for its ticket; it has ended now.
        case parked
    }

    /// Unique within the plugin, from 1; the number of the call's ticket too.
    let number: UInt64
    let kind: CallKind
    /// The session, whose calls come one after the other.
    let session: ChannelSession?
    /// Monotonic nanoseconds.
    let deadline: UInt64
    /// Monotonic nanoseconds.
    let ticketDeadline: UInt64
    /// Calls the plugin's function.
    let body: @Sendable (UnsafePointer<goclaw_sink>) -> goclaw_status
    private let state: Mutex<State>

    var lane: UInt64? { session?.id }
    /// The device that the call serves.
    var sender: SenderID? { session?.opening.senderID }

    init(
        number: UInt64, _ kind: CallKind, session: ChannelSession?, deadline: UInt64,
        ticketDeadline: UInt64, body: @escaping @Sendable (UnsafePointer<goclaw_sink>) -> goclaw_status,
        completion: @escaping Completion
    ) {
        self.number = number
        self.kind = kind
        self.session = session
        self.deadline = deadline
        self.ticketDeadline = ticketDeadline
        self.body = body
        state = Mutex(State(completion: completion))
    }

    /// A thread takes the call.
    ///
    /// - Returns: `false` where the caller is no longer waiting, so that it must not run.
    func begin() -> Bool {
        let now = monotonicNanoseconds()
        return state.withLock { state in
            state.begun = now
            state.phase = state.completion == nil ? .ended : .running(early: nil)
            return state.completion != nil
        }
    }

    /// The plugin takes a ticket while the call runs.
    func openTicket() -> UInt64 {
        state.withLock { $0.hasOpenTicket = true }
        return number
    }

    /// The plugin answers the ticket.
    ///
    /// - Returns: whether it was open; it no longer is.
    func useTicket() -> Bool {
        state.withLock { state in
            defer { state.hasOpenTicket = false }
            return state.hasOpenTicket
        }
    }

    /// The plugin's function has returned.
    ///
    /// - Returns: how the call ended, or `nil` where that is for its ticket to say; and whether the caller had
    ///   given up before.
    func returned(_ ending: CallEnding) -> (ending: CallEnding?, wasOverdue: Bool) {
        state.withLock { state in
            guard ending.status == goclaw_status(GOCLAW_LATER), ending.output.ticket != nil, !state.isOverdue
            else {
                state.phase = .ended
                state.hasOpenTicket = false
                return (ending, state.isOverdue)
            }
            if case .running(let early?) = state.phase {
                state.phase = .ended
                return (early.after(ending.output), false)
            }
            state.phase = .parked(ending.output)
            return (nil, false)
        }
    }

    /// The ticket's answer is there.
    ///
    /// - Returns: how the call ended, where its function had returned already.
    func answered(_ ending: CallEnding) -> CallEnding? {
        state.withLock { state in
            switch state.phase {
            case .running:
                state.phase = .running(early: ending)
                return nil
            case .parked(let output):
                state.phase = .ended
                return ending.after(output)
            case .waiting, .ended:
                return nil
            }
        }
    }

    /// For how long the call has occupied its thread, in nanoseconds, where its caller has given up; `nil` elsewhere.
    func overdueTime(at now: UInt64) -> UInt64? {
        state.withLock { state in
            guard case .running = state.phase, state.isOverdue else { return nil }
            return now - min(now, state.begun)
        }
    }

    /// For how long a thread has had the call, in nanoseconds.
    func runningTime(at now: UInt64) -> UInt64 { state.withLock { now - min(now, $0.begun) } }

    /// Answers the caller, unless it has its answer already.
    func complete(_ result: CallResult) {
        let completion = state.withLock { $0.completion.take() }
        completion?(result)
    }

    /// Gives the caller up where the time is up.
    ///
    /// - Returns: what that leaves behind, and what tells the caller.
    func lapse(at now: UInt64) -> (Lapse, Completion?) {
        state.withLock { state -> (Lapse, Completion?) in
            switch state.phase {
            case .waiting where now >= deadline && kind != .sessionClosed && state.completion != nil:
                return (.waiting, state.completion.take())
            case .running where now >= deadline && !state.isOverdue:
                state.isOverdue = true
                return (.running, state.completion.take())
            case .parked where now >= ticketDeadline:
                state.phase = .ended
                state.hasOpenTicket = false
                return (.parked, state.completion.take())
            case .waiting, .running, .parked, .ended:
                return (.none, nil)
            }
        }
    }
}

extension CallEnding {
    /// This ending, after what the call had put into its sink before it took its ticket.
    fileprivate func after(_ output: CallOutput) -> CallEnding {
        var whole = output
        whole.append(self.output)
        return CallEnding(status: status, output: whole)
    }
}
