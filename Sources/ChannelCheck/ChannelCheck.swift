import Glibc

/// Checks a channel's library against what goclaw_channel.h promises.
///
/// The library's code runs in child processes only. One that crashes, hangs, ends its process, prints or
/// closes what is not its own costs the child it does that in; the rest is checked in another.
public struct ChannelCheck: Sendable {
    /// A check that takes longer is given up, in milliseconds.
    private static let longestCheck = 60_000
    /// A child that has not begun after this time is given up, in milliseconds. On a busy machine a process takes its
    /// time to start, and so far it has called nothing.
    private static let longestStart = 30_000

    /// What is checked.
    public let subject: CheckSubject
    /// How a child is started: a program's path and its arguments. It has to call ``CheckChild/run()``.
    public let program: [String]
    /// How long a call may take, in milliseconds, at least 100.
    public let callLimit: Int

    /// Prepares a check.
    public init(subject: CheckSubject, program: [String], callLimit: Int = 5000) {
        self.subject = subject
        self.program = program
        self.callLimit = max(100, callLimit)
    }

    /// Makes the checks. Blocks for seconds: call it from a plain thread.
    ///
    /// One at a time in a process, which must start no other processes meanwhile: what becomes its child
    /// is taken for the library's, and ended.
    ///
    /// - Throws: why there is nothing to check.
    public func run() throws(CannotCheck) -> CheckReport {
        guard let files = FileChecks(path: subject.library) else {
            throw CannotCheck(message: "\(subject.library) cannot be read: \(systemError()).")
        }
        let sanitizer = try files.sanitizer
        var run = Run(
            plan: CheckPlan(
                subject: subject, checks: [], callLimit: callLimit, isSanitized: sanitizer != nil))
        let orphans = Orphans()
        while !run.remaining.isEmpty, run.stopReason == nil {
            runChild(&run, sanitizer)
            orphans.end(isFault: run.isDone)
        }
        run.skipRemaining()
        var report = CheckReport(library: subject.library, sha256: files.sha256, identity: run.identity)
        report.timings = run.timings
        report.checks = run.results
        // Where the files' own checks belong: after the library's.
        report.checks.insert(
            contentsOf: [files.symbols, files.manifest(run.identity)], at: min(1, run.results.count))
        report.checks += [orphans.result, run.printed]
        return report
    }

    /// Starts a child for what remains, and takes what it finds.
    private func runChild(_ run: inout Run, _ sanitizer: String?) {
        var plan = run.plan
        plan.checks = run.remaining.map(\.name)
        do throws(CannotStart) {
            let child = try ChildProcess(program: program, plan: plan, sanitizer: sanitizer)
            follow(child, &run)
        } catch {
            run.stop("The process for the check could not be started: \(error.why).")
        }
    }

    private func follow(_ child: ChildProcess, _ run: inout Run) {
        run.startChild()
        var checkEnd = monotonicNanoseconds()
        var limit = Self.longestStart
        loop: while true {
            // The child has other things to do as well: half a second is for them.
            switch child.next(within: limit + 500) {
            case .message(let message):
                limit = callLimit
                if message.began != nil {
                    checkEnd = monotonicNanoseconds() + UInt64(Self.longestCheck) * 1_000_000
                }
                run.take(message)
                if message.done == true || run.stopReason != nil { break loop }
                if run.isChecking, monotonicNanoseconds() > checkEnd {
                    run.fail(
                        "The check took more than \(Self.longestCheck / 1000) s in all, and was given up.")
                    break loop
                }
            case .garbage: run.warnOfGarbage()
            case .silence:
                let ending = child.finish(within: 0)
                run.collect(child.output)
                // A process that the plugin started may hold the pipes of one that is dead already.
                if ending == .killed(signal: SIGKILL) {
                    run.hung(limit)
                } else {
                    run.ended(ending, errors: child.errors)
                }
                return
            case .end: break loop
            }
        }
        let ending = child.finish(within: run.stopReason == nil ? 2000 : 0)
        run.collect(child.output)
        if !run.isDone, run.stopReason == nil { run.ended(ending, errors: child.errors) }
    }
}

/// Why a library cannot be checked.
public struct CannotCheck: Error, Sendable, Equatable {
    /// A sentence.
    public var message: String
}
