import PairingCore
import Testing

@Suite("The life of a sender ID")
struct SenderLifeTests {
    private let now = Timestamp(milliseconds: 1_000_000)
    private let admin = Actor.administrator("maria")

    // MARK: - Claims

    @Test("Nobody holds the sender ID: a claim makes a request, at generation 0")
    func fresh() throws {
        let life = Self.life()
        #expect(try claim(life) == .create)
        #expect(life.generation == Generation(0))
    }

    @Test("The same device asking again gets its request, unchanged, from any address (I11)")
    func repeated() throws {
        let request = try Self.request()
        let life = Self.life(pending: request)
        #expect(try claim(life) == .repeated(request))
        #expect(try claim(life, address: "198.51.100.9") == .repeated(request))
    }

    @Test("Another credential or channel is a rival of a pending request (I1)")
    func rivalOfPending() throws {
        let life = Self.life(pending: try Self.request())
        try expectRival(claim(life, credential: Self.key(2)))
        try expectRival(claim(life, credential: .tokenHash(Array(repeating: 1, count: 32))))
        try expectRival(claim(life, channel: "iot"))
    }

    @Test("Another credential or channel is a rival of an active pairing (I1)")
    func rivalOfActive() throws {
        let life = Self.life(active: try Self.device(), generation: 3)
        try expectRival(claim(life, credential: Self.key(2)))
        try expectRival(claim(life, channel: "iot"))
    }

    @Test("A stranger can't tell a paired sender ID from one that is asked for (I6)")
    func rivalsReadOneText() throws {
        let pending = try claim(Self.life(pending: try Self.request()), credential: Self.key(2))
        let active = try claim(Self.life(active: try Self.device(), generation: 1), credential: Self.key(2))
        #expect(pending == active)
    }

    @Test("The proven owner of an active pairing is told to connect")
    func alreadyPaired() throws {
        let device = try Self.device()
        #expect(try claim(Self.life(active: device, generation: 1)) == .alreadyPaired(device))
    }

    // MARK: - The waiting time after a denial

    @Test("A denied credential waits, whatever its address")
    func cooldownByCredential() throws {
        let life = Self.life(denials: [try denial(until: 5_000)])
        guard case .wait(let refusal) = try claim(life, address: "198.51.100.9") else {
            Issue.record("expected to wait")
            return
        }
        #expect(refusal.code == .resourceExhausted)
        #expect(refusal.retryable)
        #expect(refusal.retryAfter == .milliseconds(5_000))
    }

    @Test("A denied address waits, whatever its credential")
    func cooldownByAddress() throws {
        let life = Self.life(denials: [try denial(until: 5_000)])
        guard case .wait = try claim(life, credential: Self.key(2)) else {
            Issue.record("expected to wait")
            return
        }
        #expect(try claim(life, credential: Self.key(2), address: "198.51.100.9") == .create)
    }

    @Test("An IPv6 address waits with its /64")
    func cooldownByNetwork() throws {
        let life = Self.life(denials: [try denial(until: 5_000, address: "2001:db8:1:2::1")])
        guard case .wait = try claim(life, credential: Self.key(2), address: "2001:db8:1:2:a:b:c:d") else {
            Issue.record("expected to wait")
            return
        }
        #expect(try claim(life, credential: Self.key(2), address: "2001:db8:1:3::1") == .create)
    }

    @Test("The waiting time is over at its last moment")
    func cooldownEnds() throws {
        #expect(try claim(Self.life(denials: [try denial(until: 0)])) == .create)
        guard case .wait(let refusal) = try claim(Self.life(denials: [try denial(until: 1)])) else {
            Issue.record("expected to wait")
            return
        }
        #expect(refusal.retryAfter == .milliseconds(1))
    }

    @Test("Of several denials the longest counts")
    func longestDenial() throws {
        let life = Self.life(denials: [
            try denial(until: 10), try denial(until: 300), try denial(until: 200),
        ])
        guard case .wait(let refusal) = try claim(life) else {
            Issue.record("expected to wait")
            return
        }
        #expect(refusal.retryAfter == .milliseconds(300))
    }

    @Test("A denial from an unknown address makes nobody else's unknown address wait")
    func unknownAddresses() throws {
        let life = Self.life(denials: [
            SenderLife.Denial(credential: try Self.key(1), address: nil, until: now + .seconds(5))
        ])
        let action = life.claim(
            channel: try Self.channel(), credential: try Self.key(2), address: nil, now: now)
        #expect(action == .create)
    }

    // MARK: - Expiry

