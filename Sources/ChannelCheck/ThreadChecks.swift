import CGoClawChannel
import Glibc
import Synchronization
import Unix

extension Bench {
    private static let threads = 8

    func checkThreads() throws {
        try withInstance { instance in
            let claim = try ordinary(instance)
            let claims = [claim] + Samples.extreme(claim)
            let reviews = stable { claims.map { instance.review($0, caller) } }
            let talks = try talk(instance, claim)
            _ = instance.host.takeFindings()
            let differences = Mutex<[String]>([])
            let calls = Atomic<Int>(0)
            let end = monotonicNanoseconds() + 250_000_000
            calling("review, session_opened, receive, deliver and tick on \(Self.threads) threads")
            let beacon = beacon
            let running = (0..<Self.threads).compactMap { _ in
                OSThread(named: "check") {
                    let caller = Caller(.guarded, beacon)
                    repeat {
                        for (index, claim) in claims.enumerated() where monotonicNanoseconds() < end {
                            calls.add(1, ordering: .relaxed)
                            let reply = instance.review(claim, caller)
                            if let what = reviews[index].difference(from: reply) {
                                differences.withLock { $0.append("The review of \(claim.what) gave \(what)") }
                            }
                        }
                        guard let talks else { continue }
                        for (index, reply) in conversation(instance, claim, talks.messages, caller)
                            .enumerated()
                        where index < talks.replies.count {
                            calls.add(1, ordering: .relaxed)
                            if let what = talks.replies[index].difference(from: reply) {
                                differences.withLock {
                                    $0.append("Call \(index + 1) of a session gave \(what)")
                                }
                            }
                        }
                    } while monotonicNanoseconds() < end
                }
            }
            if instance.table.functions.tick != nil { for _ in 0..<20 { _ = instance.tick(caller) } }
            for thread in running { thread.join() }
            for difference in differences.withLock({ $0 }).prefix(100) {
                findings.fail("\(difference.droppingStop), while \(Self.threads) threads called.")
            }
            drain(instance.host, "on \(Self.threads) threads")
            findings.note("\(calls.load(ordering: .relaxed)) calls on \(running.count) threads.")
        }
    }

    /// What one session answers, where it can be opened: the replies one after the other.
    private func talk(
        _ instance: Instance, _ claim: TestClaim
    ) throws -> (messages: [TestMessage], replies: [Expected])? {
        var messages: [TestMessage] = []
        try ifSession(instance) { session in
            guard instance.table.functions.receive != nil,
                var message = try ifApplicable({ try ordinaryMessage(instance, in: session) })
            else { return }
            for number in 1...10 {
                message.number = Int64(number)
                message.id = "m-\(number)"
                messages.append(message)
            }
        }
        guard !messages.isEmpty || instance.table.functions.deliver != nil else { return nil }
        calling("a session's calls, one after the other")
        let replies = stable { conversation(instance, claim, messages, caller) }
        return (messages, replies)
    }

    /// Makes calls twice and keeps what they answer.
    private func stable(_ body: () -> [Reply]) -> [Expected] {
        zip(body(), body()).map { Expected(reply: $0, isStable: $0 == $1) }
    }

    func checkNewerHost() throws {
        let instance = try create()
        defer { destroy(instance) }
        let claim = try ordinary(instance)
        let claims = [claim] + Samples.extreme(claim)
        let reviews = stable { claims.map { instance.review($0, caller) } }
        let talks = try talk(instance, claim)
        _ = instance.host.takeFindings()

        let newerHost = TestHost(isNewer: true)
        let newerCaller = Caller(.newer, beacon)
        let newer = try create(on: newerHost, isNewer: true, newerCaller)
        defer { destroy(newer) }
        for (claim, expected) in zip(claims, reviews) {
            calling("review of \(claim.what), by a newer host")
            if let what = expected.difference(from: newer.review(claim, newerCaller)) {
                findings.fail("For a newer host, the review of \(claim.what) gave \(what)")
            }
        }
        if let talks {
            calling("a session's calls, by a newer host")
            let replies = conversation(newer, claim, talks.messages, newerCaller)
            for (index, (reply, expected)) in zip(replies, talks.replies).enumerated() {
                if let what = expected.difference(from: reply) {
                    findings.fail("For a newer host, call \(index + 1) of a session gave \(what)")
                }
            }
        }
        drain(newerHost, "with a newer host")
    }

