import ChannelHost
import PairingCore
import Testing

@testable import PairingKernel
@testable import PairingStore

@Suite("The numbers of messages that were sent together")
struct ReceivedGroupTests {
    private func group(_ ids: String..., accepted: [String: Int64] = [:]) -> ReceivedGroup {
        ReceivedGroup(
            ids.map { SentMessage(id: $0, body: "new") },
            known: ids.map { id in
                PairingStore.MessageNumber(
                    number: accepted[id] ?? 5, accepted: accepted[id] == nil ? nil : "old")
            })
    }

    @Test("A message that is refused, or not stored, leaves its number to the next")
    func numbers() {
        var group = group("a", "b", "c", "d")
        let refused = Result<ChannelOutput, Refusal>.failure(.internal)
        let told = [
            group.next(after: nil), group.next(after: refused),
            group.next(after: .success(ChannelOutput(isEphemeral: true))),
            group.next(after: .success(ChannelOutput())),
        ]
        #expect(told.map(\.number) == [5, 5, 5, 6])
    }

    @Test("A repeat is what was accepted under its number, in the store or a moment before")
    func repeats() {
        var group = group("old", "a", "a", accepted: ["old": 2])
        let first = group.next(after: nil)
        #expect(first.number == 2 && first.message.body == "old" && first.isRepeat)
        let second = group.next(after: .success(ChannelOutput()))
        #expect(second.number == 5 && second.message.body == "new" && !second.isRepeat)
        let third = group.next(after: .success(ChannelOutput()))
        #expect(third.number == 5 && third.isRepeat)
        #expect(group.told.map(\.isRepeat) == [true, false, true])
    }
}
