import PairingCore
import PairingStore
import Testing

@Suite("What may wait for a device is bounded (I4, I10)")
struct OverflowTests {
    private let claim = PairingStore.WorkClaim(instance: StoreFixture.instances[0], lease: .seconds(60))

    /// Two that wait for the device and two that wait for answers: four may wait once those are answered.
    private func store(_ fixture: StoreFixture, bytes: Int64 = 1 << 20) -> PairingStore {
        var limits = MessageLimits()
        limits.unacknowledged = 2
        limits.unanswered = 2
        limits.unacknowledgedBytes = bytes
        limits.unansweredBytes = bytes
        return PairingStore(pool: fixture.pool, limits: limits)
    }

    private func settle(
        _ store: PairingStore, _ session: PairingStore.LiveSession, _ sequence: Int64, _ bodies: [String]
    ) async throws -> PairingStore.StoredSettlement {
        let outcome = try await store.settle(
            [
                PairingStore.Settlement(
                    sender: PairingStore.PairedSender(
                        senderID: session.senderID, generation: session.generation),
                    sequence: sequence, messageID: "\(sequence)",
                    result: .answered(bodies.map { PairingStore.AgentReply(agent: "a", body: $0) }))
            ], for: claim
        ).first
        guard case .stored(let stored)? = outcome else { throw Unexpected("stored", outcome) }
        return stored
    }

    private func send(
        _ store: PairingStore, _ session: PairingStore.LiveSession, _ ids: [String]
    ) async throws {
        let accepted = try await store.accept(
            ids.map { PairingStore.InboundMessage(session: session, messageID: $0, body: "1") }, claim: claim)
        for outcome in accepted { _ = try outcome.done() }
    }

    @Test("Answers beyond what may wait end the oldest messages as overflowed, and whoever asks is told")
    func oldest() async throws {
        try await StoreFixture.run { fixture in
            let store = store(fixture)
            let session = try await fixture.session(fixture.paired("a"))
            let push = PairingStore.Push(
                senderID: session.senderID, pushID: "p", agent: "a", body: "1", lifetime: nil,
                actor: StoreFixture.admin.actor)
            _ = try await store.push([push], by: nil)[0].done()
            try await send(store, session, ["1", "2"])
            // As many as may wait: nothing is lost.
            #expect(try await settle(store, session, 1, ["1", "2", "3"]).overflowed == 0)
            let stored = try await settle(store, session, 2, ["4", "5"])
            #expect(stored.overflowed == 2)
            let ended = MessageReport(sequence: 1, status: .overflowed, reason: "overflowed")
            #expect(try await store.pushReport(of: session.senderID, pushID: "p") == ended)
            let report = PairingStore.MessageKey(session: session, messageID: "1")
            #expect(try await store.messageReport(of: report)?.status == .overflowed)
            let other = PairingStore.MessageKey(session: session, messageID: "2")
            #expect(try await store.messageReport(of: other)?.status == .answered)
            let open = try #require(
                try await store.openMessages(.outbound, of: session, after: 0, upTo: .max))
            #expect(open.messages.map(\.body) == ["2", "3", "4", "5"])
            #expect(
                try await fixture.number(
                    "SELECT count(*) FROM device_streams WHERE acknowledged_out = 2 AND unacknowledged_bytes = 4"
                )
                    == 1)
            // The device goes on with what is left.
            try await store.acknowledge([
                PairingStore.Acknowledgement(session: session, sequence: 6, after: 2)
            ])
            try await send(store, session, ["3"])
        }
    }

    @Test("… and so do their bytes; the newest always fits")
    func bytes() async throws {
        try await StoreFixture.run { fixture in
            let store = store(fixture, bytes: 10)
            let session = try await fixture.session(fixture.paired("a"))
            try await send(store, session, ["1"])
            let large = "\"" + String(repeating: "x", count: 30) + "\""
            #expect(try await settle(store, session, 1, ["1", "2", large]).overflowed == 2)
            let open = try #require(
                try await store.openMessages(.outbound, of: session, after: 0, upTo: .max))
            #expect(open.messages.map(\.body) == [large])
        }
    }
}
