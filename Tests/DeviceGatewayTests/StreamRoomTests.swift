import PairingCore
import Testing

@testable import DeviceGateway
@testable import PairingKernel

@Suite("Streams of events are limited")
struct StreamRoomTests {
    private func authority(_ number: Int64) -> Authority {
        Authority(actor: .administrator("a\(number)"), scope: .administer, source: .token(id: number))
    }

    @Test("By account, in all, and not at all once the instance stops")
    func limits() {
        var room = StreamRoom<String>(most: 3, mostPerAccount: 2)
        let admissions = [(1, "a"), (1, "a"), (1, "a"), (2, "b"), (3, "c")].map { number, account in
            room.admit(authority(number), account: account)
        }
        #expect(
            admissions == [.admitted(1), .admitted(2), .accountFull, .admitted(3), .full])
        room.leave(1)
        room.leave(1)
        #expect(room.count == 2)
        let again = room.admit(authority(1), account: "a")
        #expect(again == .admitted(4))
        let attached = (room.attach(4, "four"), room.attach(1, "one"))
        #expect(attached == (true, false))
        let ended = room.stop()
        #expect(ended == ["four"])
        let late = room.admit(authority(1), account: "a")
        #expect(late == .stopping)
        let isAttached = room.attach(3, "three")
        #expect(!isAttached && room.count == 0)
    }

    @Test("The streams of an authority that ended go, and its room is free")
    func ends() {
        var room = StreamRoom<String>(most: 9, mostPerAccount: 1)
        for (number, name) in [(Int64(1), "a"), (2, "b")] {
            guard case .admitted(let id) = room.admit(authority(number), account: name) else {
                Issue.record("not admitted")
                return
            }
            let isAttached = room.attach(id, name)
            #expect(isAttached)
        }
        let ended = room.removeAll(of: [authority(1)])
        #expect(ended == ["a"])
        #expect(room.streams == ["b"] && room.authorities == [authority(2)])
        let next = room.admit(authority(3), account: "a")
        #expect(next != .accountFull)
    }
}

@Suite("What is told of events")
struct EventTextTests {
    private func change(_ position: Int64) -> PairingChange {
        PairingChange(
            position: position, event: "pairing.denied", channel: "web", senderID: "tablet-01", requestID: nil
        )
    }

    @Test("A few changes are told one by one, in one line of data")
    func few() {
        let text = EventText.changes([change(7)], pending: 3)
        #expect(text.hasPrefix("event: change\ndata: {") && text.hasSuffix("}\n\n"))
        #expect(text.contains(#""position":7"#) && text.contains(#""pending":3"#))
        #expect(text.contains("pairing.denied") && text.split(separator: "\n").count == 2)
    }

    @Test("Of many only that they were")
    func many() {
        let text = EventText.changes((1...60).map { change($0) }, pending: nil)
        #expect(text.contains(#""position":60"#) && !text.contains("pairing.denied"))
    }
}