    @Test("A request expires at its last moment, once, and frees the sender ID")
    func expiry() throws {
        let request = try Self.request(expiresIn: 1)
        var life = Self.life(pending: request)
        #expect(!life.isDue(now: now))
        #expect(life.expire(now: now) == nil)
        #expect(life.pending == request)
        #expect(life.isDue(now: now + .milliseconds(1)))
        #expect(life.expire(now: now + .milliseconds(1)) == request)
        #expect(life.pending == nil)
        #expect(life.expire(now: now + .milliseconds(1)) == nil)
        #expect(try claim(life) == .create)
    }

    @Test("A request that expired at this moment can be neither approved nor denied (I2)")
    func decidedAtTheMoment() throws {
        let request = try Self.request(expiresIn: 0)
        for decide in [approve, deny] {
            var life = Self.life(pending: request)
            _ = life.expire(now: now)
            #expect(decide(&life, request.id, request.code)?.reason == "request_ended")
        }
    }

    // MARK: - Decisions

    @Test("An approval makes the pairing at the next generation and ends the request")
    func approval() throws {
        let request = try Self.request()
        var life = Self.life(pending: request, generation: 4)
        guard case .write(let device) = life.approve(id: request.id, code: request.code, by: admin, now: now)
        else {
            Issue.record("expected a pairing")
            return
        }
        #expect(device.requestID == request.id)
        #expect(device.credential == request.credential)
        #expect(device.profile == request.profile)
        #expect(device.generation == Generation(5))
        #expect(device.state == .active)
        #expect(device.pairedBy == "maria")
        #expect(device.pairedAt == now)
        #expect(life.pending == nil)
        #expect(life.active == device)
        #expect(life.generation == Generation(5))
    }

    @Test("A denial ends the request and makes no pairing")
    func denialEndsRequest() throws {
        let request = try Self.request()
        var life = Self.life(pending: request, generation: 4)
        guard case .write(let denied) = life.deny(id: request.id, code: request.code, by: admin, now: now)
        else {
            Issue.record("expected a denial")
            return
        }
        #expect(denied.state == .denied)
        #expect(denied.decidedAt == now)
        #expect(denied.decidedBy == "maria")
        #expect(life.pending == nil)
        #expect(life.active == nil)
        #expect(life.generation == Generation(4))
    }

    @Test("Whoever decides second reads that the request has ended (I2)")
    func second() throws {
        let request = try Self.request()
        for first in [approve, deny] {
            for second in [approve, deny] {
                var life = Self.life(pending: request)
                #expect(first(&life, request.id, request.code) == nil)
                let after = life
                #expect(second(&life, request.id, request.code)?.reason == "request_ended")
                #expect(life == after)
            }
        }
    }

    @Test("Another code than the request's decides nothing")
    func codeMismatch() throws {
        let request = try Self.request()
        let other = try #require(PairingCode("WXYZ-6789"))
        for decide in [approve, deny] {
            var life = Self.life(pending: request)
            let refusal = decide(&life, request.id, other)
            #expect(refusal?.code == .failedPrecondition)
            #expect(refusal?.reason == "code_mismatch")
            #expect(refusal?.message.contains(request.code.text) == false)
            #expect(life.pending == request)
        }
    }

    @Test("Another request's ID decides nothing, even with the right code")
    func otherRequest() throws {
        let request = try Self.request()
        let other = try #require(RequestID("0193f0c2-7a5b-4def-8a90-ffffffffffff"))
        for decide in [approve, deny] {
            var life = Self.life(pending: request)
            #expect(decide(&life, other, request.code)?.reason == "request_ended")
            #expect(life.pending == request)
        }
    }

    @Test("An approval beside an active pairing is refused (I1)")
    func approvalBesideActive() throws {
        let request = try Self.request()
        var life = Self.life(pending: request, active: try Self.device(), generation: 1)
        #expect(approve(&life, request.id, request.code)?.reason == "sender_id_paired")
        #expect(life.generation == Generation(1))
    }

    // MARK: - Revocation

    @Test(
        "A revocation of what was displayed raises the generation",
        arguments: [nil, "web"] as [String?], [nil, 3] as [Int64?])
    func revocation(_ channel: String?, _ displayed: Int64?) throws {
        let device = try Self.device(generation: 3)
        var life = Self.life(active: device, generation: 3)
        let decision = life.revoke(
            channel: channel.flatMap { ChannelID($0) }, displayed: displayed.map { Generation($0) },
            by: admin,
            now: now)
        guard case .write(let revoked) = decision else {
            Issue.record("expected a revocation")
            return
        }
        #expect(revoked.state == .revoked)
        #expect(revoked.revokedAt == now)
        #expect(revoked.revokedBy == "maria")
        #expect(revoked.generation == Generation(3))
        #expect(life.generation == Generation(4))
        #expect(life.active == nil)
        #expect(try claim(life) == .create)
    }

