import PairingCore
import PairingStore
import Postgres
import Synchronization
import Testing

@Suite("The event feed (I8)")
struct EventTests {
    @Test("Every action is one event that says who, what, where and on which generation")
    func oneEventPerAction() async throws {
        try await StoreFixture.run { fixture in
            let store = fixture.store
            let request = try await fixture.pending("Tablet-01")
            _ = try await store.approve(request.id, code: request.code, by: StoreFixture.admin).done()
            _ = try await store.revoke(
                request.senderID, channel: nil, generation: nil,
                by: Origination(.apiToken(owner: "maria", name: "ci"))
            ).done()
            let other = try await fixture.pending("tablet-02", credential: StoreFixture.key(2))
            _ = try await store.deny(
                other.id, code: other.code, by: Origination(.operatingSystem("root"))
            ).done()
            let events = try await fixture.events()
            #expect(events.map(\.position) == [1, 2, 3, 4, 5])
            #expect(
                events.map(\.event) == [
                    "pairing.requested", "pairing.approved", "pairing.revoked", "pairing.requested",
                    "pairing.denied",
                ])
            #expect(
                events.map(\.actorKind) == [
                    "device", "administrator", "api_token", "device", "operating_system",
                ])
            #expect(
                events.map(\.actor)
                    == ["device", "maria", "maria (token ci)", "device", "root (command line)"])
            #expect(events.map(\.senderID).prefix(3).allSatisfy { $0 == "Tablet-01" })
            #expect(events.map(\.channel).allSatisfy { $0 == "web" })
            #expect(events.map(\.generation) == [nil, 1, 2, nil, nil])
            #expect(events.map(\.address) == ["192.0.2.7", "192.0.2.1", nil, "192.0.2.7", nil])
            #expect(events.prefix(3).allSatisfy { $0.requestID == request.id.text })
            #expect(zip(events, events.dropFirst()).allSatisfy { $0.at <= $1.at })
        }
    }

    @Test("What is refused, or rolled back, is no event")
    func nothingHappened() async throws {
        try await StoreFixture.run { fixture in
            let request = try await fixture.pending("tablet-01")
            let before = try await fixture.store.newestPosition()
            struct Stop: Error {}
            await #expect(throws: Stop.self) {
                try await fixture.pool.transaction { transaction in
                    _ = try transaction.query(
                        "SELECT record_event('x', NULL, NULL, 'system', 'system', NULL, NULL, NULL, '{}')")
                    throw Stop()
                }
            }
            let code = try #require(PairingCode("WXYZ-6789"))
            _ = try await fixture.store.deny(request.id, code: code, by: StoreFixture.admin).refusal()
            #expect(try await fixture.store.newestPosition() == before)
            #expect(try await fixture.events().last?.position == before)
        }
    }

    @Test("A reader that continues after the last position it saw misses nothing, while many write")
    func gapless() async throws {
        try await StoreFixture.run(connections: 14) { fixture in
            let devices = 120
            let isWritten = Atomic(false)
            async let readers = atOnce(3) { _ -> [Int64] in
                var seen: [Int64] = []
                while true {
                    let ends = isWritten.load(ordering: .sequentiallyConsistent)
                    let events = try await fixture.store.events(after: seen.last ?? 0, limit: 7)
                    seen += events.map(\.position)
                    if events.isEmpty, ends { return seen }
                }
            }
            _ = try await atOnce(devices) { index in
                let request = try await fixture.pending("t-\(index)", credential: StoreFixture.key(index))
                let device = try await fixture.store.approve(
                    request.id, code: request.code, by: StoreFixture.admin
                ).done()
                _ = try await fixture.store.revoke(
                    device.senderID, channel: nil, generation: nil, by: StoreFixture.admin
                ).done()
            }
            isWritten.store(true, ordering: .sequentiallyConsistent)
            for seen in try await readers { #expect(seen == Array(1...Int64(devices * 3))) }
        }
    }

    @Test("A page of the feed begins after a position and holds so many")
    func pages() async throws {
        try await StoreFixture.run { fixture in
            for index in 0..<5 {
                _ = try await fixture.pending("t-\(index)", credential: StoreFixture.key(index))
            }
            #expect(try await fixture.store.events(after: 2, limit: 2).map(\.position) == [3, 4])
            #expect(try await fixture.store.events(after: 5, limit: 2).isEmpty)
            #expect(try await fixture.store.newestPosition() == 5)
        }
    }

    @Test("Every name of an event is one that the feed's readers are told of")
    func names() {
        #expect(EventPairingRevoked == "pairing.revoked")
        #expect(Set(EventName.allCases.map(\.rawValue)).count == EventName.allCases.count)
    }
}
