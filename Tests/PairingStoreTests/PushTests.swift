import PairingCore
import Postgres
import Testing

@testable import PairingStore

@Suite("Pushes, and what became of messages (I4)")
struct PushTests {
    private func push(
        _ sender: String, _ id: String, body: String = "1", lifetime: Duration? = nil
    ) throws -> PairingStore.Push {
        PairingStore.Push(
            senderID: try StoreFixture.sender(sender), pushID: id, agent: "maria", body: body,
            lifetime: lifetime,
            actor: StoreFixture.admin.actor)
    }

    private func key(_ session: PairingStore.LiveSession, _ id: String) -> PairingStore.MessageKey {
        PairingStore.MessageKey(session: session, messageID: id)
    }

    private let claim = PairingStore.WorkClaim(instance: StoreFixture.instances[0], lease: .seconds(60))

    @Test("The same push ID is the same message, in one batch, at the same moment and later")
    func idempotent() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.paired("a")
            let batch = try await fixture.store.push(
                [push("a", "x"), push("a", "y"), push("a", "x", body: "2")], by: nil)
            #expect(try batch.map { try $0.done().report.sequence } == [1, 2, 1])
            let repeats = try await atOnce(20) { _ in
                try await fixture.store.push([push("a", "z")], by: nil)[0].done().report.sequence
            }
            #expect(Set(repeats) == [3])
            #expect(try await fixture.number("SELECT count(*) FROM messages") == 3)
            #expect(try await fixture.number("SELECT unacknowledged_bytes FROM device_streams") == 3)
            #expect(try await fixture.store.push([push("b", "x")], by: nil)[0].refusal().code == .notFound)
        }
    }

    @Test(
        "A push is accepted until the device has acknowledged it, then delivered; a revocation withdraws it")
    func life() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let id = session.senderID
            _ = try await fixture.store.push([push("a", "x"), push("a", "y")], by: nil)
            let page = try #require(
                try await fixture.store.openMessages(.outbound, of: session, after: 0, upTo: .max))
            #expect(page.messages.map(\.agent) == ["maria", "maria"])
            try await fixture.store.acknowledge([PairingStore.Acknowledgement(session: session, sequence: 1)])
            #expect(try await fixture.store.pushReport(of: id, pushID: "x")?.status == .delivered)
            #expect(try await fixture.store.pushReport(of: id, pushID: "y")?.status == .accepted)
            #expect(try await fixture.store.pushReport(of: id, pushID: "none") == nil)
            try await fixture.store.leaveOut(
                [PairingStore.Acknowledgement(session: session, sequence: 2)],
                as: PairingStore.MessageEnd(.undeliverable, reason: "channel_failed"))
            #expect(
                try await fixture.store.pushReport(of: id, pushID: "y")
                    == MessageReport(sequence: 2, status: .undeliverable, reason: "channel_failed"))
            #expect(
                try await fixture.store.push([push("a", "y")], by: nil)[0].done().report.status
                    == .undeliverable)
        }
    }

    @Test("A push that waits for longer than it is wanted ends as expired, and what follows it is handed out")
    func expiry() async throws {
        try await StoreFixture.run { fixture in
            let a = try await fixture.session(fixture.paired("a", credential: StoreFixture.key(1)))
            try await fixture.paired("b", credential: StoreFixture.key(2))
            _ = try await fixture.store.push(
                [
                    push("a", "x", lifetime: .seconds(60)), push("b", "x", lifetime: .seconds(60)),
                    push("a", "y"),
                    push("b", "y", lifetime: .seconds(3600)),
                ], by: nil)
            try await fixture.pool.execute(
                "UPDATE messages SET expires_at = expires_at - interval '2 minutes' WHERE push_id = 'x'")
            let page = try #require(
                try await fixture.store.openMessages(.outbound, of: a, after: 0, upTo: .max))
            #expect(page.messages.map(\.sequence) == [2])
            #expect(try await fixture.store.expireDueMessages() == 2)
            #expect(try await fixture.store.expireDueMessages() == 0)
            let report = try await fixture.store.pushReport(of: a.senderID, pushID: "x")
            #expect(report == MessageReport(sequence: 1, status: .expired, reason: "expired"))
            #expect(
                try await fixture.number(
                    "SELECT count(*) FROM device_streams WHERE acknowledged_out = 1 AND unacknowledged_bytes = 1"
                )
                    == 2)
        }
    }

    @Test("What waits for a device is bounded in count and in bytes, and a push on top is refused")
    func full() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.paired("a")
            let most = Int(MessageLimits().unacknowledged)
            let outcomes = try await fixture.store.push((0...most).map { try push("a", "\($0)") }, by: nil)
            #expect(outcomes.prefix(most).allSatisfy { (try? $0.done()) != nil })
            let refusal = try outcomes[most].refusal()
            #expect(
                refusal.code == .resourceExhausted && refusal.reason == "device_full" && refusal.retryable)
            try await fixture.paired("b", credential: StoreFixture.key(2))
            let body = "\"" + String(repeating: "x", count: 1 << 20) + "\""
            let large = try await fixture.store.push(
                (0..<8).map { try push("b", "\($0)", body: body) }, by: nil)
            #expect(large.filter { (try? $0.done()) != nil }.count == 7)
        }
    }

    @Test("A device's message is accepted, at work, answered and, once that is acknowledged, delivered")
    func reports() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            func status(_ id: String) async throws -> MessageStatus? {
                try await fixture.store.messageReport(of: key(session, id))?.status
            }
            _ = try await fixture.store.accept(
                ["1", "2"].map { PairingStore.InboundMessage(session: session, messageID: $0, body: $0) },
                claim: claim)
            #expect(try await status("1") == .working)
            #expect(try await status("2") == .accepted)
            #expect(try await status("3") == nil)
            _ = try await fixture.store.reply([
                PairingStore.Reply(
                    session: session, inReplyTo: 1,
                    answers: [PairingStore.AgentReply(agent: "echo", body: "1")])
            ])
            #expect(try await status("1") == .answered)
            try await fixture.store.acknowledge([PairingStore.Acknowledgement(session: session, sequence: 1)])
            #expect(try await status("1") == .delivered)
        }
    }

    @Test(
        "A message that its device gives up is withdrawn once, and makes room; an answered one stays answered"
    )
    func aborted() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            _ = try await fixture.store.accept(
                ["1", "2"].map { PairingStore.InboundMessage(session: session, messageID: $0, body: $0) },
                claim: claim)
            let one = StoreFixture.instances[0]
            let first = try #require(try await fixture.store.abort(key(session, "1"), by: one).done())
            let withdrawn = MessageReport(sequence: 1, status: .withdrawn, reason: "aborted")
            #expect(first == PairingStore.AbortedMessage(report: withdrawn, isNew: true))
            let again = try #require(try await fixture.store.abort(key(session, "1"), by: one).done())
            #expect(again == PairingStore.AbortedMessage(report: withdrawn, isNew: false))
            #expect(try await fixture.number("SELECT unanswered FROM device_streams") == 1)
            let outcome = try await fixture.store.settle(
                [1, 2].map {
                    PairingStore.Settlement(
                        sender: PairingStore.PairedSender(
                            senderID: session.senderID, generation: session.generation),
                        sequence: $0, messageID: "m",
                        result: .answered([PairingStore.AgentReply(agent: "echo", body: "1")]))
                }, for: claim)
            #expect(outcome[0] == .over)
            let late = try #require(try await fixture.store.abort(key(session, "2"), by: one).done())
            #expect(late.report.status == .answered && !late.isNew)
            #expect(try await fixture.store.abort(key(session, "3"), by: one).done() == nil)
        }
    }
}
