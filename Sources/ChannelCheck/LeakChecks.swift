import CGoClawChannel
import Glibc

extension Bench {
    /// More bytes than these for each call are a leak.
    private static let allowedBytes = 8.0
    /// The same of memory that was mapped: the least that can be is a page.
    private static let allowedMappedBytes = 2048.0

    func checkLeakingInstances() throws {
        let caller = Caller(.plain, beacon)
        let (host, table) = try plugin()
        let configuration = plan.subject.configuration
        let limit = plan.ticketLimit
        _ = try create()
        try measure("instance", atMost: 50) { _ in
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
            try measure("review", differing: "each of another sender ID", atMost: 300) { index in
                _ = instance.review(claim, caller)
                _ = instance.review(refused, caller)
                _ = instance.review(claim.ofAnother(index), caller)
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
            try measure("session", differing: "each of another sender ID", atMost: 300) { index in
                for device in [claim, claim.ofAnother(index)] {
                    let session = TestSession(device)
                    let reply = instance.open(session, caller)
                    guard reply.status == goclaw_status(GOCLAW_OK) else { continue }
                    instance.close(session, reason: "bye", caller)
                }
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
                let delivered = Samples.agentMessage(plan.subject)
                try measure("message", differing: "each of another ID and number", atMost: 300) { index in
                    if let message {
                        _ = instance.receive(message.numbered(index), in: session, caller)
                        _ = instance.receive(refused.numbered(index), in: session, caller)
                    }
                    if delivers { _ = instance.deliver(delivered.numbered(index), in: session, caller) }
                }
            }
        }
    }

    /// Repeats something several times as often as fits into a moment; what grows every time does not stop
    /// growing.
    ///
    /// - Parameters:
    ///   - differing: what is different from one to the next.
    ///   - body: is given a number that it was not given before.
    private func measure(
        _ what: String, differing: String? = nil, atMost count: Int, _ body: (Int) -> Void
    ) throws {
        var made = 0
        func make() {
            body(made)
            made += 1
        }
        calling("many \(what)s, to see what they leave behind")
        let end = monotonicNanoseconds() + 150_000_000
        while made < count, made < 3 || monotonicNanoseconds() < end { make() }
        let done = made
        let (threads, descriptors) = (Self.threads(), Self.descriptors())
        var (heap, mapped) = (Double.infinity, Double.infinity)
        var rounds = 0
        // Stacks of threads come and go: twice is not often enough to tell them from what stays.
        while rounds < 2 || (rounds < 4 && mapped > Self.allowedMappedBytes && !plan.isSanitized) {
            calling("many \(what)s, to see what they leave behind")
            let before = MemoryUse()
            for _ in 0..<done { make() }
            let after = MemoryUse()
            heap = min(heap, Double(after.heap - before.heap) / Double(done))
            mapped = min(mapped, Double(after.mapped - before.mapped) / Double(done))
            rounds += 1
        }
        let over = "over \(rounds) × \(done) of them" + (differing.map { ", \($0)" } ?? "")
        let bytes = max(0, (heap * 10).rounded() / 10)
        if plan.isSanitized {
            findings.note(
                "Memory was not counted: AddressSanitizer keeps what is freed. Check the library without it, too."
            )
        } else if bytes > Self.allowedBytes {
            findings.fail(
                "Each \(what) left \(bytes) bytes of the heap allocated, more than \(Self.allowedBytes), \(over)."
            )
        } else {
            findings.note("\(made) of them left \(bytes) bytes each.")
        }
        if mapped > Self.allowedMappedBytes, !plan.isSanitized {
            findings.fail(
                "Each \(what) left \(Int(mapped)) bytes of memory mapped beside the heap, \(over): what mmap gave "
                    + "goes back with munmap.")
        }
        // Threads may still be on their way out.
        let settled = monotonicNanoseconds() + 500_000_000
        while Self.threads() > threads, monotonicNanoseconds() < settled { usleep(5000) }
        let (newThreads, newDescriptors) = (Self.threads() - threads, Self.descriptors() - descriptors)
        if newThreads > 2 {
            findings.fail("\(made - done) \(what)s left \(newThreads) threads running.")
        }
        if newDescriptors > 2 {
            findings.fail("\(made - done) \(what)s left \(newDescriptors) descriptors open.")
        }
    }

    private static func threads() -> Int { names(in: "/proc/self/task").count }

    private static func descriptors() -> Int { names(in: "/proc/self/fd").count }
}

extension TestClaim {
    /// The same device under another sender ID, of the same length for every number.
    fileprivate func ofAnother(_ number: Int) -> TestClaim {
        var other = self
        other.senderID = "\(senderID.prefix(100))-\(100_000_000 + number)"
        return other
    }
}

extension TestMessage {
    /// The same message under another ID, of the same length for every number, and with the number after that.
    fileprivate func numbered(_ number: Int) -> TestMessage {
        var other = self
        other.number = Int64(number) + 2
        other.id = "m-\(100_000_000 + number)"
        return other
    }
}
