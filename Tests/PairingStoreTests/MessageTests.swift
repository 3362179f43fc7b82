import PairingCore
import Postgres
import Synchronization
import Testing

@testable import PairingStore

@Suite("Messages (I4)")
struct MessageTests {
    func message(
        _ session: PairingStore.LiveSession, _ id: String
    ) -> PairingStore.InboundMessage {
        PairingStore.InboundMessage(session: session, messageID: id, body: #"{"id":"\#(id)"}"#)
    }

    func reply(
        _ session: PairingStore.LiveSession, to sequence: Int64
    ) -> PairingStore.Reply {
        PairingStore.Reply(
            session: session, inReplyTo: sequence,
            answers: [PairingStore.Reply.Answer(agent: "echo", body: "\"\(sequence)\"")])
    }

    @Test("Numbers are handed out from 1 without gaps, in the order of a batch, for each device")
    func order() async throws {
        try await StoreFixture.run { fixture in
            let a = try await fixture.session(fixture.paired("a", credential: StoreFixture.key(1)))
            let b = try await fixture.session(fixture.paired("b", credential: StoreFixture.key(2)))
            let first = try await fixture.store.accept([
                message(b, "1"), message(a, "1"), message(b, "2"), message(a, "2"), message(b, "3"),
            ])
            #expect(try first.map { try $0.done().sequence } == [1, 1, 2, 2, 3])
            let second = try await fixture.store.accept([message(a, "3"), message(b, "4")])
            #expect(try second.map { try $0.done().sequence } == [3, 4])
            #expect(try await fixture.store.accept([]).isEmpty)
        }
    }

    @Test("Numbers have no gaps when many accept for one device at once")
    func concurrency() async throws {
        try await StoreFixture.run(connections: 12) { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let sequences = try await atOnce(100) { index in
                try await fixture.store.accept([
                    message(session, "\(index)-x"), message(session, "\(index)-y"),
                ]).map { try $0.done().sequence }
            }
            #expect(sequences.flatMap { $0 }.sorted() == Array(1...200))
            #expect(sequences.allSatisfy { $0[1] == $0[0] + 1 })
        }
    }

    @Test("A repeat gets the first receipt, in the same batch or at the same moment as well")
    func repeats() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let batch = try await fixture.store.accept([
                message(session, "m"), message(session, "n"), message(session, "m"),
            ])
            #expect(
                try batch.map { try $0.done() } == [
                    PairingStore.Acceptance(sequence: 1, isRepeat: false),
                    PairingStore.Acceptance(sequence: 2, isRepeat: false),
                    PairingStore.Acceptance(sequence: 1, isRepeat: true, openBefore: 2),
                ])
            let repeats = try await atOnce(30) { _ in
                try await fixture.store.accept([message(session, "p")])[0].done()
            }
            #expect(repeats.allSatisfy { $0.sequence == 3 })
            #expect(repeats.filter { !$0.isRepeat }.count == 1)
            #expect(try await fixture.number("SELECT count(*) FROM messages") == 3)
        }
    }

    @Test("After a revocation committed nothing more is accepted, hundreds of times (I3)")
    func acceptRacesRevoke() async throws {
        try await StoreFixture.run(connections: 16) { fixture in
            _ = try await atOnce(60) { index in
                let device = try await fixture.paired("t-\(index)", credential: StoreFixture.key(index))
                let session = try await fixture.session(device)
                let isRevoked = Atomic(false)
                async let accepted = atOnce(4) { sender -> Int in
                    for number in 0..<100 {
                        let wasRevoked = isRevoked.load(ordering: .sequentiallyConsistent)
                        let outcome = try await fixture.store.accept([
                            message(session, "\(sender)-\(number)")
                        ])[0]
                        if case .refused(let refusal) = outcome {
                            #expect(refusal.code == .notPaired)
                            #expect(refusal.reason == "revoked")
                            return number
                        }
                        #expect(!wasRevoked, "accepted after the revocation committed")
                    }
                    return 100
                }
                try await Task.sleep(for: .milliseconds(index % 20))
                _ = try await fixture.store.revoke(
                    device.senderID, channel: nil, generation: nil, by: StoreFixture.admin
                ).done()
                isRevoked.store(true, ordering: .sequentiallyConsistent)
                let stored = try await fixture.number(
                    "SELECT count(*) FROM messages WHERE sender_key = $1", [.text("t-\(index)")])
                // What is counted after the revocation is all there will ever be.
                #expect(try await accepted.reduce(0, +) == stored)
                #expect(try await fixture.store.reply([reply(session, to: 1)]) == [[]])
                #expect(
                    try await fixture.store.openMessages(.inbound, of: session, after: 0, upTo: .max) == nil)
            }
        }
    }

    @Test("A message of an older pairing is refused after the device was paired again (I3)")
    func olderGeneration() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("a")
            let old = try await fixture.session(device)
            _ = try await fixture.store.accept([message(old, "1")])
            _ = try await fixture.store.revoke(
                device.senderID, channel: nil, generation: nil, by: StoreFixture.admin
            ).done()
            let new = try await fixture.session(fixture.paired("a"))
            let outcomes = try await fixture.store.accept([message(old, "2"), message(new, "1")])
            #expect(try outcomes[0].refusal().reason == "revoked")
            #expect(try outcomes[1].done() == PairingStore.Acceptance(sequence: 1, isRepeat: false))
            #expect(try await open(.inbound, of: new, in: fixture.store) == [1])
            #expect(try await open(.outbound, of: new, in: fixture.store) == [])
        }
    }

    @Test("A session that a newer one replaced accepts and is handed nothing more: the newer one is")
    func replacedSession() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("a")
            let old = try await fixture.session(device)
            _ = try await fixture.store.accept([message(old, "1"), message(old, "2")])
            _ = try await fixture.store.reply([reply(old, to: 1)])
            let new = try await fixture.session(device, on: StoreFixture.instances[1])
            #expect(try await open(.inbound, of: new, in: fixture.store) == [2])
            #expect(try await open(.outbound, of: new, in: fixture.store) == [1])
            // What came by the old one from here on would wait for a third connection.
            #expect(try await fixture.store.accept([message(old, "3")])[0].refusal().code == .notPaired)
            #expect(try await fixture.store.reply([reply(new, to: 2)])[0].first?.sequence == 2)
            #expect(try await fixture.store.openMessages(.outbound, of: old, after: 0, upTo: .max) == nil)
        }
    }

    @Test("An answer is stored once, and delivered again until the device has acknowledged it")
    func redelivery() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("a")
            var session = try await fixture.session(device)
            _ = try await fixture.store.accept((1...5).map { message(session, "\($0)") })
            let replies = try await fixture.store.reply((1...4).map { reply(session, to: $0) })
            #expect(replies.map { $0.first?.sequence } == [1, 2, 3, 4])
            #expect(try await fixture.store.reply([reply(session, to: 2)]) == [[]])
            let same = try await fixture.store.reply([reply(session, to: 5), reply(session, to: 5)])
            #expect(same.map { $0.first?.sequence } == [5, nil])
            try await fixture.store.acknowledge([
                PairingStore.Acknowledgement(session: session, sequence: 3)
            ])
            session = try await fixture.session(device)
            #expect(try await open(.inbound, of: session, in: fixture.store) == [])
            let unacknowledged = try #require(
                try await fixture.store.openMessages(.outbound, of: session, after: 0, upTo: .max)
            ).messages
            #expect(unacknowledged.map(\.sequence) == [4, 5])
            #expect(unacknowledged.map(\.body) == ["\"4\"", "\"5\""])
            #expect(unacknowledged.map(\.agent) == ["echo", "echo"])
        }
    }

    @Test(
        "An acknowledgement out of range acknowledges what there is, and never goes back",
        arguments: [Int64.min, -1, 0, 2, 3, 4, .max])
    func acknowledgementRange(_ sequence: Int64) async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("a")
            let session = try await fixture.session(device)
            _ = try await fixture.store.accept((1...3).map { message(session, "\($0)") })
            _ = try await fixture.store.reply((1...3).map { reply(session, to: $0) })
            func acknowledge(_ sequence: Int64) async throws {
                try await fixture.store.acknowledge([
                    PairingStore.Acknowledgement(session: session, sequence: sequence)
                ])
            }
            try await acknowledge(1)
            try await acknowledge(sequence)
            let expected = min(max(sequence, 1), 3)
            #expect(
                try await fixture.number("SELECT acknowledged_out FROM device_streams") == Int(expected))
            // A later message is not acknowledged by an earlier acknowledgement that was too great.
            _ = try await fixture.store.accept([message(session, "4")])
            #expect(try await fixture.store.reply([reply(session, to: 4)])[0].first?.sequence == 4)
            let again = try await fixture.session(device)
            #expect(
                try await open(.outbound, of: again, in: fixture.store) == Array((expected + 1)...4))
        }
    }

    @Test("A device that acknowledges nothing is refused after a thousand, and can then catch up with all")
    func backpressure() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("a")
            let session = try await fixture.session(device)
            // As when an agent failed for a while: what waited for an answer is answered after all.
            let most = Int(MessageLimits().unacknowledged)
            for messages in [1...500, 501...most + 500] {
                let accepted = try await fixture.store.accept(messages.map { message(session, "\($0)") })
                #expect(accepted.allSatisfy { (try? $0.done()) != nil })
                _ = try await fixture.store.reply(messages.map { reply(session, to: Int64($0)) })
            }
            let refusal = try await fixture.store.accept([message(session, "more")])[0].refusal()
            #expect(refusal.reason == "unacknowledged")
            #expect(refusal.retryable)
            let again = try await fixture.session(device)
            #expect(
                try await open(.outbound, of: again, in: fixture.store) == Array(1...Int64(most + 500)))
            try await fixture.store.acknowledge([
                PairingStore.Acknowledgement(session: again, sequence: Int64(most))
            ])
            _ = try await fixture.store.accept([message(again, "more")])[0].done()
        }
    }

    @Test(
        "A device whose messages nobody answers is refused after a thousand, and goes on once one is answered"
    )
    func unanswered() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a", credential: StoreFixture.key(1)))
            let other = try await fixture.session(fixture.paired("b", credential: StoreFixture.key(2)))
            let most = Int(MessageLimits().unanswered)
            let accepted = try await fixture.store.accept((1...most + 1).map { message(session, "\($0)") })
            #expect(accepted.prefix(most).allSatisfy { (try? $0.done()) != nil })
            #expect(try accepted[most].refusal().reason == "unanswered")
            let nothing = PairingStore.InboundMessage(
                session: session, messageID: "nothing", body: "1", forwarded: [])
            let outcomes = try await fixture.store.accept([
                message(session, "more"), message(session, "1"), message(other, "1"), nothing,
            ])
            #expect(try outcomes[0].refusal().code == .resourceExhausted)
            #expect(try outcomes[0].refusal().retryable)
            #expect(try outcomes[1].done().isRepeat)
            #expect(try outcomes[2].done().sequence == 1)
            // None overtakes one that came together with it; later, what needs no answer waits for none.
            #expect(try outcomes[3].refusal().reason == "unanswered")
            #expect(try await fixture.store.accept([nothing])[0].done().sequence == Int64(most + 1))
            _ = try await fixture.store.reply([reply(session, to: 7)])
            let more = try await fixture.store.accept([message(session, "more"), message(session, "again")])
            #expect(try more[0].done().sequence == Int64(most + 2))
            #expect(try more[1].refusal().reason == "unanswered")
        }
    }

    /// The numbers of all that is open, page by page.
    func open(
        _ direction: PairingStore.MessageDirection, of session: PairingStore.LiveSession,
        in store: PairingStore
    ) async throws -> [Int64] {
        try await openMessages(direction, of: session, in: store).map(\.sequence)
    }

    func openMessages(
        _ direction: PairingStore.MessageDirection, of session: PairingStore.LiveSession,
        in store: PairingStore
    ) async throws -> [PairingStore.StoredMessage] {
        var messages: [PairingStore.StoredMessage] = []
        while true {
            let page = try #require(
                try await store.openMessages(
                    direction, of: session, after: messages.last?.sequence ?? 0, upTo: .max)
            ).messages
            if page.isEmpty { return messages }
            messages += page
        }
    }

    @Test("Catching up ends with what there was at its beginning")
    func catchingUpEnds() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            _ = try await fixture.store.accept((1...3).map { message(session, "\($0)") })
            let first = try #require(
                try await fixture.store.openMessages(.inbound, of: session, after: 0, upTo: .max))
            #expect(first.newest == 3)
            _ = try await fixture.store.accept([message(session, "4")])
            let next = try #require(
                try await fixture.store.openMessages(.inbound, of: session, after: 1, upTo: first.newest))
            #expect(next.messages.map(\.sequence) == [2, 3])
        }
    }

    @Test("Batches of messages of the same devices in different orders never deadlock")
    func lockOrder() async throws {
        try await StoreFixture.run(connections: 16) { fixture in
            var sessions: [PairingStore.LiveSession] = []
            for index in 0..<30 {
                sessions.append(
                    try await fixture.session(
                        fixture.paired("t-\(index)", credential: StoreFixture.key(index))))
            }
            let all = sessions
            _ = try await atOnce(40) { index in
                let shuffled = all.shuffled()
                let outcomes = try await fixture.store.accept(
                    shuffled.map { message($0, "\(index)") })
                let sequences = try outcomes.map { try $0.done().sequence }
                _ = try await fixture.store.reply(
                    zip(shuffled, sequences).map { reply($0, to: $1) }.shuffled())
                try await fixture.store.acknowledge(
                    all.shuffled().map { PairingStore.Acknowledgement(session: $0, sequence: Int64(index)) })
            }
            #expect(try await fixture.number("SELECT count(*) FROM messages") == 30 * 40 * 2)
            #expect(
                try await fixture.number(
                    "SELECT count(*) FROM device_streams WHERE next_in <> 41 OR next_out <> 41") == 0)
        }
    }

    @Test("A refused message of one device leaves the others of its batch alone (I10)")
    func mixedBatch() async throws {
        try await StoreFixture.run { fixture in
            let good = try await fixture.session(fixture.paired("good", credential: StoreFixture.key(1)))
            let device = try await fixture.paired("revoked", credential: StoreFixture.key(2))
            let revoked = try await fixture.session(device)
            _ = try await fixture.store.revoke(
                device.senderID, channel: nil, generation: nil, by: StoreFixture.admin
            ).done()
            let unknown = PairingStore.LiveSession(
                senderID: try StoreFixture.sender("unknown"), generation: Generation(1), epoch: Epoch(1))
            let outcomes = try await fixture.store.accept([
                message(revoked, "1"), message(good, "1"), message(unknown, "1"), message(good, "2"),
            ])
            #expect(outcomes.map { (try? $0.done())?.sequence } == [nil, 1, nil, 2])
        }
    }

    @Test("What was never acknowledged is settled by the revocation, so that it is removed in time")
    func revocationSettles() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("a")
            let session = try await fixture.session(device)
            _ = try await fixture.store.accept([message(session, "1"), message(session, "2")])
            _ = try await fixture.store.reply([reply(session, to: 1)])
            _ = try await fixture.store.revoke(
                device.senderID, channel: nil, generation: nil, by: StoreFixture.admin
            ).done()
            #expect(try await fixture.number("SELECT count(*) FROM messages WHERE done_at IS NULL") == 0)
        }
    }
}
