import PairingCore
import PairingStore
import Postgres
import Testing

@Suite("What gateways say of their channels")
struct InstanceChannelsTests {
    private let one = StoreFixture.instances[0]
    private let two = StoreFixture.instances[1]

    @Test("What a gateway said is there for all, until its lease ends")
    func told() async throws {
        try await StoreFixture.run { fixture in
            let store = fixture.store
            try await store.register(two, name: "b", lease: .seconds(600))
            try await store.register(one, name: "a", lease: .seconds(600))
            #expect(try await store.instanceChannels().map(\.report) == [nil, nil])
            try await store.publishChannels(#"{"channels":[1,2.50]}"#, of: one)
            let told = try await store.instanceChannels()
            #expect(told.map(\.name) == ["a", "b"])
            #expect(told.map(\.instanceID) == [one, two])
            #expect(told.map(\.report) == [#"{"channels": [1, 2.50]}"#, nil])
            // The lease's renewal leaves it alone.
            try await store.register(one, name: "a", lease: .seconds(600))
            #expect(try await store.instanceChannels().map(\.report) == told.map(\.report))
            #expect(told.allSatisfy { $0.leaseLeft > .seconds(500) && $0.leaseLeft <= .seconds(600) })
            try await store.retire(one)
            #expect(try await store.instanceChannels().map(\.name) == ["b"])
        }
    }

    @Test("What was said before is not written again, and a gateway without a row says nothing")
    func unchanged() async throws {
        try await StoreFixture.run { fixture in
            let store = fixture.store
            try await store.publishChannels("{}", of: one)
            #expect(try await store.instanceChannels().isEmpty)
            try await store.register(one, name: "a", lease: .seconds(600))
            func version() async throws -> String? {
                try await fixture.pool.query("SELECT xmin::text AS version FROM instances").first?
                    .text("version")
            }
            try await store.publishChannels(#"{"a":1,"b":"é\n"}"#, of: one)
            let written = try await version()
            try await store.publishChannels(#"{ "b": "é\n", "a": 1 }"#, of: one)
            #expect(try await version() == written)
            try await store.publishChannels(#"{"a":2}"#, of: one)
            #expect(try await version() != written)
        }
    }
}
