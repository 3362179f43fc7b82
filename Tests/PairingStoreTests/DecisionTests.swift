import PairingCore
import PairingStore
import Postgres
import Testing

@Suite("Decisions (I2)")
struct DecisionTests {
    @Test("An approval makes an active pairing of what was asked")
    func approval() async throws {
        try await StoreFixture.run { fixture in
            let request = try await fixture.pending("Tablet-01")
            let device = try await fixture.store.approve(
                request.id, code: request.code, by: StoreFixture.admin
            ).done()
            let stored = try #require(
                try await fixture.store.activeDevices(of: [request.senderID])["tablet-01"])
            #expect(stored.requestID == request.id)
            #expect(stored.senderID.text == "Tablet-01")
            #expect(stored.credential == request.credential)
            #expect(stored.profile == request.profile)
            #expect(stored.generation == Generation(1))
            #expect(stored.pairedBy == "maria")
            #expect(stored.generation == device.generation)
            let ended = try #require(try await fixture.store.request(request.id))
            #expect(ended.state == .approved)
            #expect(ended.decidedBy == "maria")
        }
    }

    @Test("Twenty approvals and twenty denials at once: one wins, the others read who won and how")
    func race() async throws {
        try await StoreFixture.run(connections: 12) { fixture in
            for round in 0..<5 {
                let request = try await fixture.pending(
                    "tablet-\(round)", credential: StoreFixture.key(round))
                let refusals = try await atOnce(40) { index -> Refusal? in
                    let origination = Origination(.administrator("admin-\(index)"))
                    if index.isMultiple(of: 2) {
                        return try? await fixture.store.approve(
                            request.id, code: request.code, by: origination
                        )
                        .refusal()
                    }
                    return try? await fixture.store.deny(request.id, code: request.code, by: origination)
                        .refusal()
                }
                let winners = refusals.enumerated().filter { $0.element == nil }
                #expect(winners.count == 1)
                let winner = try #require(winners.first?.offset)
                let state: RequestState = winner.isMultiple(of: 2) ? .approved : .denied
                let stored = try #require(try await fixture.store.request(request.id))
                #expect(stored.state == state)
                #expect(stored.decidedBy == "admin-\(winner)")
                for refusal in refusals.compactMap({ $0 }) {
                    #expect(refusal.code == .failedPrecondition)
                    #expect(refusal.reason == "already_\(state.rawValue)")
                    #expect(refusal.details["state"]?.string == state.rawValue)
                    #expect(refusal.details["decidedBy"]?.string == "admin-\(winner)")
                    #expect(
                        refusal.details["decidedAt"] == stored.decidedAt.map { .integer($0.milliseconds) })
                }
                let decisions = try await fixture.events().filter {
                    $0.requestID == request.id.text && $0.event != "pairing.requested"
                }
                #expect(decisions.count == 1)
                #expect(decisions.first?.actor == "admin-\(winner)")
            }
        }
    }

    @Test("Approvals and denials at the moment of expiry: the request ends once, and all read how")
    func raceWithExpiry() async throws {
        try await StoreFixture.run(connections: 12) { fixture in
            // At the edge between both endings, wherever this machine's speed puts it.
            var lifetime = Duration.milliseconds(15)
            var rounds = 0
            var expired = 0
            while rounds < 12 || ((expired == 0 || expired == rounds) && rounds < 60) {
                let round = rounds
                rounds += 1
                let request = try await fixture.pending(
                    "tablet-\(round)", credential: StoreFixture.key(round),
                    limits: StoreFixture.limits(lifetime: lifetime))
                let refusals = try await atOnce(20) { index -> Refusal? in
                    switch index % 4 {
                    case 0: _ = try await fixture.store.expireDueRequests()
                    case 1:
                        return try? await fixture.store.deny(
                            request.id, code: request.code, by: StoreFixture.admin
                        )
                        .refusal()
                    default: break
                    }
                    return try? await fixture.store.approve(
                        request.id, code: request.code, by: StoreFixture.admin
                    ).refusal()
                }
                _ = try await fixture.store.expireDueRequests()
                let state = try #require(try await fixture.store.request(request.id)).state
                #expect(state != .pending)
                let wins = refusals.filter { $0 == nil }.count
                #expect(wins == (state == .expired ? 0 : 1))
                if state == .expired { expired += 1 }
                lifetime = state == .expired ? lifetime * 2 : max(.milliseconds(1), lifetime / 2)
                #expect(
                    refusals.compactMap { $0 }.allSatisfy {
                        $0.reason == "already_\(state.rawValue)"
                            && $0.details["state"]?.string == state.rawValue
                    })
                let ends = try await fixture.events().filter {
                    $0.requestID == request.id.text && $0.event != "pairing.requested"
                }
                #expect(ends.count == 1)
            }
            #expect(expired > 0 && expired < rounds, "\(expired) of \(rounds) expired")
        }
    }

    @Test("A request whose time is over expires in the attempt to decide it")
    func lateDecision() async throws {
        try await StoreFixture.run { fixture in
            let request = try await fixture.pending("tablet-01")
            try await fixture.expire(request.id)
            let refusal = try await fixture.store.approve(
                request.id, code: request.code, by: StoreFixture.admin
            ).refusal()
            #expect(refusal.reason == "already_expired")
            #expect(refusal.details["decidedBy"]?.string == "system")
            #expect(try await fixture.store.request(request.id)?.state == .expired)
            #expect(try await fixture.events().last?.event == "pairing.expired")
        }
    }

    @Test("A wrong code, an unknown request and a request that is gone decide nothing")
    func refused() async throws {
        try await StoreFixture.run { fixture in
            let request = try await fixture.pending("tablet-01")
            let code = try #require(PairingCode("WXYZ-6789"))
            let unknown = try #require(RequestID("0193f0c2-7a5b-4def-8a90-abcdef012345"))
            let store = fixture.store
            #expect(
                try await store.approve(request.id, code: code, by: StoreFixture.admin).refusal().reason
                    == "code_mismatch")
            #expect(
                try await store.deny(request.id, code: code, by: StoreFixture.admin).refusal().reason
                    == "code_mismatch")
            #expect(
                try await store.approve(unknown, code: request.code, by: StoreFixture.admin).refusal().reason
                    == "unknown_request")
            #expect(try await store.request(request.id)?.state == .pending)
            #expect(try await fixture.events().map(\.event) == ["pairing.requested", "pairing.code_refused"])
        }
    }

    @Test("Wrong codes are looked at five times a minute for each approver, and ten times for a request")
    func wrongCodes() async throws {
        try await StoreFixture.run(connections: 8) { fixture in
            let request = try await fixture.pending("tablet-01")
            let other = try await fixture.pending("tablet-02", credential: StoreFixture.key(2))
            let code = try #require(PairingCode("WXYZ-6789"))
            let store = fixture.store
            let paul = Origination(.administrator("paul"))
            func guesses(by origination: Origination) async throws -> [Refusal] {
                try await atOnce(60) { _ in
                    try await store.approve(request.id, code: code, by: origination).refusal()
                }
            }
            let refusals = try await guesses(by: StoreFixture.admin)
            #expect(refusals.filter { $0.reason == "code_mismatch" }.count == 5)
            let others = refusals.filter { $0.reason != "code_mismatch" }
            #expect(
                others.allSatisfy { $0.code == .resourceExhausted && $0.reason == "too_many_wrong_codes" })
            #expect(others.allSatisfy { ($0.retryAfter ?? .zero) > .zero })
            let right = try await store.approve(
                request.id, code: request.code, by: StoreFixture.admin
            ).refusal()
            #expect(right.reason == "too_many_wrong_codes", "else waiting would be worth nothing")
            #expect(try await guesses(by: paul).filter { $0.reason == "code_mismatch" }.count == 5)
            let fresh = Origination(.administrator("fresh"))
            let closed = try await store.approve(request.id, code: request.code, by: fresh).refusal()
            #expect(closed.code == .failedPrecondition && closed.reason == "too_many_wrong_codes")
            _ = try await store.approve(other.id, code: other.code, by: fresh).done()
            _ = try await store.deny(request.id, code: request.code, by: fresh).done()
            let events = try await fixture.events().filter { $0.event == "pairing.code_refused" }
            #expect(events.count == 10)
            #expect(events.allSatisfy { $0.requestID == request.id.text })
            try await fixture.pool.execute(
                "UPDATE sign_in_failures SET window_started_at = window_started_at - interval '61 seconds'")
            let again = try await fixture.pending("tablet-03", credential: StoreFixture.key(3))
            _ = try await store.approve(again.id, code: again.code, by: StoreFixture.admin).done()
        }
    }

    // MARK: - Revocation

    @Test("Fifty revocations of one pairing at once: one wins, the others read who did it")
    func revocationRace() async throws {
        try await StoreFixture.run(connections: 12) { fixture in
            let device = try await fixture.paired("tablet-01")
            let refusals = try await atOnce(50) { index -> Refusal? in
                try? await fixture.store.revoke(
                    device.senderID, channel: index.isMultiple(of: 2) ? device.channel : nil,
                    generation: index.isMultiple(of: 3) ? device.generation : nil,
                    by: Origination(.administrator("admin-\(index)"))
                ).refusal()
            }
            let winners = refusals.enumerated().filter { $0.element == nil }
            #expect(winners.count == 1)
            let winner = "admin-\(winners.first?.offset ?? -1)"
            for refusal in refusals.compactMap({ $0 }) {
                #expect(refusal.code == .failedPrecondition)
                #expect(refusal.reason == "already_revoked")
                #expect(refusal.details["state"]?.string == "revoked")
                #expect(refusal.details["decidedBy"]?.string == winner)
            }
            let revocations = try await fixture.events().filter { $0.event == EventPairingRevoked }
            #expect(revocations.count == 1)
            #expect(revocations.first?.generation == 2)
            #expect(revocations.first?.actor == winner)
        }
    }

    @Test("A page opened before the device was paired again revokes nothing")
    func staleGeneration() async throws {
        try await StoreFixture.run { fixture in
            let old = try await fixture.paired("tablet-01")
            _ = try await fixture.store.revoke(
                old.senderID, channel: nil, generation: old.generation, by: StoreFixture.admin
            ).done()
            let new = try await fixture.paired("tablet-01")
            #expect(new.generation == Generation(3))
            let refusal = try await fixture.store.revoke(
                old.senderID, channel: old.channel, generation: old.generation, by: StoreFixture.admin
            ).refusal()
            #expect(refusal.code == .failedPrecondition)
            #expect(refusal.reason == "generation_changed")
            #expect(refusal.details["state"]?.string == "active")
            #expect(refusal.details["generation"] == .integer(3))
            #expect(try await fixture.store.activeDevices(of: [old.senderID]).count == 1)
            #expect(
                try await fixture.store.revoke(
                    old.senderID, channel: ChannelID("iot"), generation: nil, by: StoreFixture.admin
                ).refusal().reason == "not_paired")
        }
    }

    @Test("What was never paired can't be revoked")
    func neverPaired() async throws {
        try await StoreFixture.run { fixture in
            let senderID = try StoreFixture.sender("tablet-01")
            let refusal = try await fixture.store.revoke(
                senderID, channel: nil, generation: nil, by: StoreFixture.admin
            ).refusal()
            #expect(refusal.code == .notFound)
            #expect(refusal.details.isEmpty)
            #expect(try await fixture.events().isEmpty)
        }
    }

    @Test("Revoked pairings stay, newest first, for a device that was offline for a year")
    func history() async throws {
        try await StoreFixture.run { fixture in
            for _ in 0..<3 {
                let device = try await fixture.paired("tablet-01")
                _ = try await fixture.store.revoke(
                    device.senderID, channel: nil, generation: nil, by: StoreFixture.admin
                ).done()
            }
            _ = try await fixture.store.removeOutdated()
            let senderID = try StoreFixture.sender("TABLET-01")
            let history = try await fixture.store.history(of: senderID)
            #expect(history.devices.map(\.generation.number) == [5, 3, 1])
            #expect(history.devices.allSatisfy { $0.state == .revoked && $0.revokedBy == "maria" })
            #expect(history.requests.isEmpty)
            #expect(
                try await fixture.store.pairings(of: senderID).map(\.device.generation.number) == [5, 3, 1])
        }
    }

    @Test("Pairings made since a time are found, oldest first, and only active ones")
    func pairedSince() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.paired("before", credential: StoreFixture.key(1))
            try await fixture.pool.execute(
                "UPDATE paired_devices SET paired_at = paired_at - interval '1 hour'")
            let first = try await fixture.paired("first", credential: StoreFixture.key(2))
            try await fixture.paired("second", credential: StoreFixture.key(3))
            let revoked = try await fixture.paired("revoked", credential: StoreFixture.key(4))
            _ = try await fixture.store.revoke(
                revoked.senderID, channel: nil, generation: nil, by: StoreFixture.admin
            ).done()
            let found = try await fixture.store.devicesPaired(since: first.pairedAt)
            #expect(found.map(\.senderID.text) == ["first", "second"])
        }
    }

    // MARK: - Waiting

    @Test("The newest socket that asked is the one that waits, until the request ends")
    func waiting() async throws {
        try await StoreFixture.run { fixture in
            let store = fixture.store
            let request = try await fixture.pending("tablet-01")
            let (one, two) = (StoreFixture.instances[0], StoreFixture.instances[1])
            #expect(try await store.wait(SocketID(1), of: one, for: request.id))
            #expect(try await store.wait(SocketID(1), of: two, for: request.id))
            #expect(try await store.waitingSocket(of: request.id, on: one) == nil)
            #expect(try await store.waitingSocket(of: request.id, on: two) == SocketID(1))
            let other = try await fixture.pending("tablet-02", credential: StoreFixture.key(2))
            let gone = try #require(RequestID("0193f0c2-7a5b-4def-8a90-abcdef012345"))
            _ = try await store.deny(other.id, code: other.code, by: StoreFixture.admin).done()
            #expect(try await !store.wait(SocketID(2), of: one, for: other.id))
            #expect(
                try await store.endedRequests(among: [request.id, other.id, gone])
                    == [other.id: .denied, gone: .expired])
            #expect(try await store.endedRequests(among: []).isEmpty)
        }
    }

    @Test("A pending request outlives whoever asked for it (I12)")
    func outlives() async throws {
        try await StoreFixture.run { fixture in
            var claim = try StoreFixture.claim("tablet-01")
            claim.instanceID = StoreFixture.instances[0]
            claim.socketID = SocketID(1)
            let request = try fixture.request(try await fixture.store.claim(claim))
            try await fixture.store.register(StoreFixture.instances[0], name: "one", lease: .seconds(10))
            try await fixture.store.retire(StoreFixture.instances[0])
            _ = try await fixture.store.removeOutdated()
            claim.instanceID = StoreFixture.instances[1]
            claim.socketID = SocketID(9)
            #expect(try fixture.request(try await fixture.store.claim(claim)) == request)
            #expect(
                try await fixture.store.waitingSocket(of: request.id, on: StoreFixture.instances[1])
                    == SocketID(9))
            _ = try await fixture.store.approve(request.id, code: request.code, by: StoreFixture.admin).done()
        }
    }
}