    func checkOwnership() throws {
        try withInstance { instance in
            let claim = try ordinary(instance)
            for sample in [claim] + Samples.extreme(claim) + [claim] {
                calling("review of \(sample.what)")
                _ = instance.review(sample, caller)
            }
            try ifSession(instance) { session in
                let message = try ifApplicable({ try ordinaryMessage(instance, in: session) })
                for number in 1...5 {
                    if instance.table.functions.receive != nil, var message {
                        message.number = Int64(number)
                        calling("receive of \(message.what)")
                        _ = instance.receive(message, in: session, caller)
                    }
                    if instance.table.functions.deliver != nil {
                        calling("deliver")
                        _ = instance.deliver(
                            Samples.agentMessage(plan.subject, number: Int64(number)),
                            in: session, caller)
                    }
                }
            }
            if instance.table.functions.tick != nil {
                calling("tick, after the memory of other calls is gone")
                _ = instance.tick(caller)
            }
            // A thread of the plugin's own that looks at what was lent needs a moment to do so.
            calling("a thread of the plugin's own, after all calls have returned")
            usleep(30_000)
            drain(instance.host, "after the call")
        }
    }

    func checkTickets() throws {
        try withInstance { instance in
            let claim = try ordinary(instance)
            let tickets = instance.host.tickets
            let before = tickets.count
            try callOnce(instance, claim, judged: true)
            guard tickets.count > before else {
                throw Inapplicable(reason: "It took no ticket for an ordinary request or message.")
            }
            findings.note("It took \(tickets.count - before) tickets and answered them.")
            // Answers that come too late.
            let late = tickets.lateAnswers
            caller.voidsTickets = true
            try callOnce(instance, claim, judged: false)
            calling("the answer to a ticket whose time is up")
            let end = monotonicNanoseconds() + 300_000_000
            while tickets.lateAnswers == late, monotonicNanoseconds() < end { usleep(500) }
            caller.voidsTickets = false
            drain(instance.host, "of late answers")
            try callOnce(instance, claim, judged: true)
        }
        // An instance that ends while a ticket is open.
        try withInstance { instance in
            let claim = try ordinary(instance)
            caller.voidsTickets = true
            try callOnce(instance, claim, judged: false)
            caller.voidsTickets = false
        }
        calling("the answer to a ticket of an instance that is destroyed")
        usleep(50_000)
    }

    private func callOnce(_ instance: Instance, _ claim: TestClaim, judged: Bool) throws {
        calling("review of \(claim.what)")
        let reply = instance.review(claim, caller)
        if judged { try judge(reply, "review of \(claim.what)", host: instance.host) }
        try ifSession(instance) { session in
            if instance.table.functions.receive != nil {
                let message =
                    try Samples.ordinaryMessages(plan.subject).first ?? ordinaryMessage(instance, in: session)
                calling("receive of \(message.what)")
                let reply = instance.receive(message, in: session, caller)
                if judged { try judge(reply, "receive of \(message.what)", host: instance.host) }
            }
            if instance.table.functions.deliver != nil {
                calling("deliver of an ordinary message")
                let message = Samples.agentMessage(plan.subject)
                let reply = instance.deliver(message, in: session, caller)
                if judged { try judge(reply, "deliver of an ordinary message", host: instance.host) }
            }
        }
    }
}

/// The replies of one session from its opening on, a message after the other, each delivered back.
private func conversation(
    _ instance: Instance, _ claim: TestClaim, _ messages: [TestMessage], _ caller: Caller
) -> [Reply] {
    let session = TestSession(claim)
    var replies = [instance.open(session, caller)]
    guard replies[0].status == goclaw_status(GOCLAW_OK) else { return replies }
    for message in messages { replies.append(instance.receive(message, in: session, caller)) }
    if instance.table.functions.deliver != nil {
        for number in 1...5 {
            let message = TestMessage(what: "", body: #"{"text":"hello \#(number)"}"#, number: Int64(number))
            replies.append(instance.deliver(message, in: session, caller))
        }
    }
    instance.close(session, reason: "bye", caller)
    return replies
}

/// What a call answered when it was made alone.
private struct Expected: Sendable {
    let reply: Reply
    /// Whether it answered the same when it was made again.
    let isStable: Bool

    /// What is different in another reply; `nil` where nothing is that should not be.
    func difference(from other: Reply) -> String? {
        if other.status != reply.status {
            return "\(statusName(other.status)) instead of \(statusName(reply.status))."
        }
        guard isStable, other.output != reply.output else { return nil }
        let (one, two) = (other.output.text, reply.output.text)
        return "another answer: \(short(one)) instead of \(short(two))."
    }
}

extension Output {
    /// What came out, for a person.
    fileprivate var text: String {
        (details.map { "\($0.label): \($0.value)" } + messages.map(\.body)
            + frames.map { "\($0.event) \($0.payload)" } + (reason.map { [$0.code] } ?? []))
            .joined(separator: "; ")
    }
}
