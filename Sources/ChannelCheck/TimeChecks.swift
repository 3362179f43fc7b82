import CGoClawChannel
import Glibc

extension Bench {
    /// A call that takes longer makes devices wait, in nanoseconds.
    private static let long: UInt64 = 10_000_000
    /// For so long calls are repeated, in nanoseconds; slow ones a little longer, until there are a few.
    private static let enough: UInt64 = 150_000_000
    private static let longest: UInt64 = 1_000_000_000

    func checkTime() throws {
        let caller = Caller(.plain, beacon)
        try withInstance { instance in
            let claim = try ordinary(instance)
            let functions = instance.table.functions
            time(["review"], caller) { took in
                _ = instance.review(claim, caller)
                took("review")
            }
            time(["session_opened", "session_closed"], caller) { took in
                let session = TestSession(claim)
                let reply = instance.open(session, caller)
                if functions.session_opened != nil { took("session_opened") }
                guard reply.status == goclaw_status(GOCLAW_OK) else { return }
                instance.close(session, reason: "bye", caller)
                if functions.session_closed != nil { took("session_closed") }
            }
            try ifSession(instance) { session in
                if functions.receive != nil,
                    let message = try ifApplicable({ try ordinaryMessage(instance, in: session) })
                {
                    time(["receive"], caller) { took in
                        _ = instance.receive(message, in: session, caller)
                        took("receive")
                    }
                }
                if functions.deliver != nil {
                    let message = Samples.agentMessage(plan.subject)
                    time(["deliver"], caller) { took in
                        _ = instance.deliver(message, in: session, caller)
                        took("deliver")
                    }
                }
            }
            if functions.tick != nil {
                time(["tick"], caller) { took in
                    _ = instance.tick(caller)
                    took("tick")
                }
            }
        }
    }

    /// - Parameter body: makes each of the calls once, and names it when it has returned.
    private func time(_ calls: [String], _ caller: Caller, _ body: ((String) -> Void) -> Void) {
        calling("many calls of \(calls.joined(separator: " and ")), to see how long they take")
        for _ in 0..<3 { body { _ in } }
        var times: [String: [UInt64]] = [:]
        var rounds = 0
        let start = monotonicNanoseconds()
        var elapsed: UInt64 { monotonicNanoseconds() - start }
        repeat {
            body { times[$0, default: []].append(caller.lastDuration) }
            rounds += 1
        } while rounds < 1000 && (rounds < 3 || elapsed < (rounds < 10 ? Self.longest : Self.enough))
        for call in calls { judge(call, times[call] ?? []) }
    }

    private func judge(_ call: String, _ unsorted: [UInt64]) {
        guard !unsorted.isEmpty else { return }
        let times = unsorted.sorted()
        let timing = CallTiming(
            call: call, count: times.count, median: times[times.count / 2],
            p99: times[min(times.count - 1, times.count * 99 / 100)], longest: times[times.count - 1])
        line.send(CheckMessage(timing: timing))
        findings.note(timing.text)
        if timing.longest > UInt64(plan.callLimit) * 1_000_000 {
            findings.fail("\(call) took longer than the host waits (\(plan.callLimit) ms).")
        } else if timing.median > Self.long {
            findings.warn("\(call) takes more than 10 ms: a channel has few threads, and devices wait.")
        }
    }
}

extension CallTiming {
    /// For a person.
    var text: String {
        "\(call): median \(Self.text(median)), 99 of 100 within \(Self.text(p99)), of \(count) calls."
    }

    private static func text(_ nanoseconds: UInt64) -> String {
        switch nanoseconds {
        case ..<10_000: "\(nanoseconds) ns"
        case ..<10_000_000: "\(nanoseconds / 1000) µs"
        default: "\(nanoseconds / 1_000_000) ms"
        }
    }
}
