import Logging
import PairingCore
import Postgres
import Testing

@testable import PairingStore

@Suite("Claims on agents' work (I4)")
struct AgentWorkTests {
    private func claim(_ instance: Int, lease: Duration = .seconds(60)) -> PairingStore.WorkClaim {
        PairingStore.WorkClaim(instance: StoreFixture.instances[instance], lease: lease)
    }

    private func messages(
        _ session: PairingStore.LiveSession, _ ids: ClosedRange<Int>
    ) -> [PairingStore.InboundMessage] {
        ids.map { PairingStore.InboundMessage(session: session, messageID: "\($0)", body: "\($0)") }
    }

    private func settlement(
        _ session: PairingStore.LiveSession, _ sequence: Int64,
        _ result: PairingStore.Settlement.Result? = nil
    ) -> PairingStore.Settlement {
        PairingStore.Settlement(
            sender: PairingStore.PairedSender(senderID: session.senderID, generation: session.generation),
            sequence: sequence, messageID: "\(sequence)",
            result: result ?? .answered([PairingStore.AgentReply(agent: "echo", body: "\(sequence)")]))
    }

    private func work(_ outcome: PairingStore.ClaimOutcome?) throws -> PairingStore.ClaimedWork {
        guard case .claimed(let work)? = outcome else { throw Unexpected("work", outcome as Any) }
        return work
    }

