import PairingCore
import PairingStore
import Testing

@testable import PairingKernel

@Suite("Who waits for which answer")
struct QuestionTableTests {
    static func sender(_ id: String, _ generation: Int64 = 1) throws -> PairingStore.PairedSender {
        PairingStore.PairedSender(
            senderID: try #require(SenderID(id)), generation: Generation(generation))
    }

    @Test("An answer goes to everybody who waits for it, once, and to nobody else")
    func answers() throws {
        var table = QuestionTable<String>()
        let tablet = try Self.sender("tablet")
        let first = table.add("m1", of: tablet, "first")
        _ = table.add("m1", of: tablet, "again")
        _ = table.add("m2", of: tablet, "other message")
        _ = table.add("m1", of: try Self.sender("phone"), "other device")
        _ = table.add("m1", of: try Self.sender("tablet", 2), "other pairing")
        #expect(table.readers(of: "m1", from: tablet) == ["first", "again"])
        #expect(table.take("m1", of: tablet) == ["first", "again"])
        #expect(table.take("m1", of: tablet) == [])
        #expect(table.count == 3)
        #expect(table.remove(first) == nil)
        #expect(table.accepted(first, as: 1) == false)
    }

    @Test("I3 A revocation ends those of the pairing and of older ones")
    func revocation() throws {
        var table = QuestionTable<String>()
        _ = table.add("m1", of: try Self.sender("tablet", 1), "old")
        let newer = table.add("m1", of: try Self.sender("tablet", 2), "new")
        let tablet = try #require(SenderID("Tablet"))
        #expect(table.revoke(tablet, below: Generation(2)) == ["old"])
        #expect(table.accepted(newer, as: 4) == true)
        #expect(table.awaited.map(\.message.sequence) == [4])
        #expect(table.takeAll() == ["new"])
        #expect(table.count == 0)
    }
}
