import PairingCore
import Postgres
import Testing

@testable import PairingStore

@Suite("What devices say that is no message")
struct DeviceWordTests {
    private let claim = PairingStore.WorkClaim(instance: StoreFixture.instances[0], lease: .seconds(60))

    @Test(
        "A receipt finds who said the message, and keeps when it was read first; another pairing's finds nothing"
    )
    func receipts() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let push = PairingStore.Push(
                senderID: session.senderID, pushID: "p", agent: "support", body: "1", lifetime: nil,
                actor: StoreFixture.admin.actor)
            _ = try await fixture.store.push([push], by: nil)
            func read(_ number: Int64, isRead: Bool = true, generation: Int64 = 1) async throws
                -> PairingStore.ReceiptedMessage?
            {
                try await fixture.store.receipted(
                    number, isRead: isRead,
                    by: PairingStore.PairedSender(
                        senderID: session.senderID, generation: Generation(generation)))
            }
            let delivered = try #require(try await read(1, isRead: false))
            #expect(delivered.agent == "support" && delivered.pushID == "p" && delivered.inReplyTo == nil)
            #expect(try await fixture.store.pushReport(of: session.senderID, pushID: "p")?.readAt == nil)
            let first = try #require(try await read(1))
            #expect(try await read(1) == first)
            #expect(
                try await fixture.store.pushReport(of: session.senderID, pushID: "p")
                    == MessageReport(sequence: 1, status: .accepted, readAt: first.at))
            #expect(try await read(2) == nil)
            await #expect(throws: Refusal.pairingEnded) { try await read(1, generation: 2) }
            let administrator = StoreFixture.admin
            _ = try await fixture.store.revoke(
                session.senderID, channel: nil, generation: nil, by: administrator
            ).done()
            await #expect(throws: Refusal.pairingEnded) { try await read(1) }
        }
    }

    @Test("A receipt of an answer names the message that it answers")
    func answers() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let sender = PairingStore.PairedSender(
                senderID: session.senderID, generation: session.generation)
            _ = try await fixture.store.accept(
                [PairingStore.InboundMessage(session: session, messageID: "q", body: "1")], claim: claim)
            _ = try await fixture.store.settle(
                [
                    PairingStore.Settlement(
                        sender: sender, sequence: 1, messageID: "q",
                        result: .answered([PairingStore.AgentReply(agent: "echo", body: "1")]))
                ], for: claim)
            let receipted = try #require(try await fixture.store.receipted(1, isRead: true, by: sender))
            #expect(receipted.agent == "echo" && receipted.inReplyTo == "q" && receipted.pushID == nil)
        }
    }

    @Test("What is told to an agent without a question stays so in the store")
    func notices() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let parts = [
                PairingStore.ForwardedMessage(agent: "", body: "1"),
                PairingStore.ForwardedMessage(agent: "support", body: "2", isNotice: true),
            ]
            _ = try await fixture.store.accept([
                PairingStore.InboundMessage(session: session, messageID: "q", body: "1", forwarded: parts)
            ])
            let work = try await fixture.store.claimWork(of: [(session.senderID, 0)], for: claim)
            guard case .claimed(let claimed)? = work[session.senderID.key] else {
                Issue.record("not claimed: \(work)")
                return
            }
            #expect(claimed.messages.first?.parts == parts)
        }
    }

    @Test(
        "Silence periods of a device are those of its channel until it says otherwise; a change is looked at")
    func silence() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let sender = PairingStore.PairedSender(
                senderID: session.senderID, generation: session.generation)
            let web = try #require(StoreFixture.web)
            func periods() async throws -> [[Duration]?] {
                try await fixture.store.takeSilent(of: [web]).map(\.periods)
            }
            #expect(try await periods() == [nil])
            #expect(try await periods() == [])
            try await fixture.store.keepSilencePeriods([(sender, [.seconds(3), .seconds(9)])])
            #expect(try await periods() == [[.seconds(3), .seconds(9)]])
            // The same again is no change.
            try await fixture.store.keepSilencePeriods([(sender, [.seconds(3), .seconds(9)])])
            #expect(try await periods() == [])
            try await fixture.store.keepSilencePeriods([(sender, [])])
            #expect(try await periods() == [[]])
            try await fixture.store.keepSilencePeriods([(sender, nil)])
            #expect(try await periods() == [nil])
        }
    }

    @Test("A device is in the background until it says otherwise, or has another session")
    func background() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("a")
            let session = try await fixture.session(device)
            func isInBackground() async throws -> Bool {
                try await fixture.number("SELECT count(*) FROM device_sessions WHERE in_background") == 1
            }
            try await fixture.store.setBackground(true, of: session)
            #expect(try await isInBackground())
            try await fixture.store.setBackground(false, of: session)
            #expect(try await !isInBackground())
            try await fixture.store.setBackground(true, of: session)
            _ = try await fixture.session(device)
            #expect(try await !isInBackground())
            // That session is over.
            try await fixture.store.setBackground(true, of: session)
            #expect(try await !isInBackground())
        }
    }
}