    @Test("A message is claimed with its acceptance, and nobody else gets the device's work while that lasts")
    func claimedAtOnce() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let accepted = try await fixture.store.accept(messages(session, 1...2), claim: claim(0))
            #expect(try accepted.map { try $0.done().openBefore } == [0, 1])
            let other = try await fixture.store.accept(messages(session, 3...3), claim: claim(1))
            #expect(try other[0].done().openBefore == nil)
            let id = session.senderID
            #expect(try await fixture.store.claimWork(of: [(id, 0)], for: claim(1)) == ["a": .taken])
            #expect(try await fixture.store.claimDueWork(limit: 10, for: claim(1), preference: .zero).isEmpty)
            #expect(try await fixture.store.settle([settlement(session, 1)], for: claim(1)) == [.lost])
            let mine = try work(try await fixture.store.claimWork(of: [(id, 0)], for: claim(0))["a"])
            #expect(mine.messages.map(\.sequence) == [1, 2, 3] && mine.isWhole && mine.newest == 3)
            #expect(mine.messages.map(\.messageID) == ["1", "2", "3"])
            let repeated = try await fixture.store.accept(messages(session, 2...2), claim: claim(0))[0].done()
            #expect(repeated.isRepeat && repeated.openBefore == 3)
        }
    }

    @Test("Once all is answered anybody may claim what comes next")
    func idle() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            _ = try await fixture.store.accept(messages(session, 1...1), claim: claim(0))
            guard
                case .stored(let stored) = try await fixture.store.settle(
                    [settlement(session, 1)], for: claim(0))[0]
            else { throw Unexpected("an answer", "none") }
            #expect(stored.open == 0 && stored.epoch == session.epoch && !stored.isElsewhere)
            #expect(stored.messages.map(\.sequence) == [1] && stored.messages[0].inReplyTo == "1")
            let next = try await fixture.store.accept(messages(session, 2...2), claim: claim(1))[0].done()
            #expect(next.openBefore == 0)
            #expect(try await fixture.store.settle([settlement(session, 2)], for: claim(0)) == [.lost])
        }
    }

    @Test("Work whose claim has lapsed is found by whoever looks, the gateway of the device's socket first")
    func lapsed() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"), on: StoreFixture.instances[2])
            try await fixture.store.register(StoreFixture.instances[2], name: "three", lease: .seconds(60))
            _ = try await fixture.store.accept(messages(session, 1...3), claim: claim(0, lease: .zero))
            #expect(try await fixture.store.claimDueWork(limit: 10, for: claim(1)).isEmpty)
            let found = try await fixture.store.claimDueWork(limit: 10, for: claim(2))
            #expect(found.map { $0.messages.map(\.sequence) } == [[1, 2, 3]])
            #expect(found.first?.channel == StoreFixture.web)
            #expect(try await fixture.store.claimDueWork(limit: 10, for: claim(1), preference: .zero).isEmpty)
            #expect(try await fixture.store.settle([settlement(session, 1)], for: claim(0)) == [.lost])
            try await fixture.store.releaseWork(of: ["a"], by: StoreFixture.instances[2])
            #expect(
                try await fixture.store.claimDueWork(limit: 10, for: claim(1), preference: .zero).count == 1)
            #expect(try await fixture.store.renewWork(of: ["a"], for: claim(1)) == ["a"])
            #expect(try await fixture.store.renewWork(of: ["a"], for: claim(2)) == [])
        }
    }

    @Test("A device without work leaves the list of those with work")
    func leavesList() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            _ = try await fixture.store.accept(messages(session, 1...1), claim: claim(0, lease: .zero))
            _ = try await fixture.store.settle([settlement(session, 1)], for: claim(0, lease: .zero))
            #expect(try await fixture.store.claimDueWork(limit: 10, for: claim(1)).isEmpty)
            #expect(
                try await fixture.number(
                    "SELECT count(*) FROM device_streams WHERE claimed_until IS NOT NULL") == 0)
        }
    }

    @Test("Failures are counted and wait; an end without an answer is recorded")
    func failures() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            _ = try await fixture.store.accept(messages(session, 1...2), claim: claim(0))
            _ = try await fixture.store.settle(
                [settlement(session, 1, .failed(attempts: 3, delay: .seconds(30)))], for: claim(0))
            let waiting = try work(
                try await fixture.store.claimWork(of: [(session.senderID, 0)], for: claim(0))["a"])
            #expect(waiting.messages.map(\.attempts) == [3, 0])
            #expect(waiting.messages[0].delay > .seconds(20) && waiting.messages[1].delay == .zero)
            let outcomes = try await fixture.store.settle(
                [
                    settlement(session, 1, .undeliverable(reason: "refused")),
                    settlement(session, 2, .answered([])),
                ],
                for: claim(0))
            guard case .stored(let last) = outcomes[1] else { throw Unexpected("stored", outcomes[1]) }
            #expect(last.open == 0 && last.messages.isEmpty)
            #expect(try await fixture.store.settle([settlement(session, 1)], for: claim(0)) == [.over])
            let row = try #require(
                try await fixture.pool.query("SELECT ended, end_reason FROM messages WHERE sequence = 1")
                    .first)
            #expect(try row.text("ended") == "undeliverable" && row.text("end_reason") == "refused")
            #expect(try await fixture.number("SELECT unanswered + unanswered_bytes FROM device_streams") == 0)
        }
    }

    @Test("A page of work has a greatest size, and what lies behind it is read from where it ended")
    func pages() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let body = "\"" + String(repeating: "x", count: 400 << 10) + "\""
            _ = try await fixture.store.accept(
                (1...5).map { PairingStore.InboundMessage(session: session, messageID: "\($0)", body: body) },
                claim: claim(0))
            _ = try await fixture.store.accept(messages(session, 6...60), claim: claim(0))
            var read: [Int64] = []
            var pages = 0
            while true {
                let page = try work(
                    try await fixture.store.claimWork(
                        of: [(session.senderID, read.last ?? 0)], for: claim(0))["a"])
                #expect(page.messages.reduce(0) { $0 + $1.bytes } < 3 << 19)
                read += page.messages.map(\.sequence)
                pages += 1
                if page.isWhole { break }
            }
            #expect(read == Array(1...60) && pages > 2)
        }
    }

    @Test("A device that somebody has locked is left out, and the others of the batch are settled (I10)")
    func locked() async throws {
        try await StoreFixture.run { fixture in
            let a = try await fixture.session(fixture.paired("a", credential: StoreFixture.key(1)))
            let b = try await fixture.session(fixture.paired("b", credential: StoreFixture.key(2)))
            _ = try await fixture.store.accept(messages(a, 1...1) + messages(b, 1...1), claim: claim(0))
            let hold = fixture.pool
            let (started, start) = AsyncStream.makeStream(of: Void.self)
            let holder = Task {
                try await hold.transaction { transaction in
                    try transaction.execute("SELECT FROM device_streams WHERE sender_key = 'a' FOR UPDATE")
                    start.finish()
                    try transaction.execute("SELECT pg_sleep(2)")
                }
            }
            for await _ in started {}
            let settled = try await fixture.store.settle(
                [settlement(a, 1), settlement(b, 1)], for: claim(0))
            #expect(settled[0] == .locked)
            guard case .stored = settled[1] else { throw Unexpected("stored", settled[1]) }
            #expect(try await fixture.store.claimWork(of: [(a.senderID, 0)], for: claim(0)) == ["a": .locked])
            try await holder.value
        }
    }

    @Test("An answer for a device whose session is on another gateway wakes that one, once for a batch")
    func wakes() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"), on: StoreFixture.instances[1])
            try await fixture.store.register(StoreFixture.instances[1], name: "two", lease: .seconds(60))
            _ = try await fixture.store.accept(messages(session, 1...3), claim: claim(0))
            let listener = PostgresListener(
                configuration: try PostgresConfiguration(fixture.url), channels: [PairingStore.wakesChannel],
                logger: .init(label: "test"))
            let run = Task { try await listener.run() }
            var events = StoreHints(listener).hints.makeAsyncIterator()
            func next() async throws -> StoreHints.Hint? { try await events.next() }
            // The first says that the connection is there.
            #expect(try await next() == .readFeed)
            let outcomes = try await fixture.store.settle(
                [settlement(session, 1), settlement(session, 2)], for: claim(0))
            guard case .stored(let stored) = outcomes[0] else { throw Unexpected("stored", outcomes[0]) }
            #expect(stored.isElsewhere && stored.epoch == nil && stored.open == 1)
            #expect(try await next() == .wake(.deliver, ["a"], on: StoreFixture.instances[1]))
            try await fixture.store.releaseWork(of: ["a"], by: StoreFixture.instances[0])
            #expect(try await next() == .wake(.work, ["a"], on: StoreFixture.instances[1]))
            run.cancel()
            _ = await run.result
        }
    }
}
