import CGlibcMalloc
import CGoClawChannel
import Glibc

extension Bench {
    /// More bytes than these for each call are a leak.
    private static let allowedBytes = 8.0

    func checkLeakingInstances() throws {
        let caller = Caller(.plain, beacon)
        let (host, table) = try plugin()
        let configuration = plan.subject.configuration
        let limit = plan.ticketLimit
        _ = try create()
        try measure("instance", atMost: 50) {
            let (instance, _) = Instance.create(
                table, host: host, configuration: configuration, ticketLimit: limit, caller: caller)
            instance?.destroy()
        }
    }

    func checkLeakingReviews() throws {
        let caller = Caller(.plain, beacon)
        try withInstance { instance in
            let claim = try ordinary(instance)
            var refused = claim
            refused.metadata = #"{"no":"such","members":[1,2,3]}"#
            try measure("review", atMost: 300) {
                _ = instance.review(claim, caller)
                _ = instance.review(refused, caller)
            }
        }
    }

    func checkLeakingSessions() throws {
        let caller = Caller(.plain, beacon)
        try withInstance { instance in
            guard instance.table.functions.session_opened != nil else {
                throw Inapplicable(reason: "It has no session_opened.")
            }
            let claim = try ordinary(instance)
            try withSession(instance) { _ in }
            try measure("session", atMost: 300) {
                let session = TestSession(claim)
                guard instance.open(session, caller).status == goclaw_status(GOCLAW_OK) else { return }
                instance.close(session, reason: "bye", caller)
            }
        }
    }

    func checkLeakingMessages() throws {
        let caller = Caller(.plain, beacon)
        try withInstance { instance in
            let (receives, delivers) = (
                instance.table.functions.receive != nil, instance.table.functions.deliver != nil
            )
            guard receives || delivers else {
                throw Inapplicable(reason: "It has no receive and no deliver.")
            }
            try withSession(instance) { session in
                let message =
                    receives ? try ifApplicable({ try ordinaryMessage(instance, in: session) }) : nil
                let refused = TestMessage(what: "", body: "[[]]")
                let delivered = TestMessage(what: "", body: #"{"text":"hello"}"#)
                try measure("message", atMost: 300) {
                    if let message {
                        _ = instance.receive(message, in: session, caller)
                        _ = instance.receive(refused, in: session, caller)
                    }
                    if delivers { _ = instance.deliver(delivered, in: session, caller) }
                }
            }
        }
    }

    /// Repeats something three times as often as fits into a moment; what grows both the second time and the
    /// third does not stop growing.
    private func measure(_ what: String, atMost count: Int, _ body: () -> Void) throws {
        calling("many \(what)s, to see what they leave behind")
        var done = 0
        let end = monotonicNanoseconds() + 150_000_000
        while done < count, done < 3 || monotonicNanoseconds() < end {
            body()
            done += 1
        }
        let (threads, descriptors) = (Self.threads(), Self.descriptors())
        var growth: [Double] = []
        for _ in 0..<2 {
            calling("many \(what)s, to see what they leave behind")
            let before = Self.heapBytes()
            for _ in 0..<done { body() }
            growth.append(Double(Self.heapBytes() - before) / Double(done))
        }
        let bytes = max(0, min(growth[0], growth[1]))
        let rounded = (bytes * 10).rounded() / 10
        if bytes > Self.allowedBytes {
            findings.fail(
                "Each \(what) left \(rounded) bytes of the heap allocated, more than \(Self.allowedBytes), over "
                    + "2 × \(done) of them.")
        } else {
            findings.note("\(3 * done) of them left \(rounded) bytes each.")
        }
        // Threads may still be on their way out.
        let settled = monotonicNanoseconds() + 500_000_000
        while Self.threads() > threads, monotonicNanoseconds() < settled { usleep(5000) }
        let (newThreads, newDescriptors) = (Self.threads() - threads, Self.descriptors() - descriptors)
        if newThreads > 2 {
            findings.fail("\(2 * done) \(what)s left \(newThreads) threads running.")
        }
        if newDescriptors > 2 {
            findings.fail("\(2 * done) \(what)s left \(newDescriptors) descriptors open.")
        }
    }

    private static func heapBytes() -> Int {
        let information = mallinfo2()
        return Int(information.uordblks) + Int(information.hblkhd)
    }

    private static func threads() -> Int { names(in: "/proc/self/task").count }

    private static func descriptors() -> Int { names(in: "/proc/self/fd").count }
}
