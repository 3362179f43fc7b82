import CGoClawChannel
import Glibc

extension Bench {
    /// A call that takes longer makes devices wait, in nanoseconds.
    private static let long: UInt64 = 10_000_000

    func checkTime() throws {
        let caller = Caller(.plain, beacon)
        try withInstance { instance in
            let claim = try ordinary(instance)
            time("review", caller) { _ = instance.review(claim, caller) }
            try ifSession(instance) { session in
                if instance.table.functions.receive != nil,
                    let message = try ifApplicable({ try ordinaryMessage(instance, in: session) })
                {
                    time("receive", caller) { _ = instance.receive(message, in: session, caller) }
                }
                if instance.table.functions.deliver != nil {
                    let message = TestMessage(what: "", body: #"{"text":"hello"}"#)
                    time("deliver", caller) { _ = instance.deliver(message, in: session, caller) }
                }
            }
        }
    }

    private func time(_ call: String, _ caller: Caller, _ body: () -> Void) {
        calling("many calls of \(call), to see how long they take")
        for _ in 0..<3 { body() }
        var times: [UInt64] = []
        times.reserveCapacity(1000)
        let end = monotonicNanoseconds() + 150_000_000
        repeat {
            body()
            times.append(caller.lastDuration)
        } while times.count < 1000 && (times.count < 10 || monotonicNanoseconds() < end)
        times.sort()
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
