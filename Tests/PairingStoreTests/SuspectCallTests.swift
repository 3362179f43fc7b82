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

    @Test(
        "A session that ended is told from one of which nobody said so, and one that showed nothing counts for none (I4)"
    )
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
            // The device connects once more before it says anything: what was suspected of it still is.
            #expect(try await begin(on: 2) == 2)
            func end(_ epoch: Int64, on instance: Int, isProven: Bool) async throws {
                let session = PairingStore.LiveSession(
                    senderID: device.senderID, generation: device.generation, epoch: Epoch(epoch))
                try await fixture.store.endSessions(
                    [session], on: StoreFixture.instances[instance], unproven: isProven ? [] : [session])
            }
            try await end(4, on: 2, isProven: false)
            #expect(try await begin(on: 0) == 2)
            try await end(5, on: 0, isProven: true)
            #expect(try await begin(on: 1) == 0)
        }
    }
}
