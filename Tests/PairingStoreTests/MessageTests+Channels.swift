import PairingCore
import Postgres
import Testing

@testable import PairingStore

/// What channels make of messages.
extension MessageTests {
    @Test("What a channel made of a message is kept with it, and each part of it is answered once")
    func forwarded() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let parts = [
                PairingStore.ForwardedMessage(agent: "one", body: #""\u0000 \"quoted\"""#),
                PairingStore.ForwardedMessage(agent: "", body: "[1]"),
            ]
            var several = message(session, "several")
            several.forwarded = parts
            var none = message(session, "none")
            none.forwarded = []
            let accepted = try await fixture.store.accept([several, none, message(session, "plain")])
            #expect(try accepted.map { try $0.done().sequence } == [1, 2, 3])

            // The message of which nothing is left is settled; the others wait with what they became.
            let waiting = try await openMessages(.inbound, of: session, in: fixture.store)
            #expect(waiting.map(\.sequence) == [1, 3])
            #expect(waiting[0].forwarded == parts)
            #expect(waiting[1].forwarded.map(\.body) == [waiting[1].body])

            var reply = reply(session, to: 1)
            reply.answers = ["a", "b"].map { PairingStore.Reply.Answer(agent: $0, body: "1") }
            #expect(try await fixture.store.reply([reply])[0].map(\.sequence) == [1, 2])
            #expect(try await fixture.store.reply([reply]) == [[]])
            #expect(try await fixture.store.reply([self.reply(session, to: 3)])[0].map(\.sequence) == [3])
            #expect(
                try await openMessages(.outbound, of: session, in: fixture.store).map(\.agent) == [
                    "a", "b", "echo",
                ])
            #expect(try await open(.inbound, of: session, in: fixture.store) == [])
        }
    }

    @Test("A message's number is known before it is accepted: a repeat's own, otherwise the device's next")
    func numbers() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("a")
            let session = try await fixture.session(device)
            func number(_ id: String) async throws -> PairingStore.MessageNumber? {
                try await fixture.store.numbers(of: [
                    PairingStore.MessageKey(session: session, messageID: id)
                ])[0]
            }
            #expect(try await number("first") == PairingStore.MessageNumber(number: 1))
            _ = try await fixture.store.accept([message(session, "first")])
            #expect(
                try await number("first")
                    == PairingStore.MessageNumber(number: 1, accepted: #"{"id":"first"}"#))
            #expect(try await number("second") == PairingStore.MessageNumber(number: 2))
            _ = try await fixture.store.revoke(
                device.senderID, channel: nil, generation: nil, by: Origination(.system))
            #expect(try await number("second") == nil)
        }
    }

    @Test("A message that is left out is settled, and counts as acknowledged once all before it are")
    func leftOut() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            _ = try await fixture.store.accept((1...4).map { message(session, "\($0)") })
            _ = try await fixture.store.reply((1...4).map { reply(session, to: $0) })
            func acknowledged() async throws -> Int64 {
                try await fixture.pool.query("SELECT acknowledged_out FROM device_streams")
                    .map { try $0.int64("acknowledged_out") }.first ?? -1
            }
            func leaveOut(_ sequence: Int64) async throws {
                try await fixture.store.leaveOut([
                    PairingStore.Acknowledgement(session: session, sequence: sequence)
                ])
            }
            try await leaveOut(2)
            #expect(try await open(.outbound, of: session, in: fixture.store) == [1, 3, 4])
            #expect(try await acknowledged() == 0)
            try await leaveOut(1)
            #expect(try await acknowledged() == 2)
            try await fixture.store.acknowledge([
                PairingStore.Acknowledgement(session: session, sequence: 3)
            ])
            try await leaveOut(4)
            #expect(try await acknowledged() == 4)
            #expect(try await open(.outbound, of: session, in: fixture.store) == [])
        }
    }

    @Test("Messages of several devices are left out at once, but none by a session that is over")
    func leftOutTogether() async throws {
        try await StoreFixture.run { fixture in
            let a = try await fixture.session(fixture.paired("a", credential: StoreFixture.key(1)))
            let device = try await fixture.paired("b", credential: StoreFixture.key(2))
            let old = try await fixture.session(device)
            _ = try await fixture.store.accept(
                (1...3).flatMap { [message(a, "\($0)"), message(old, "\($0)")] })
            _ = try await fixture.store.reply((1...3).flatMap { [reply(a, to: $0), reply(old, to: $0)] })
            let new = try await fixture.session(device)
            func leaveOut(_ messages: [(PairingStore.LiveSession, Int64)]) async throws {
                try await fixture.store.leaveOut(
                    messages.map { PairingStore.Acknowledgement(session: $0, sequence: $1) })
            }
            try await leaveOut([(a, 2), (old, 1), (a, 1)])
            #expect(try await open(.outbound, of: a, in: fixture.store) == [3])
            #expect(try await open(.outbound, of: new, in: fixture.store) == [1, 2, 3])
            try await leaveOut([(new, 3), (a, 3), (new, 1)])
            #expect(try await open(.outbound, of: a, in: fixture.store) == [])
            #expect(try await open(.outbound, of: new, in: fixture.store) == [2])
            let acknowledged = try await fixture.pool.query(
                "SELECT acknowledged_out FROM device_streams ORDER BY sender_key")
            #expect(try acknowledged.map { try $0.int64("acknowledged_out") } == [3, 1])
        }
    }
}
