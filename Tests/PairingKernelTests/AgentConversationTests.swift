import PairingCore
import PairingStore
import Testing

@testable import PairingKernel

@Suite("Agents' work in conversations")
struct AgentConversationTests {
    private typealias Machine = AgentWorkMachine

    private let now = ContinuousClock.now
    private let channel: ChannelID
    private let sender: PairingStore.PairedSender

    init() throws {
        channel = try #require(ChannelID("web"))
        sender = PairingStore.PairedSender(
            senderID: try #require(SenderID("tablet")), generation: Generation(1))
    }

    /// Accepts a message in each of these conversations, in their order.
    private func accept(_ machine: inout Machine, _ conversations: [String]) -> [Machine.Ask] {
        for (index, name) in conversations.enumerated() {
            machine.accepted(
                PairingStore.OpenWork(
                    sequence: Int64(index) + 1, messageID: "m\(index + 1)",
                    parts: [PairingStore.ForwardedMessage(agent: "", body: "\(index + 1)")],
                    conversation: ConversationName(stored: name)),
                of: sender, on: channel, openBefore: Int64(index), now: now)
        }
        return machine.takeActions().asks
    }

    private func answer(_ machine: inout Machine, _ ask: Machine.Ask) -> [Int64] {
        machine.answered(
            ask.id, .replied(PairingStore.AgentReply(agent: "echo", body: "1")), now: now)
        return machine.takeActions().asks.map(\.sequence)
    }

    @Test("I4: a conversation's messages wait for each other, and not for those of another")
    func sideBySide() {
        var machine = Machine { _ in "echo" }
        let asks = accept(&machine, ["", "kitchen", "", "kitchen"])
        #expect(asks.map(\.sequence) == [1, 2])
        #expect(asks.map(\.conversation.text) == ["", "kitchen"])
        let next = answer(&machine, asks[1])
        #expect(next == [4])
        let settled = machine.takeSettlements()
        #expect(settled.map(\.sequence) == [2] && settled.map(\.conversation.text) == ["kitchen"])
    }

    @Test("I10: however many conversations a device has, it has a few of its messages with agents at once")
    func bounds() {
        var machine = Machine { _ in "echo" }
        let most = machine.limits.callsPerDevice
        let asks = accept(&machine, (0..<most + 3).map { "c\($0)" })
        #expect(asks.map(\.sequence) == (1...Int64(most)).map { $0 })
        let next = answer(&machine, asks[3])
        #expect(next == [Int64(most) + 1])
    }

    @Test("A batch is of one conversation")
    func batches() {
        var machine = Machine(batching: { _ in Batching(messages: 9, time: .zero) }) { _ in "echo" }
        let asks = accept(&machine, ["", "kitchen"])
        #expect(asks.map(\.sequence) == [1])
        var held = Machine(batching: { _ in Batching(messages: 9, time: .seconds(60)) }) { _ in "echo" }
        let ended = accept(&held, ["", "", "kitchen"])
        #expect(ended.map(\.body) == ["[1,2]"])
    }
}
