import PairingCore
import PairingStore
import Testing

@testable import PairingKernel

@Suite("Batches of messages for agents")
struct AgentBatchTests {
    private typealias Machine = AgentWorkMachine

    private let now = ContinuousClock.now
    private let channel: ChannelID
    private let sender: PairingStore.PairedSender

    init() throws {
        channel = try #require(ChannelID("iot"))
        sender = PairingStore.PairedSender(
            senderID: try #require(SenderID("sensor")), generation: Generation(1))
    }

    private func machine(_ messages: Int = 3) -> Machine {
        Machine(batching: { _ in Batching(messages: messages, time: .seconds(60)) }) { _ in "readings" }
    }

    private func accept(
        _ machine: inout Machine, _ sequences: ClosedRange<Int64>, before: Int64 = 0, agents: [String] = [""],
        at time: ContinuousClock.Instant? = nil
    ) {
        for sequence in sequences {
            machine.accepted(
                PairingStore.OpenWork(
                    sequence: sequence, messageID: "m\(sequence)",
                    parts: agents.map { PairingStore.ForwardedMessage(agent: $0, body: "\(sequence)") }),
                of: sender, on: channel, openBefore: before + sequence - sequences.lowerBound,
                now: time ?? now)
        }
    }

    private func asks(_ machine: inout Machine) -> [Machine.Ask] { machine.takeActions().asks }

    private let reply = Machine.Answer.replied(PairingStore.AgentReply(agent: "readings", body: "1"))

    @Test("So many messages go to the agent at once, and what comes meanwhile waits for its own batch")
    func byCount() {
        var machine = machine()
        accept(&machine, 1...2)
        #expect(asks(&machine).isEmpty)
        accept(&machine, 3...5, before: 2)
        let asked = asks(&machine)
        #expect(asked.map(\.body) == ["[1,2,3]"] && asked.map(\.messageID) == ["m3"])
        #expect(asked.map(\.first) == [1] && asked.map(\.sequence) == [3])
        machine.answered(asked[0].id, reply, now: now)
        #expect(asks(&machine).isEmpty)
        let batch = machine.takeSettlements()
        #expect(batch.map(\.sequence) == [1, 2, 3])
        #expect(
            batch.map(\.result) == [
                .answered([]), .answered([]),
                .answered([PairingStore.AgentReply(agent: "readings", body: "1")]),
            ])
    }

    @Test("The first message of a batch waits its time for others, and no longer")
    func byTime() {
        var machine = machine()
        accept(&machine, 1...1)
        accept(&machine, 2...2, before: 1, at: now + .seconds(40))
        #expect(machine.timers[sender.senderID.key] == now + .seconds(60))
        machine.timePassed(now: now + .seconds(59))
        #expect(asks(&machine).isEmpty)
        machine.timePassed(now: now + .seconds(60))
        #expect(asks(&machine).map(\.body) == ["[1,2]"])
    }

    @Test("A batch that failed for now is tried again as it was, and nothing overtakes it")
    func failsForNow() {
        var machine = machine()
        accept(&machine, 1...3)
        let first = asks(&machine)
        machine.answered(first[0].id, .failed(reason: "busy", delay: .seconds(5)), now: now)
        accept(&machine, 4...6, before: 3)
        #expect(asks(&machine).isEmpty)
        #expect(machine.takeSettlements().map(\.sequence) == [1, 2, 3])
        machine.timePassed(now: now + .seconds(5))
        let again = asks(&machine)
        #expect(again.map(\.body) == ["[1,2,3]"] && again.map(\.attempts) == [1])
        #expect(again.map(\.first) == first.map(\.first) && again.map(\.sequence) == first.map(\.sequence))
    }

    @Test("I4: of a batch that is refused each message is tried by itself: none stands in another's way")
    func refused() {
        var machine = machine()
        accept(&machine, 1...3)
        machine.answered(asks(&machine)[0].id, .failed(reason: "refused", delay: nil), now: now)
        #expect(machine.takeSettlements().isEmpty)
        for (body, answer) in [
            ("[1]", reply), ("[2]", .failed(reason: "refused", delay: nil)), ("[3]", reply),
        ] {
            let asked = asks(&machine)
            #expect(asked.map(\.body) == [body])
            machine.answered(asked[0].id, answer, now: now)
        }
        #expect(
            machine.takeSettlements().map(\.result) == [
                .answered([PairingStore.AgentReply(agent: "readings", body: "1")]),
                .undeliverable(reason: "refused"),
                .answered([PairingStore.AgentReply(agent: "readings", body: "1")]),
            ])
    }

    @Test("Messages for different agents are in different batches, in their order")
    func agents() {
        var machine = machine(10)
        accept(&machine, 1...2)
        accept(&machine, 3...3, before: 2, agents: ["alarms"])
        let asked = asks(&machine)
        #expect(asked.map(\.body) == ["[1,2]"] && asked.map(\.agent) == ["readings"])
        machine.answered(asked[0].id, reply, now: now)
        machine.timePassed(now: now + .seconds(60))
        #expect(asks(&machine).map(\.agent) == ["alarms"])
    }

    @Test("What waits in the store is not waited for, and a message that is given up leaves its batch")
    func others() {
        var machine = machine(10)
        machine.adopt(
            PairingStore.ClaimedWork(
                sender: sender, channel: channel,
                messages: [
                    PairingStore.OpenWork(
                        sequence: 1, messageID: "m1", parts: [.init(agent: "", body: "1")])
                ],
                isWhole: false, newest: 9), now: now)
        #expect(asks(&machine).map(\.body) == ["[1]"])
        var other = self.machine(10)
        accept(&other, 1...3)
        other.abort(2, of: sender.senderID.key, now: now)
        other.timePassed(now: now + .seconds(60))
        #expect(asks(&other).map(\.body) == ["[1,3]"])
    }
}
