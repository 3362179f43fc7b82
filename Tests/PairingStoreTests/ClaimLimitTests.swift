import PairingCore
import PairingStore
import Testing

@Suite("Limits of claims")
struct ClaimLimitTests {
    @Test("An address holds so many requests; its own device's repeats are never counted")
    func perAddress() async throws {
        try await StoreFixture.run { fixture in
            let limits = StoreFixture.limits(perAddress: 5)
            let claims = try (0..<5).map {
                try StoreFixture.claim("t-\($0)", credential: StoreFixture.key($0), limits: limits)
            }
            for claim in claims { _ = try await fixture.store.claim(claim).done() }
            let sixth = try StoreFixture.claim("t-6", credential: StoreFixture.key(6), limits: limits)
            let refusal = try await fixture.store.claim(sixth).refusal()
            #expect(refusal.code == .resourceExhausted)
            #expect(refusal.reason == "requests_of_address")
            #expect(refusal.retryable)
            for claim in claims { _ = try await fixture.store.claim(claim).done() }
            let elsewhere = try StoreFixture.claim(
                "t-6", credential: StoreFixture.key(6), address: "198.51.100.1", limits: limits)
            _ = try await fixture.store.claim(elsewhere).done()
        }
    }

    @Test("An IPv6 address is counted by its /64")
    func perNetwork() async throws {
        try await StoreFixture.run { fixture in
            let limits = StoreFixture.limits(perAddress: 1)
            let outcomes = try await atOnce(3) { index in
                try await fixture.store.claim(
                    try StoreFixture.claim(
                        "t-\(index)", credential: StoreFixture.key(index), address: "2001:db8:1:2::\(index)",
                        limits: limits))
            }
            #expect(outcomes.compactMap { try? $0.done() }.count == 1)
        }
    }

