import CGlibcMalloc
import Glibc

/// The processes that a child's plugin started and that outlive the child.
///
/// While there is one of these, such processes become children of this process, so that they can be told
/// from everybody else's. There may be one at a time.
final class Orphans {
    /// How long a process that the child's end ends as well may take for that, in nanoseconds.
    private static let grace: UInt64 = 300_000_000
    /// How long to go on ending processes that start others, in nanoseconds.
    private static let patience: UInt64 = 2_000_000_000

    private var wasSubreaper: Int32 = 0
    /// Children that this process had before.
    private let others: Set<pid_t>
    /// The names of the programs that were left running.
    private(set) var left: [String] = []

    init() {
        others = Set(Self.children().map(\.pid))
        _ = goclaw_get_subreaper(&wasSubreaper)
        _ = goclaw_set_subreaper(1)
    }

    deinit { _ = goclaw_set_subreaper(wasSubreaper) }

    /// Ends what is left of a child, which has ended itself.
    ///
    /// - Parameter isFault: whether the plugin had the chance to end it before, in `destroy`.
    func end(isFault: Bool) {
        // Nothing tells when a process that is not this one's child yet ends.
        var end = monotonicNanoseconds() + Self.grace
        while !adopted().isEmpty, monotonicNanoseconds() < end { usleep(2000) }
        let running = adopted()
        if isFault { left += running.map(\.name) }
        // The end of one brings those that it started.
        end = monotonicNanoseconds() + Self.patience
        while case let remaining = adopted(), !remaining.isEmpty, monotonicNanoseconds() < end {
            // The number of a child stays its own until it was waited for.
            for process in remaining { kill(process.pid, SIGKILL) }
            usleep(1000)
        }
    }

    /// What was adopted and still runs; what has ended is waited for.
    private func adopted() -> [(pid: pid_t, name: String)] {
        Self.children().filter { !others.contains($0.pid) && waitpid($0.pid, nil, WNOHANG) != $0.pid }
    }

    private static func children() -> [(pid: pid_t, name: String)] {
        let own = getpid()
        return names(in: "/proc").compactMap { pid_t($0) }.compactMap { pid in
            // A number, a name in parentheses that may hold any character, a letter, the parent.
            guard let bytes = contents(of: "/proc/\(pid)/stat", atMost: 4096) else { return nil }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"), open < close
            else { return nil }
            let rest = text[close...].split(separator: " ")
            guard rest.count > 2, pid_t(rest[2]) == own else { return nil }
            return (pid, String(text[text.index(after: open)..<close]))
        }
    }

    /// What the report says.
    var result: CheckResult {
        var findings = Findings()
        if !left.isEmpty {
            let programs = Set(left).sorted().prefix(4).map(short).joined(separator: ", ")
            findings.fail(
                "It left \(left.count == 1 ? "a process" : "\(left.count) processes") running (\(programs)), which "
                    + "the check has ended. In a server such processes stay, and every start adds to them.")
        }
        return CheckResult(
            name: "processes", title: "It leaves no process behind", findings: findings,
            promise: "The plugin frees what instance stands for, in destroy.",
            advice: "End and wait for, in destroy, every process that was started; better, start none.")
    }
}
