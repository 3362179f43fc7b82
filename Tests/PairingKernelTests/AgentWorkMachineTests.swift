import PairingCore
import PairingStore
import Testing

@testable import PairingKernel

@Suite("The machine of agents' work")
struct AgentWorkMachineTests {
    private typealias Machine = AgentWorkMachine

    private let now = ContinuousClock.now
    private let channel: ChannelID
    private let sender: PairingStore.PairedSender

    init() throws {
        channel = try #require(ChannelID("web"))
        sender = PairingStore.PairedSender(
            senderID: try #require(SenderID("tablet")), generation: Generation(1))
    }

    private func machine(_ limits: Machine.Limits = Machine.Limits()) -> Machine {
        Machine(limits: limits) { _ in "echo" }
    }

    private func work(_ sequence: Int64, agents: [String] = [""], delay: Duration = .zero)
        -> PairingStore.OpenWork
    {
        PairingStore.OpenWork(
            sequence: sequence, messageID: "m\(sequence)",
            parts: agents.map { PairingStore.ForwardedMessage(agent: $0, body: "\(sequence)") }, delay: delay)
    }

    private func accept(_ machine: inout Machine, _ sequences: ClosedRange<Int64>, before: Int64 = 0) {
        for sequence in sequences {
            machine.accepted(
                work(sequence), of: sender, on: channel, openBefore: before + sequence - sequences.lowerBound,
                now: now)
        }
    }

    private func reply(_ body: String) -> Machine.Answer {
        .replied(PairingStore.AgentReply(agent: "echo", body: body))
    }

    private func stored(open: Int64, isElsewhere: Bool = false) -> PairingStore.SettlementOutcome {
        .stored(
            PairingStore.StoredSettlement(messages: [], epoch: nil, isElsewhere: isElsewhere, open: open))
    }

    @Test("One message of a device is with an agent at a time; answers are stored in order")
    func order() {
        var machine = machine()
        accept(&machine, 1...3)
        var actions = machine.takeActions()
        #expect(actions.asks.map(\.sequence) == [1] && !actions.hasClaims)
        machine.answered(actions.asks[0].id, reply("1"), now: now)
        actions = machine.takeActions()
        #expect(actions.asks.map(\.sequence) == [2] && actions.hasSettlements)
        machine.answered(actions.asks[0].id, reply("2"), now: now)
        let value1 = machine.takeActions()
        #expect(value1.asks.map(\.sequence) == [3])
        let batch = machine.takeSettlements()
        #expect(batch.map(\.sequence) == [1, 2] && batch.map(\.messageID) == ["m1", "m2"])
        let value2 = machine.takeSettlements()
        #expect(value2.isEmpty)
        // Nobody knows what became of the batch: it is stored again, in the same order.
        machine.settlementsFailed(batch)
        let value3 = machine.takeSettlements()
        #expect(value3 == batch)
        machine.settled(batch, [.over, stored(open: 1)], now: now)
        #expect(machine.heldMessages == 1)
    }

    @Test("Messages for different agents don't wait for each other, those for one agent do")
    func agents() {
        var machine = machine()
        for (index, agents) in [["a"], ["b"], ["a", "c"], ["c"], ["b"]].enumerated() {
            machine.accepted(
                work(Int64(index) + 1, agents: agents), of: sender, on: channel, openBefore: Int64(index),
                now: now)
        }
        var asks = machine.takeActions().asks
        #expect(asks.map(\.sequence) == [1, 2])
        machine.answered(asks[1].id, reply("2"), now: now)
        let value4 = machine.takeActions()
        #expect(value4.asks.map(\.sequence) == [5])
        machine.answered(asks[0].id, reply("1"), now: now)
        asks = machine.takeActions().asks
        #expect(asks.map(\.sequence) == [3] && asks.map(\.agent) == ["a"])
        machine.answered(asks[0].id, reply("3a"), now: now)
        asks = machine.takeActions().asks
        // The second part of the third message; the fourth waits behind it.
        #expect(asks.map(\.sequence) == [3] && asks.map(\.agent) == ["c"] && asks.map(\.part) == [1])
        machine.answered(asks[0].id, reply("3c"), now: now)
        let value5 = machine.takeActions()
        #expect(value5.asks.map(\.sequence) == [4])
        let third = machine.takeSettlements().first { $0.sequence == 3 }
        #expect(
            third?.result
                == .answered([
                    PairingStore.AgentReply(agent: "echo", body: "3a"),
                    PairingStore.AgentReply(agent: "echo", body: "3c"),
                ]))
    }

