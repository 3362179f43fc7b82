import Glibc
import Synchronization

/// The tickets that a host has given out.
final class Tickets: Sendable {
    /// What an answer finds.
    enum Use {
        case open(Call)
        case used
        /// The host gave up waiting.
        case void
        case unknown
    }

    private enum Ticket {
        case open(Call)
        case beingAnswered
        case answered(Reply)
        case void
    }

    private struct State {
        /// The last number; those that are settled are in no list any more.
        var last: UInt64 = 0
        var tickets: [UInt64: Ticket] = [:]
        /// Answers that came for tickets that were void.
        var late = 0
    }

    private let state = Mutex(State())

    /// How many tickets were given out.
    var count: UInt64 { state.withLock { $0.last } }

    /// How many answers found their ticket void.
    var lateAnswers: Int { state.withLock { $0.late } }

    func open(_ call: Call) -> UInt64 {
        state.withLock { state in
            state.last += 1
            state.tickets[state.last] = .open(call)
            return state.last
        }
    }

    func use(_ number: UInt64) -> Use {
        state.withLock { state in
            switch state.tickets[number] {
            case nil: return number > 0 && number <= state.last ? .used : .unknown
            case .open(let call):
                state.tickets[number] = .beingAnswered
                return .open(call)
            case .void:
                state.late += 1
                return .void
            case .beingAnswered, .answered: return .used
            }
        }
    }

    func answer(_ number: UInt64, _ reply: Reply) {
        state.withLock { $0.tickets[number] = .answered(reply) }
    }

    /// Gives up waiting for an answer.
    func void(_ number: UInt64) { state.withLock { $0.tickets[number] = .void } }

    /// Waits for a ticket's answer, which comes on a thread of the plugin's.
    ///
    /// - Returns: `nil` where it does not come within that many milliseconds; the ticket is void then.
    func wait(for number: UInt64, atMost milliseconds: Int, beacon: Beacon) -> Reply? {
        let end = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
        while true {
            let (reply, isOver) = state.withLock { state -> (Reply?, Bool) in
                if case .answered(let reply) = state.tickets[number] {
                    state.tickets[number] = nil
                    return (reply, true)
                }
                guard monotonicNanoseconds() >= end else { return (nil, false) }
                if case .open = state.tickets[number] { state.tickets[number] = .void }
                return (nil, true)
            }
            if isOver { return reply }
            // The answer comes in microseconds or never; a check has nothing else to do.
            beacon.pulse()
            usleep(200)
        }
    }
}
