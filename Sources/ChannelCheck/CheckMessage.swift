import FoundationEssentials
import Synchronization

/// What to check and how; the parent's first and only line to the child.
struct CheckPlan: Codable, Sendable {
    var subject: CheckSubject
    /// The names of the checks, in their order.
    var checks: [String]
    /// How long a call may take, in milliseconds.
    var callLimit: Int
    /// Whether the library was built for AddressSanitizer, which keeps what was freed, so that leaks cannot be counted.
    var isSanitized = false

    /// How long an answer to a ticket may take, in milliseconds: as many times a call's as in the servers.
    var ticketLimit: Int { callLimit * 6 }
}

/// A line from the child to the parent; one of the members is there.
struct CheckMessage: Codable, Sendable {
    /// A check has begun.
    var began: String?
    /// What is about to happen, such as a call into the plugin.
    var calling: String?
    /// Memory was touched that may not be; see ``Fault``. The process is about to die.
    var fault: String?
    /// Where in the library a thread was when the process was about to die, in bytes from the library's start.
    var place: UInt?
    /// What the check that began last has found up to here, for the case that it does not come to its end.
    var soFar: Findings?
    /// What the check that began last has found.
    var ended: Findings?
    /// Who the library says it is.
    var identity: CheckedIdentity?
    var timing: CallTiming?
    /// The check ended before its time because a call did not come back from the plugin's own threads.
    var gaveUp: Bool?
    /// Every check is done.
    var done: Bool?
}

/// Tells the parent that the process is alive, and what it is at.
final class Beacon: Sendable {
    /// In nanoseconds.
    private static let interval: UInt64 = 200_000_000

    private let line: CheckLine
    private let last = Atomic<UInt64>(0)

    init(_ line: CheckLine) { self.line = line }

    /// Says what is about to happen.
    func send(_ what: String) {
        last.store(monotonicNanoseconds(), ordering: .relaxed)
        line.send(CheckMessage(calling: what))
    }

    /// Says that calls still come back, at most every few tenths of a second.
    func pulse() {
        let now = monotonicNanoseconds()
        guard now - min(now, last.load(ordering: .relaxed)) > Self.interval else { return }
        last.store(now, ordering: .relaxed)
        line.send(CheckMessage())
    }
}

/// What a plugin touched that it may not, as the child's signal handler tells it.
enum Fault: String {
    /// The bytes right behind what was lent.
    case beyond
    /// What was lent to a call that has returned.
    case kept

    /// What the report says.
    var sentence: String {
        switch self {
        case .beyond:
            "It read or wrote beyond the end of a text or record that was lent to it: a text ends after "
                + "len bytes, without NUL, and a record after size bytes."
        case .kept:
            "It used memory that had been lent to an earlier call: keep a copy, not the pointer."
        }
    }
}

/// The child's end of the pipe. A line is out when the call returns.
struct CheckLine: Sendable {
    /// How the child ends where it can no longer write: the plugin closed what is not its own.
    static let lostStatus: Int32 = 71

    let descriptor: Int32

    func send(_ message: CheckMessage) {
        // A message is made of strings, numbers and lists of them: it has a JSON form.
        guard let data = try? JSONEncoder().encode(message) else { return }
        if !writeAll(Array(data) + [UInt8(ascii: "\n")], to: descriptor) { endProcess(Self.lostStatus) }
    }
}
