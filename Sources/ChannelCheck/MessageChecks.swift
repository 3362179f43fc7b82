import CGoClawChannel
import PairingCore

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
            if reply.output.isEphemeral {
                findings.note(
                    "An ordinary message is ephemeral: it is stored nowhere, and no agent hears of it.")
            }
            findings.note(
                "An ordinary message becomes \(reply.output.messages.count) for the agent and "
                    + "\(reply.output.frames.count) frames for the device.")
        }
    }

    func checkExtremeReceive() throws {
        try receiving { instance, session in
            var messages = Samples.extremeMessages(largest: largest(for: instance))
            if let message = try ifApplicable({ try ordinaryMessage(instance, in: session) }) {
                messages += Samples.unusual(message)
            }
            try receiveAll(messages, in: session, instance)
        }
    }

    func checkHostileReceive() throws {
        try receiving { instance, session in
            let ordinary = try ifApplicable({ try ordinaryMessage(instance, in: session) })
            let messages = Samples.hostileMessages(ordinary, largest: largest(for: instance))
            try receiveAll(messages, in: session, instance)
        }
    }

    /// How many bytes of a message reach the channel.
    private func largest(for instance: Instance) -> Int {
        let limit = Int(instance.limits?.maximumMessageBytes ?? 0)
        return limit == 0 ? Self.largestMessage : min(limit, Self.largestMessage)
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
        let ordinary = Samples.agentMessage(plan.subject)
        let others = plan.subject.agentMessage == nil ? Samples.ordinaryMessages(plan.subject) : []
        let all = try deliverAll([ordinary] + others + parts(of: ordinary))
        let taken = all.filter { !$0.message.isPart }
        guard !taken.isEmpty else { return findings.fail(Self.noAgentMessage) }
        if taken.count == all.count {
            findings.warn(
                "It refuses every message that comes in parts, so what an agent says in parts is lost.")
        }
        // A receipt or a notice needs no acknowledgement; not every message is one.
        guard !taken.contains(where: { $0.reply.carries($0.message.number) }) else { return }
        findings.warn(
            "None of \(taken.count) ordinary messages became a frame with the message's number: the device cannot "
                + "acknowledge them, and they come again whenever it connects. Put the number into the payload "
                + "of a frame, as messageSeq.")
    }

    private static let noAgentMessage =
        "deliver takes none of the ordinary messages of an agent, so that no device would hear any: give one that it "
        + "takes with --agent-message."

    func checkExtremeDeliver() throws {
        let ordinary = Samples.agentMessage(plan.subject)
        try deliverAll(
            Samples.extremeMessages(largest: Self.largestMessage) + Samples.unusual(ordinary)
                + Samples.hostileMessages(ordinary, largest: Self.largestMessage))
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

    /// - Returns: the messages that it took.
    @discardableResult
    private func deliverAll(_ messages: [TestMessage]) throws -> [(message: TestMessage, reply: Reply)] {
        var taken: [(message: TestMessage, reply: Reply)] = []
        try withInstance { instance in
            guard instance.table.functions.deliver != nil else {
                throw Inapplicable(reason: "It has no deliver; every message becomes one frame.")
            }
            try withSession(instance) { session in
                for message in messages {
                    let context = "deliver of \(message.what)"
                    calling(context)
                    let reply = instance.deliver(message, in: session, caller)
                    try judge(reply, context, host: instance.host, mayFail: message.isBeyondContract)
                    if reply.status == goclaw_status(GOCLAW_OK) { taken.append((message, reply)) }
                }
                findings.note("It took \(taken.count) of \(messages.count).")
            }
        }
        return taken
    }
}

extension TestMessage {
    fileprivate var isPart: Bool { flags & UInt32(GOCLAW_MESSAGE_PART) != 0 }
}

extension Reply {
    /// Whether a device can acknowledge what it was sent.
    fileprivate func carries(_ number: Int64) -> Bool {
        output.frames.contains {
            (try? JSONValue(parsing: $0.payload.utf8))?["messageSeq"] == .integer(number)
        }
    }
}