    @Test("A failure is recorded and tried again after its pause; nothing of that agent overtakes it")
    func failure() {
        var machine = machine()
        accept(&machine, 1...2)
        let ask = machine.takeActions().asks[0]
        machine.answered(ask.id, .failed(reason: "busy", delay: .seconds(2)), now: now)
        var actions = machine.takeActions()
        #expect(actions.asks.isEmpty && actions.hasSettlements && actions.hasTimers)
        let record = machine.takeSettlements()
        guard case .failed(1, _)? = record.first?.result else {
            Issue.record("expected a recorded failure, not \(record)")
            return
        }
        machine.settled(record, [stored(open: 2)], now: now)
        machine.timePassed(now: now + .seconds(1))
        let value6 = machine.takeActions()
        #expect(value6.asks.isEmpty)
        machine.timePassed(now: now + .seconds(2))
        actions = machine.takeActions()
        #expect(actions.asks.map(\.sequence) == [1] && actions.asks.map(\.attempts) == [1])
        machine.answered(actions.asks[0].id, .failed(reason: "busy", delay: nil), now: now)
        let value7 = machine.takeActions()
        #expect(value7.asks.map(\.sequence) == [2])
        let value8 = machine.takeSettlements()
        #expect(value8.map(\.result) == [.undeliverable(reason: "busy")])
    }

    @Test("What takes too long is given up, but stays a request under way until it has ended")
    func tooLong() {
        var limits = Machine.Limits()
        limits.time = .seconds(60)
        limits.calls = 1
        var machine = machine(limits)
        accept(&machine, 1...1)
        let ask = machine.takeActions().asks[0]
        machine.timePassed(now: now + .seconds(60))
        let value9 = machine.takeActions()
        #expect(value9.cancels == [ask.id])
        machine.timePassed(now: now + .seconds(65))
        let value10 = machine.takeActions()
        #expect(value10.asks.isEmpty && machine.callCount == 1)
        let value11 = machine.answered(ask.id, reply("late"), now: now + .seconds(66))
        #expect(!value11)
        let value12 = machine.takeActions()
        #expect(value12.asks.map(\.sequence) == [1])
    }

    @Test("A message that others accepted is read from the store before what follows it")
    func gap() {
        var machine = machine()
        accept(&machine, 4...4)
        _ = machine.takeActions()
        // The fifth was accepted elsewhere.
        machine.accepted(work(6), of: sender, on: channel, openBefore: 2, now: now)
        let value13 = machine.takeActions()
        #expect(value13.hasClaims)
        let claims = machine.takeClaims(limit: 10)
        #expect(claims.map(\.after) == [4])
        machine.accepted(work(7), of: sender, on: channel, openBefore: 3, now: now)
        machine.claimed(
            sender.senderID,
            .claimed(
                PairingStore.ClaimedWork(
                    sender: sender, channel: channel, messages: [work(5), work(6)], isWhole: true, newest: 6)),
            now: now)
        #expect(machine.heldMessages == 3)
        // What came while it was read is read as well.
        let value14 = machine.takeClaims(limit: 10)
        #expect(value14.map(\.after) == [6])
    }

    @Test(
        "What finds no room stays in the store and is read once there is some; numbers that need no answer are no gap"
    )
    func room() {
        var limits = Machine.Limits()
        limits.perDevice = 4
        var machine = machine(limits)
        accept(&machine, 1...2)
        machine.passed(3, of: sender.senderID)
        accept(&machine, 4...7, before: 2)
        #expect(machine.heldMessages == 4)
        let ask = machine.takeActions().asks
        let value15 = machine.takeClaims(limit: 1)
        #expect(ask.map(\.sequence) == [1] && value15.isEmpty)
        var id = ask[0].id
        for sequence: Int64 in [1, 2, 4, 5] {
            machine.answered(id, reply("\(sequence)"), now: now)
            if let next = machine.takeActions().asks.first { id = next.id }
        }
        let batch = machine.takeSettlements()
        #expect(batch.map(\.sequence) == [1, 2, 4, 5])
        machine.settled(batch, batch.map { _ in stored(open: 2) }, now: now)
        let value16 = machine.takeActions()
        let value17 = machine.takeClaims(limit: 1)
        #expect(value16.hasClaims && value17.map(\.after) == [5])
    }

    @Test("A device whose session is elsewhere is given back once nothing is under way")
    func release() {
        var machine = machine()
        accept(&machine, 1...2)
        var ask = machine.takeActions().asks[0]
        machine.answered(ask.id, reply("1"), now: now)
        ask = machine.takeActions().asks[0]
        var batch = machine.takeSettlements()
        machine.settled(batch, [stored(open: 3, isElsewhere: true)], now: now)
        let value18 = machine.takeActions()
        #expect(!value18.hasReleases)
        machine.answered(ask.id, reply("2"), now: now)
        batch = machine.takeSettlements()
        machine.settled(batch, [stored(open: 2, isElsewhere: true)], now: now)
        let value19 = machine.takeActions()
        let value20 = machine.takeReleases()
        #expect(value19.hasReleases && value20 == ["tablet"])
        #expect(machine.heldMessages == 0 && machine.heldBytes == 0)
    }

    @Test("Aborted, revoked and lost work is cancelled; an answer to it counts for nothing")
    func ends() {
        var machine = machine()
        accept(&machine, 1...3)
        let first = machine.takeActions().asks[0]
        machine.abort(1, of: "tablet", now: now)
        var actions = machine.takeActions()
        #expect(actions.cancels == [first.id] && actions.asks.map(\.sequence) == [2])
        let value21 = machine.answered(first.id, reply("1"), now: now)
        #expect(!value21)
        machine.revoke(sender.senderID, below: Generation(1))
        #expect(machine.heldMessages == 2)
        machine.revoke(sender.senderID, below: Generation(2))
        actions = machine.takeActions()
        #expect(actions.cancels.count == 1 && machine.heldMessages == 0)
        let value22 = machine.takeSettlements()
        #expect(value22.isEmpty && machine.callCount == 1)
    }

