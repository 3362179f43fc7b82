import PairingCore
import PairingStore
import Postgres
import Testing

@Suite("Calls that may end the process")
struct SuspectCallTests {
    @Test("A call is new once, then counted, until it is back; a message from a device is none to it")
    func counted() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let one = PairingStore.SuspectCall(receiving: "1", of: session)
            let two = PairingStore.SuspectCall(delivering: 1, to: session)
            #expect(try await fixture.store.recordSuspects([one, two, one]) == [one, two])
            #expect(try await fixture.store.recordSuspects([one]).isEmpty)
            #expect(try await fixture.store.repeatSuspect(one) == 2)
            #expect(try await fixture.store.repeatSuspect(one) == 3)
            #expect(try await fixture.store.repeatSuspect(two) == 2)
            try await fixture.store.clearSuspects([one])
            #expect(try await fixture.store.recordSuspects([one, two]) == [one])
            try await fixture.pool.execute("UPDATE suspect_calls SET last_at = now() - interval '25 hours'")
            #expect(try await fixture.store.removeOutdated() == 2)
        }
    }

    @Test("A session that ended is told from one of which nobody said so, and those in a row are counted")
    func uncleanEnds() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("a")
            func begin(on instance: Int) async throws -> Int {
                let arrival = PairingStore.Arrival(
                    senderID: device.senderID, generation: device.generation,
                    address: try #require(StoreFixture.address))
                let row = try await fixture.store.beginSessions(
                    [arrival], on: StoreFixture.instances[instance])
                return try #require(row[0]).uncleanEnds
            }
            #expect(try await begin(on: 0) == 0)
            #expect(try await begin(on: 1) == 1)
            #expect(try await begin(on: 2) == 2)
            // Of the same gateway's life: it is there.
            #expect(try await begin(on: 2) == 0)
            try await fixture.store.endSessions(
                [
                    PairingStore.LiveSession(
                        senderID: device.senderID, generation: device.generation, epoch: Epoch(4))
                ], on: StoreFixture.instances[2])
            #expect(try await begin(on: 0) == 0)
        }
    }
}
