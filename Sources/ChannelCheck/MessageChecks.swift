import CGoClawChannel

extension Bench {
    /// The most that a host passes by default, in bytes.
    private static let largestMessage = 512 * 1024

    func checkOrdinaryReceive() throws {
        try receiving { instance, session in
            var taken = false
            for message in Samples.ordinaryMessages(plan.subject) {
                let reply = try receive(message, in: session, instance)
                taken = taken || reply.status == goclaw_status(GOCLAW_OK)
            }
            guard taken else { return findings.fail(Self.noMessage) }
            let message = try ordinaryMessage(instance, in: session)
            let reply = try receive(message, in: session, instance)
            findings.note(
                "An ordinary message becomes \(reply.output.messages.count) for the agent and "
                    + "\(reply.output.frames.count) frames for the device.")
        }
    }

    func checkExtremeReceive() throws {
        try receiving { instance, session in
            let limit = Int(instance.limits?.maximumMessageBytes ?? 0)
            let largest = min(limit == 0 ? Self.largestMessage : limit, Self.largestMessage)
            var messages = Samples.extremeMessages(largest: largest)
            if let message = try ifApplicable({ try ordinaryMessage(instance, in: session) }) {
                messages += Samples.unusual(message)
            }
            try receiveAll(messages, in: session, instance)
        }
    }

    func checkHostileReceive() throws {
        try receiving { instance, session in
            let ordinary = try ifApplicable({ try ordinaryMessage(instance, in: session) })
            try receiveAll(Samples.hostileMessages(ordinary), in: session, instance)
        }
    }

    private func receiving(_ body: (Instance, TestSession) throws -> Void) throws {
        try withInstance { instance in
            guard instance.table.functions.receive != nil else {
                throw Inapplicable(reason: "It has no receive; every message passes to the agent as it is.")
            }
            try withSession(instance) { try body(instance, $0) }
        }
    }

    private func receiveAll(_ messages: [TestMessage], in session: TestSession, _ instance: Instance) throws {
        let limit = Int(instance.limits?.maximumMessageBytes ?? 0)
        // The host refuses what is larger before the channel sees it.
        let passed = messages.filter { limit == 0 || $0.body.utf8.count <= limit }
        var taken = 0
        for message in passed {
            let reply = try receive(message, in: session, instance)
            if reply.status == goclaw_status(GOCLAW_OK) { taken += 1 }
        }
        findings.note("It took \(taken) of \(passed.count).")
    }

    @discardableResult
    private func receive(
        _ message: TestMessage, in session: TestSession, _ instance: Instance
    ) throws -> Reply {
        let context = "receive of \(message.what)"
        calling(context)
        let reply = instance.receive(message, in: session, caller)
        try judge(reply, context, host: instance.host, mayFail: message.isBeyondContract)
        return reply
    }

    func checkDeliver() throws {
        let ordinary = TestMessage(what: "an agent's ordinary message", body: #"{"text":"hello"}"#)
        try deliverAll([ordinary] + Samples.ordinaryMessages(plan.subject) + parts(of: ordinary))
    }

    func checkExtremeDeliver() throws {
        let ordinary = TestMessage(what: "an agent's ordinary message", body: #"{"text":"hello"}"#)
        try deliverAll(
            Samples.extremeMessages(largest: Self.largestMessage) + Samples.unusual(ordinary)
                + Samples.hostileMessages(ordinary))
    }

    private func parts(of message: TestMessage) -> [TestMessage] {
        [0, 1, 2, UInt32.max].map { part in
            var changed = message
            changed.what = "part \(part) of a message"
            changed.part = part
            changed.flags = UInt32(GOCLAW_MESSAGE_PART | (part == .max ? GOCLAW_MESSAGE_LAST : 0))
            return changed
        }
    }

    private func deliverAll(_ messages: [TestMessage]) throws {
        try withInstance { instance in
            guard instance.table.functions.deliver != nil else {
                throw Inapplicable(reason: "It has no deliver; every message becomes one frame.")
            }
            try withSession(instance) { session in
                var taken = 0
                for message in messages {
                    let context = "deliver of \(message.what)"
                    calling(context)
                    let reply = instance.deliver(message, in: session, caller)
                    try judge(reply, context, host: instance.host, mayFail: message.isBeyondContract)
                    if reply.status == goclaw_status(GOCLAW_OK) { taken += 1 }
                }
                findings.note("It took \(taken) of \(messages.count).")
            }
        }
    }
}
