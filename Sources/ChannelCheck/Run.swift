import Glibc

/// What is known of a run of all checks so far.
struct Run {
    let plan: CheckPlan
    /// The checks that have not begun or were cut short.
    private(set) var remaining = Check.all
    private(set) var results: [CheckResult] = []
    private(set) var identity: CheckedIdentity?
    private(set) var timings: [CallTiming] = []
    /// Calls that did not come back.
    private var hangs = 0
    /// Why no further check is made.
    private(set) var stopReason: String?
    /// Whether the child has made all its checks.
    private(set) var isDone = false
    private var lastCall = ""
    /// What the check that is being made has found.
    private var soFar = Findings()
    private var fault: Fault?
    /// Where in the library it crashed.
    private var place: UInt?
    /// The crashes that a check has reported, by their places.
    private var crashes: [UInt: (check: String, where: String)] = [:]
    private var explained: Set<String> = []
    private var hasGarbage = false
    private var output: [UInt8] = []
    /// Whether a check has begun and not ended.
    private(set) var isChecking = false

    init(plan: CheckPlan) { self.plan = plan }

    mutating func startChild() {
        isDone = false
        isChecking = false
        lastCall = "the start of the process"
        fault = nil
        place = nil
    }

    mutating func take(_ message: CheckMessage) {
        if let call = message.calling { lastCall = call }
        if let identity = message.identity { self.identity = identity }
        if let timing = message.timing { timings.append(timing) }
        if let name = message.fault { fault = Fault(rawValue: name) ?? fault }
        // The first is the fault; what follows is on the way to the end.
        if let place = message.place, self.place == nil { self.place = place }
        if message.done == true { isDone = true }
        if let name = message.began {
            isChecking = remaining.first?.name == name
            lastCall = "the check's beginning"
            soFar = Findings()
        }
        if let findings = message.soFar { soFar = findings }
        if let findings = message.ended, isChecking {
            finish(findings)
            if message.gaveUp == true { countHang() }
        }
    }

    /// The check that is being made fails.
    mutating func fail(_ sentence: String) {
        guard isChecking else {
            // It died after its checks, or before the first: that is the last one's affair.
            if let last = results.indices.last {
                results[last].outcome = .failed
                results[last].seen.insert(sentence, at: 0)
            } else {
                stop(sentence)
            }
            return
        }
        var findings = soFar
        findings.fail(sentence)
        finish(findings)
    }

    private mutating func finish(_ findings: Findings) {
        let check = remaining.removeFirst()
        isChecking = false
        results.append(CheckResult(check, findings))
        guard Check.essential.contains(check.name), findings.outcome == .failed else { return }
        stop("The check \(check.name) failed, without which there is nothing to call.")
    }

    mutating func stop(_ reason: String) { stopReason = stopReason ?? reason }

    /// A call did not return.
    mutating func hung(_ limit: Int) {
        fail(
            "It did not return from \(lastCall) within \(limit) ms; the process was killed. In a server the call "
                + "keeps a thread for good, and the channel is out of service.")
        countHang()
    }

    private mutating func countHang() {
        hangs += 1
        if hangs >= 2 { stop("Two calls did not come back; what remains would take too long.") }
    }

    /// The child came to its end before its checks did.
    mutating func ended(_ ending: ChildProcess.Ending, errors: [UInt8]) {
        let lines = String(decoding: errors, as: UTF8.self).split(whereSeparator: \.isNewline)
        // A trap in Swift and a panic in Rust say what they are before a long list of frames.
        let telling =
            lines.last {
                $0.contains("Fatal error:") || $0.contains("panicked at") || $0.hasPrefix("SUMMARY: ")
            } ?? lines.last
        let printed = telling.map { " It printed \"\(short(String($0)))\"." } ?? ""
        switch ending {
        case .killed(let signal) where place != nil:
            crashed(signal, printed)
        case .killed(let signal):
            failOnce(
                "It crashed with \(signalName(signal)) during \(lastCall).",
                because: (fault.map { " " + $0.sentence } ?? "")
                    + " In a server this ends the process with all its channels.\(printed)")
        case .exited(CheckLine.lostStatus):
            failOnce(
                "It closed descriptors that are not its own, in or before \(lastCall).",
                because: " The check's own pipe was gone.\(printed)")
        case .exited(let status):
            failOnce(
                "It ended the process during \(lastCall), with exit status \(status).",
                because: " A plugin must not call exit.\(printed)")
        }
    }

    /// It crashed at a known place. The same crash fails one check; of the others it is said that it cut them short.
    private mutating func crashed(_ signal: Int32, _ printed: String) {
        guard let place else { return }
        if let known = crashes[place], isChecking {
            var findings = Findings()
            findings.notApplicable =
                "The crash \(known.where), which \(known.check) reports, cut it short."
            return finish(findings)
        }
        let line = SourceLine(at: place, in: plan.subject.library)
        crashes[place] = (isChecking ? remaining.first?.name : results.last?.name).map { ($0, line.text) }
        failOnce(
            "It crashed with \(signalName(signal)) during \(lastCall), \(line.text).",
            because: (fault.map { " " + $0.sentence } ?? "")
                + " In a server this ends the process with all its channels. What remained of this check was not "
                + "made.\(line.advice)\(printed)")
    }

    /// The explanation is given where the same happens for the first time.
    private mutating func failOnce(_ what: String, because: String) {
        let isNew = explained.insert("\(fault?.rawValue ?? "") \(because)").inserted
        fail(isNew ? what + because : what + " See above.")
    }

    mutating func warnOfGarbage() { hasGarbage = true }

    mutating func collect(_ bytes: [UInt8]) { output += bytes.prefix(4096 - min(4096, output.count)) }

    /// What was not made is said to be so.
    mutating func skipRemaining() {
        for check in remaining {
            var findings = Findings()
            findings.notApplicable = stopReason ?? "It was not made."
            results.append(CheckResult(check, findings))
        }
        if results.isEmpty { return }
        // A stop that no check knows of must not look like success.
        if !results.contains(where: { $0.outcome == .failed }), let stopReason {
            results[0].outcome = .failed
            results[0].seen.insert(stopReason, at: 0)
        }
        remaining = []
    }

    /// What the plugin printed.
    var printed: CheckResult {
        var findings = Findings()
        let text = String(decoding: output, as: UTF8.self)
        if let first = text.split(whereSeparator: \.isNewline).first {
            findings.warn("It wrote to standard output or error; the first line is: \(short(String(first)))")
        }
        if hasGarbage { findings.fail("It wrote into a descriptor that is not its own.") }
        return CheckResult(
            name: "output", title: "It prints nothing", findings: findings,
            promise: "Lines for the log go to host->log; standard output and error are not the plugin's.",
            advice: "Use host->log, which adds the channel's name and a severity.")
    }
}
