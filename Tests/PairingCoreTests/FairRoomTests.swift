import PairingCore
import Testing

@Suite("Room shared by network block (I13)")
struct FairRoomTests {
    private func address(_ text: String) throws -> ClientAddress { try #require(ClientAddress(text)) }

    @Test("There is room for anybody until it is full, then for those who hold less than others")
    func sharing() throws {
        var room = FairRoom<Int>(capacity: 4)
        let heavy = try address("198.51.100.1")
        for id in 1...4 {
            #expect(room.entrance(of: heavy) == .enters)
            room.insert(id, of: heavy)
        }
        #expect(room.entrance(of: heavy) == .refused)
        let light = try address("2001:db8::1")
        #expect(room.entrance(of: light) == .displaces(4))
        room.remove(4)
        room.insert(5, of: light)
        #expect(room.entrance(of: try address("2001:db8:0:ffff::1")) == .displaces(3), "of the same /48")
        room.remove(3)
        room.insert(6, of: light)
        #expect(room.entrance(of: light) == .refused, "it would hold more than the other")
        #expect(room.entrance(of: heavy) == .refused)
        #expect(room.entrance(of: try address("198.51.100.2")) == .displaces(2), "within its own network")
        let newcomer = room.entrance(of: try address("203.0.113.1"))
        #expect([.displaces(2), .displaces(6)].contains(newcomer))
        #expect(room.count(of: heavy) == 2 && room.blockCount(of: light) == 2 && room.contains(5))
    }

    @Test("What came and went leaves nothing behind, in whatever order")
    func balance() throws {
        var room = FairRoom<Int>(capacity: 10)
        let empty = room
        var generator = SystemRandomNumberGenerator()
        let ids = Array(0..<300)
        for id in ids { room.insert(id, of: try address("10.0.\(id % 7).\(id % 13)")) }
        #expect(room.count == 300)
        for id in ids.shuffled(using: &generator) { room.remove(id) }
        room.remove(3)
        #expect(room == empty)
    }
}