    @Test("No more is asked at once than allowed, of one agent and in all; everybody's turn comes")
    func bounds() throws {
        var limits = Machine.Limits()
        limits.calls = 3
        limits.callsPerAgent = 2
        var machine = machine(limits)
        for index in 0..<6 {
            let sender = PairingStore.PairedSender(
                senderID: try #require(SenderID("t-\(index)")), generation: Generation(1))
            machine.accepted(
                work(1, agents: [index < 4 ? "a" : "b"]), of: sender, on: channel, openBefore: 0, now: now)
        }
        var open = machine.takeActions().asks
        #expect(open.map(\.sender.senderID.text) == ["t-0", "t-1", "t-4"])
        var asked = open.count
        while let ask = open.popLast() {
            machine.answered(ask.id, reply("1"), now: now)
            let more = machine.takeActions().asks
            asked += more.count
            open += more
            #expect(open.count <= 3 && open.filter { $0.agent == "a" }.count <= 2)
        }
        #expect(asked == 6)
    }
}

@Suite("The machine of a session's deliveries")
struct SessionDeliveryTests {
    private func messages(_ sequences: Int64...) -> [PairingStore.StoredMessage] {
        sequences.map { PairingStore.StoredMessage(sequence: $0, agent: "echo", body: "\($0)") }
    }

    private func started(delivered: Int64 = 0, hasBacklog: Bool = false) -> SessionDelivery {
        var delivery = SessionDelivery(delivered: delivered, hasBacklog: hasBacklog)
        let value23 = delivery.start()
        #expect(value23 == hasBacklog)
        return delivery
    }

    @Test("What follows the last number is handed out from memory, without asking the store")
    func inHand() {
        var delivery = started(delivered: 4)
        let value24 = delivery.stored(messages(5, 6))
        #expect(value24)
        let value25 = delivery.stored(messages(7))
        #expect(!value25)
        let value26 = delivery.next()
        #expect(value26 == .deliver(messages(5, 6, 7)))
        // The channel failed on the third: it is tried alone.
        delivery.handedOut(2)
        #expect(delivery.delivered == 6)
        let again = delivery.next()
        #expect(again == .deliver(messages(7)))
        delivery.handedOut()
        let value27 = delivery.next()
        #expect(value27 == .nothing && delivery.delivered == 7)
    }

    @Test("What does not follow is read from the store, with what came before it")
    func gap() {
        var delivery = started()
        let value28 = delivery.stored(messages(3))
        #expect(value28)
        let value29 = delivery.next()
        #expect(value29 == .read(after: 0))
        // Stored while the store is asked, and maybe not in its answer.
        let value30 = delivery.stored(messages(4))
        #expect(!value30)
        delivery.read(messages(1, 2, 3), newest: 3)
        let value31 = delivery.next()
        #expect(value31 == .deliver(messages(1, 2, 3)))
        delivery.handedOut(3)
        let value32 = delivery.next()
        #expect(value32 == .read(after: 3))
        delivery.read(messages(4), newest: 4)
        let value33 = delivery.next()
        #expect(value33 == .deliver(messages(4)))
        delivery.handedOut()
        let value34 = delivery.next()
        #expect(value34 == .nothing)
        let value35 = delivery.stored(messages(2, 4))
        #expect(!value35)
    }

    @Test("Settled messages leave no gap; nothing is handed out before the session has begun")
    func begins() {
        var delivery = SessionDelivery(delivered: 2, hasBacklog: true)
        let value36 = delivery.stored(messages(3))
        let value37 = delivery.look()
        #expect(!value36 && !value37)
        let value38 = delivery.start()
        #expect(value38)
        let value39 = delivery.next()
        #expect(value39 == .read(after: 2))
        delivery.read([], newest: 6)
        let value40 = delivery.next()
        #expect(value40 == .nothing && delivery.delivered == 6)
        let value41 = delivery.stored(messages(7))
        #expect(value41)
        let value42 = delivery.next()
        #expect(value42 == .deliver(messages(7)))
        // The client was slow: it is claimed again.
        delivery.putDown()
        let value43 = delivery.next()
        #expect(value43 == .read(after: 6))
    }

    @Test("What is in hand is bounded")
    func bounded() {
        var delivery = started()
        for sequence in 1...Int64(SessionDelivery.capacity.messages) + 10 {
            _ = delivery.stored(messages(sequence))
        }
        for _ in 0..<SessionDelivery.capacity.messages / SessionDelivery.portion.messages {
            guard case .deliver(let portion) = delivery.next() else {
                Issue.record("expected another message")
                return
            }
            #expect(portion.count == SessionDelivery.portion.messages)
            delivery.handedOut(portion.count)
        }
        let value44 = delivery.next()
        #expect(value44 == .read(after: Int64(SessionDelivery.capacity.messages)))
    }
}