    @Test("Requests that arrive at once don't get past the limits")
    func limitsAtOnce() async throws {
        try await StoreFixture.run { fixture in
            let limits = StoreFixture.limits(perAddress: 5)
            let outcomes = try await atOnce(40) { index in
                try await fixture.store.claim(
                    try StoreFixture.claim("t-\(index)", credential: StoreFixture.key(index), limits: limits))
            }
            #expect(outcomes.compactMap { try? $0.done() }.count == 5)
            #expect(
                outcomes.compactMap { try? $0.refusal() }.allSatisfy { $0.reason == "requests_of_address" })
        }
    }

    @Test("A flood from one network leaves half of the room to the others")
    func totalLimit() async throws {
        try await StoreFixture.run { fixture in
            let limits = StoreFixture.limits(total: 20)
            func claim(_ index: Int, _ address: String) async throws -> Outcome<PairingStore.ClaimResult> {
                try await fixture.store.claim(
                    try StoreFixture.claim(
                        "t-\(index)", credential: StoreFixture.key(index), address: address, limits: limits))
            }
            var fromFlood = 0
            for index in 0..<40 {
                if (try? await claim(index, "198.51.100.\(index)").done()) != nil { fromFlood += 1 }
            }
            #expect(fromFlood == 10)
            for index in 0..<5 { _ = try await claim(100 + index, "203.0.\(index).1").done() }
            let refusal = try await claim(99, "198.51.100.99").refusal()
            #expect(refusal.reason == "requests_total")
            #expect(refusal.retryable)
        }
    }

    @Test("A network that holds few takes the place of the newest request of the one that holds most (I13)")
    func displacement() async throws {
        try await StoreFixture.run { fixture in
            let limits = StoreFixture.limits(total: 6)
            func ask(_ index: Int, _ address: String) async throws -> Outcome<PairingStore.ClaimResult> {
                try await fixture.store.claim(
                    try StoreFixture.claim(
                        "t-\(index)", credential: StoreFixture.key(index), address: address, limits: limits))
            }
            var first: [PairingRequest] = []
            for (index, address) in [
                "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.1.0.1", "10.1.0.2", "10.2.0.1",
            ].enumerated() {
                first.append(try fixture.request(try await ask(index, address)))
            }
            #expect(try await ask(6, "10.0.0.4").refusal().reason == "requests_total")
            #expect(
                try await ask(6, "10.1.0.3").refusal().reason == "requests_total", "it would hold as much")
            _ = try await ask(7, "10.3.0.1").done()
            let displaced = try #require(try await fixture.store.request(first[2].id))
            #expect(displaced.state == .expired && displaced.decidedBy == "system")
            let event = try #require(try await fixture.events().dropLast().last)
            #expect(event.event == "pairing.expired" && event.requestID == first[2].id.text)
            #expect(event.details.contains("displaced"))
            // Those that remain are what they were.
            for index in [0, 1, 3, 4, 5] {
                let again = try fixture.request(try await ask(index, "10.9.0.1"))
                #expect(again.id == first[index].id && again.code == first[index].code)
                #expect(again.expiresAt == first[index].expiresAt)
            }
            for index in [8, 9] { _ = try await ask(index, "10.\(index).0.1").done() }
            #expect(try await ask(10, "10.10.0.1").refusal().reason == "requests_total", "each holds one")
            #expect(
                try await fixture.number("SELECT count(*) FROM pairing_requests WHERE state = 'pending'") == 6
            )
        }
    }

    @Test(
        "Requests of eight networks that fill the room keep no newcomer out, and newcomers at once displace without a deadlock"
    )
    func newcomers() async throws {
        try await StoreFixture.run(connections: 8) { fixture in
            let limits = StoreFixture.limits(total: 100)
            for index in 0..<200 {
                _ = try await fixture.store.claim(
                    try StoreFixture.claim(
                        "old-\(index)", credential: StoreFixture.key(index),
                        address: "10.0.\(index % 8).\(index / 8)", limits: limits))
            }
            let outcomes = try await atOnce(60) { index in
                try await fixture.store.claim(
                    try StoreFixture.claim(
                        "new-\(index)", credential: StoreFixture.key(1000 + index),
                        address: "10.1.\(index).1", limits: limits))
            }
            #expect(outcomes.allSatisfy { (try? $0.done()) != nil })
            #expect(
                try await fixture.number("SELECT count(*) FROM pairing_requests WHERE state = 'pending'")
                    <= 100)
        }
    }

    @Test("No more than the total is ever accepted, from however many networks")
    func hardTotal() async throws {
        try await StoreFixture.run { fixture in
            let outcomes = try await atOnce(60) { index in
                try await fixture.store.claim(
                    try StoreFixture.claim(
                        "t-\(index)", credential: StoreFixture.key(index), address: "10.0.\(index).1",
                        limits: StoreFixture.limits(total: 25)))
            }
            let accepted = outcomes.compactMap { try? $0.done() }.count
            #expect(accepted == 25)
        }
    }

    @Test("A request whose time is over is counted no more and frees its sender ID (I2)")
    func expiredInline() async throws {
        try await StoreFixture.run { fixture in
            let old = try await fixture.pending("tablet-01", credential: StoreFixture.key(1))
            try await fixture.expire(old.id)
            let next = try fixture.request(
                try await fixture.store.claim(
                    try StoreFixture.claim(
                        "tablet-01", credential: StoreFixture.key(2),
                        limits: StoreFixture.limits(perAddress: 1))))
            #expect(next.id != old.id)
            let ended = try #require(try await fixture.store.request(old.id))
            #expect(ended.state == .expired)
            #expect(ended.decidedBy == "system")
            #expect(
                try await fixture.events().map(\.event)
                    == ["pairing.requested", "pairing.expired", "pairing.requested"])
        }
    }

    @Test("Claims that expire old requests and claims that make new ones never deadlock")
    func expiryAndNewRequests() async throws {
        try await StoreFixture.run(connections: 16) { fixture in
            for index in 0..<60 {
                let old = try await fixture.pending("old-\(index)", credential: StoreFixture.key(index))
                try await fixture.expire(old.id)
            }
            let outcomes = try await atOnce(120) { index in
                try await fixture.store.claim(
                    try StoreFixture.claim(
                        index < 60 ? "old-\(index)" : "new-\(index)",
                        credential: StoreFixture.key(1000 + index)))
            }
            #expect(outcomes.allSatisfy { (try? $0.done()) != nil })
        }
    }
}