    @Test("A page that was shown before a new pairing revokes nothing")
    func staleRevocation() throws {
        var life = Self.life(active: try Self.device(generation: 5), generation: 5)
        for displayed in [Int64(3), 4, 6] {
            #expect(revoke(&life, displayed: displayed)?.reason == "generation_changed")
        }
        #expect(revoke(&life, channel: "iot")?.reason == "not_paired")
        #expect(life.generation == Generation(5))
        #expect(life.active != nil)
    }

    @Test("Of two revocations the second finds nothing paired (I2)")
    func secondRevocation() throws {
        var life = Self.life(active: try Self.device(generation: 1), generation: 1)
        #expect(revoke(&life, displayed: 1) == nil)
        #expect(revoke(&life, displayed: 1)?.code == .notFound)
        #expect(life.generation == Generation(2))
    }

    @Test("The generation grows with every pairing and every revocation")
    func generations() throws {
        var life = Self.life()
        for round in Int64(0)..<5 {
            let request = try Self.request()
            life = Self.life(pending: request, generation: life.generation.number)
            #expect(approve(&life, request.id, request.code) == nil)
            #expect(life.generation == Generation(2 * round + 1))
            #expect(revoke(&life, displayed: life.generation.number) == nil)
            #expect(life.generation == Generation(2 * round + 2))
        }
    }

    // MARK: - What the tests are made of

    private static func life(
        pending: PairingRequest? = nil, active: PairedDevice? = nil, generation: Int64 = 0,
        denials: [SenderLife.Denial] = []
    ) -> SenderLife {
        SenderLife(
            pending: pending, active: active, generation: Generation(generation), denials: denials)
    }

    private static func channel(_ text: String = "web") throws -> ChannelID {
        try #require(ChannelID(text))
    }

    private static func key(_ seed: UInt8) throws -> StoredCredential {
        .key(try #require(PublicKey(bytes: Array(repeating: seed, count: 32))))
    }

    private static func request(expiresIn milliseconds: Int64 = 60_000) throws -> PairingRequest {
        PairingRequest(
            id: try #require(RequestID("0193f0c2-7a5b-4def-8a90-abcdef012345")),
            senderID: try #require(SenderID("tablet-01")), channel: try channel(),
            code: try #require(PairingCode("ABCD-2345")), credential: try key(1),
            profile: DeviceProfile(displayName: "Reception"), address: ClientAddress("192.0.2.7"),
            state: .pending, createdAt: Timestamp(milliseconds: 900_000),
            expiresAt: Timestamp(milliseconds: 1_000_000 + milliseconds))
    }

    private static func device(generation: Int64 = 1) throws -> PairedDevice {
        PairedDevice(
            requestID: try #require(RequestID("0193f0c2-7a5b-4def-8a90-abcdef012345")),
            senderID: try #require(SenderID("tablet-01")), channel: try channel(), credential: try key(1),
            profile: DeviceProfile(), generation: Generation(generation), state: .active,
            pairedAt: Timestamp(milliseconds: 800_000), pairedBy: "maria")
    }

    private func denial(until: Int64, address: String = "192.0.2.7") throws -> SenderLife.Denial {
        SenderLife.Denial(
            credential: try Self.key(1), address: ClientAddress(address), until: now + .milliseconds(until))
    }

    private func claim(
        _ life: SenderLife, channel: String = "web", credential: StoredCredential? = nil,
        address: String = "192.0.2.7"
    ) throws -> SenderLife.ClaimAction {
        life.claim(
            channel: try Self.channel(channel), credential: try credential ?? Self.key(1),
            address: ClientAddress(address), now: now)
    }

    private func expectRival(_ action: SenderLife.ClaimAction) throws {
        guard case .rival(let refusal) = action else {
            Issue.record("expected a rival, not \(action)")
            return
        }
        #expect(refusal.code == .alreadyExists)
        #expect(refusal.retryable)
        #expect(refusal.retryAfter != nil)
    }

    /// Each answers with the refusal, or `nil` where the decision was carried out.
    private func approve(_ life: inout SenderLife, _ id: RequestID, _ code: PairingCode) -> Refusal? {
        refusal(life.approve(id: id, code: code, by: admin, now: now))
    }

    private func deny(_ life: inout SenderLife, _ id: RequestID, _ code: PairingCode) -> Refusal? {
        refusal(life.deny(id: id, code: code, by: admin, now: now))
    }

    private func revoke(_ life: inout SenderLife, channel: String = "web", displayed: Int64? = nil)
        -> Refusal?
    {
        refusal(
            life.revoke(
                channel: ChannelID(channel), displayed: displayed.map { Generation($0) }, by: admin, now: now)
        )
    }

    private func refusal<Row>(_ decision: SenderLife.Decision<Row>) -> Refusal? {
        guard case .refuse(let refusal) = decision else { return nil }
        return refusal
    }
}
