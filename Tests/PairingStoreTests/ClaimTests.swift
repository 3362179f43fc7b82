import PairingCore
import PairingStore
import Postgres
import Testing

@Suite("Claims")
struct ClaimTests {
    @Test("A claim is stored as its device made it, and read back the same")
    func stored() async throws {
        try await StoreFixture.run { fixture in
            let profile = DeviceProfile(
                displayName: "Empfang \u{1F4F1}", metadata: #"{"a":1,"b":["x, \"y\"",null]}"#,
                details: [
                    Detail(label: "Browser", value: "Fire{fox}, \"128\""), Detail(label: "", value: "NULL"),
                ])
            var claim = try StoreFixture.claim("Tablet-01", profile: profile)
            claim.instanceID = StoreFixture.instances[0]
            claim.socketID = SocketID(7)
            let outcome = try await fixture.store.claim(claim)
            guard case .done(.pending(let request, let expiresIn)) = outcome else {
                throw Unexpected("a pending request", outcome)
            }
            #expect(request.senderID.text == "Tablet-01")
            #expect(request.credential == claim.credential)
            #expect(request.profile.displayName == profile.displayName)
            #expect(request.profile.details == profile.details)
            #expect(request.address == claim.address)
            #expect(request.state == .pending)
            #expect(claim.freshCodes.first == request.code)
            #expect(request.expiresAt - request.createdAt == .seconds(3600))
            #expect(expiresIn > .seconds(3480) && expiresIn <= .seconds(3600))
            #expect(try await fixture.store.request(request.id) == request)
            #expect(
                try await fixture.store.waitingSocket(of: request.id, on: StoreFixture.instances[0])
                    == SocketID(7))
        }
    }

    @Test("The same device asking again gets the same request and changes nothing (I11)")
    func repeats() async throws {
        try await StoreFixture.run { fixture in
            let first = try await fixture.pending("tablet-01")
            let profile = DeviceProfile(
                displayName: "Another", metadata: #"{"x":1}"#, details: [Detail(label: "l", value: "v")])
            let answers = try await atOnce(50) { index in
                var claim = try StoreFixture.claim(
                    index.isMultiple(of: 2) ? "tablet-01" : "TABLET-01", profile: profile,
                    address: "198.51.100.\(index)",
                    limits: StoreFixture.limits(lifetime: .seconds(60), perAddress: 0, total: 0))
                claim.ownCode = PairingCode("WXYZ-6789")
                return try fixture.request(try await fixture.store.claim(claim))
            }
            #expect(answers.allSatisfy { $0 == first })
            #expect(try await fixture.number("SELECT count(*) FROM pairing_requests") == 1)
            #expect(try await fixture.events().map(\.event) == ["pairing.requested"])
        }
    }

    @Test("A socket that asks again writes nothing; another one is remembered as the newest that waits")
    func repeatsOfOneSocket() async throws {
        try await StoreFixture.run { fixture in
            var claim = try StoreFixture.claim("tablet-01")
            claim.instanceID = StoreFixture.instances[0]
            func version(socket: UInt64) async throws -> String? {
                claim.socketID = SocketID(socket)
                let request = try fixture.request(try await fixture.store.claim(claim))
                #expect(
                    try await fixture.store.waitingSocket(of: request.id, on: StoreFixture.instances[0])
                        == SocketID(socket))
                return try await fixture.pool.query("SELECT xmin::text AS version FROM pairing_requests")
                    .first?.text("version")
            }
            let first = try await version(socket: 1)
            #expect(try await version(socket: 1) == first)
            #expect(try await version(socket: 2) != first)
        }
    }

    @Test("Fifty first requests of one device at once make one row with one code (I1, I11)")
    func firstRequestsAtOnce() async throws {
        try await StoreFixture.run { fixture in
            let answers = try await atOnce(50) { _ in
                try fixture.request(try await fixture.store.claim(try StoreFixture.claim("tablet-01")))
            }
            #expect(Set(answers.map(\.id)).count == 1)
            #expect(Set(answers.map(\.code)).count == 1)
            #expect(try await fixture.number("SELECT count(*) FROM pairing_requests") == 1)
        }
    }

    @Test(
        "Of many devices that claim one sender ID at once exactly one gets it, whatever case and channel (I1)"
    )
    func rivalsAtOnce() async throws {
        try await StoreFixture.run { fixture in
            let outcomes = try await atOnce(40) { index in
                try await fixture.store.claim(
                    try StoreFixture.claim(
                        ["tablet-01", "TABLET-01", "Tablet-01"][index % 3],
                        channel: ["web", "iot", "mobile"][index % 3], credential: StoreFixture.key(index),
                        address: "192.0.2.\(index)"))
            }
            let refusals = outcomes.compactMap { try? $0.refusal() }
            #expect(refusals.count == 39)
            #expect(refusals.allSatisfy { $0.code == .alreadyExists && $0.retryAfter != nil })
            #expect(try await fixture.number("SELECT count(*) FROM pairing_requests") == 1)
        }
    }

    @Test("Rivals are shown by address and channel, twenty at most, with one event each")
    func rivals() async throws {
        try await StoreFixture.run { fixture in
            let senderID = try StoreFixture.sender("tablet-01")
            _ = try await fixture.pending("tablet-01")
            for index in 0..<30 {
                for _ in 0..<2 {
                    let outcome = try await fixture.store.claim(
                        try StoreFixture.claim(
                            "tablet-01", credential: StoreFixture.key(100 + index),
                            address: "198.51.100.\(index)"))
                    #expect(try outcome.refusal().code == .alreadyExists)
                }
            }
            let rivals = try await fixture.store.rivals(of: [senderID])
            #expect(rivals.count == 20)
            #expect(rivals.allSatisfy { $0.attempts == 2 && $0.senderKey == "tablet-01" })
            let events = try await fixture.events().filter { $0.event == "pairing.rival_refused" }
            #expect(events.count == 20)
            #expect(Set(events.compactMap(\.address)).count == 20)
            #expect(try await fixture.store.rivals(of: []).isEmpty)
        }
    }

    @Test("A rival of a paired device is refused and the device unharmed")
    func rivalOfPaired() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("tablet-01")
            let rival = try StoreFixture.claim(
                "TABLET-01", channel: "iot", credential: StoreFixture.key(2), address: "198.51.100.9")
            #expect(try await fixture.store.claim(rival).refusal().code == .alreadyExists)
            let active = try await fixture.store.activeDevices(of: [device.senderID])
            #expect(active["tablet-01"]?.requestID == device.requestID)
            guard
                case .alreadyPaired = try await fixture.store.claim(try StoreFixture.claim("tablet-01"))
                    .done()
            else {
                Issue.record("the owner of the pairing is paired")
                return
            }
        }
    }

    // MARK: - Codes

    @Test("A device's own code is used, unless a request of the last 30 days had it, ended or not")
    func ownCode() async throws {
        try await StoreFixture.run { fixture in
            let code = try #require(PairingCode("ABCD-2345"))
            var first = try StoreFixture.claim("tablet-01", credential: StoreFixture.key(1))
            first.ownCode = code
            let request = try fixture.request(try await fixture.store.claim(first))
            #expect(request.code == code)
            var second = try StoreFixture.claim("tablet-02", credential: StoreFixture.key(2))
            second.ownCode = code
            #expect(try await fixture.store.claim(second).refusal().reason == "code_taken")
            _ = try await fixture.store.deny(request.id, code: code, by: StoreFixture.admin).done()
            #expect(try await fixture.store.claim(second).refusal().reason == "code_taken")
            try await fixture.pool.execute("DELETE FROM pairing_requests")
            #expect(try fixture.request(try await fixture.store.claim(second)).code == code)
        }
    }

    @Test("Devices that choose one code at once: one gets it")
    func ownCodeAtOnce() async throws {
        try await StoreFixture.run { fixture in
            let outcomes = try await atOnce(20) { index in
                var claim = try StoreFixture.claim("tablet-\(index)", credential: StoreFixture.key(index))
                claim.ownCode = PairingCode("ABCD-2345")
                return try await fixture.store.claim(claim)
            }
            #expect(outcomes.compactMap { try? $0.done() }.count == 1)
            #expect(outcomes.compactMap { try? $0.refusal() }.allSatisfy { $0.reason == "code_taken" })
        }
    }

    @Test("A fresh code that is taken is passed over")
    func freshCodeTaken() async throws {
        try await StoreFixture.run { fixture in
            let codes = StoreFixture.randomCodes()
            let first = try StoreFixture.claim("a", credential: StoreFixture.key(1), codes: codes)
            let second = try StoreFixture.claim("b", credential: StoreFixture.key(2), codes: codes)
            #expect(try fixture.request(try await fixture.store.claim(first)).code == codes[0])
            #expect(try fixture.request(try await fixture.store.claim(second)).code == codes[1])
        }
    }

    // MARK: - Credentials after a revocation

    @Test("After a revocation a key may pair again; a token may not")
    func afterRevocation() async throws {
        try await StoreFixture.run { fixture in
            for (sender, credential, reason) in [
                ("with-key", try StoreFixture.key(1), nil),
                ("with-token", StoreFixture.tokenHash(2), "token_revoked"),
            ] {
                let device = try await fixture.paired(sender, credential: credential)
                _ = try await fixture.store.revoke(
                    device.senderID, channel: device.channel, generation: device.generation,
                    by: StoreFixture.admin
                ).done()
                let outcome = try await fixture.store.claim(
                    try StoreFixture.claim(sender, credential: credential))
                #expect((try? outcome.refusal())?.reason == reason)
                let other = try await fixture.store.claim(
                    try StoreFixture.claim("\(sender)-other", credential: credential))
                #expect((try? other.refusal())?.reason == reason)
            }
        }
    }

    // MARK: - Text

    @Test("Name, metadata and details are stored in NFC, and what looks alike is alike (I7)")
    func normalised() async throws {
        try await StoreFixture.run { fixture in
            let decomposed = "Cafe\u{301}"
            let profile = DeviceProfile(
                displayName: decomposed, metadata: #"{"\#(decomposed)":"\#(decomposed)"}"#,
                details: [Detail(label: decomposed, value: decomposed)])
            let request = try fixture.request(
                try await fixture.store.claim(try StoreFixture.claim("tablet-01", profile: profile)))
            let composed = Array("Caf\u{E9}".utf8)
            #expect(Array(request.profile.displayName.utf8) == composed)
            #expect(request.profile.details.allSatisfy { Array($0.label.utf8) == composed })
            #expect(request.profile.details.allSatisfy { Array($0.value.utf8) == composed })
            #expect(Array(request.profile.metadata.utf8) == Array(#"{"Caf\#u{E9}":"Caf\#u{E9}"}"#.utf8))
        }
    }

    @Test("Metadata is kept to the byte, whatever its numbers and the order of its members")
    func exactMetadata() async throws {
        try await StoreFixture.run { fixture in
            let numbers = Array(repeating: "1e+300", count: 2300).joined(separator: ",")
            let metadata = #"{"z":1.50,"a":[\#(numbers)],"z2":-0}"#
            #expect(metadata.utf8.count > 16000)
            let request = try fixture.request(
                try await fixture.store.claim(
                    try StoreFixture.claim("tablet-01", profile: DeviceProfile(metadata: metadata))))
            #expect(request.profile.metadata == metadata)
            let device = try await fixture.store.approve(
                request.id, code: request.code, by: StoreFixture.admin
            ).done()
            #expect(
                try await fixture.store.activeDevices(of: [device.senderID])["tablet-01"]?.profile.metadata
                    == metadata)
        }
    }

    @Test("Metadata that is too long in the form it is stored in is refused, and nothing is stored")
    func metadataLongerInNFC() async throws {
        try await StoreFixture.run { fixture in
            // One character of four bytes; its NFC has three of four bytes.
            func claim(_ most: Int) async throws -> Outcome<PairingStore.ClaimResult> {
                try await fixture.store.claim(
                    try StoreFixture.claim(
                        "tablet-01", profile: DeviceProfile(metadata: #"{"a":"\#u{1D160}"}"#),
                        limits: StoreFixture.limits(metadata: most)))
            }
            let refusal = try await claim(19).refusal()
            #expect(refusal.reason == "metadata_too_large")
            #expect(refusal.message.contains("20 bytes"))
            #expect(try await fixture.number("SELECT count(*) FROM pairing_requests") == 0)
            #expect(try fixture.request(try await claim(20)).profile.metadata.utf8.count == 20)
        }
    }

    // MARK: - The waiting time after a denial

    @Test("After a denial the credential and the address wait; another device elsewhere doesn't")
    func cooldown() async throws {
        try await StoreFixture.run { fixture in
            let request = try await fixture.pending("tablet-01", credential: StoreFixture.key(1))
            _ = try await fixture.store.deny(request.id, code: request.code, by: StoreFixture.admin).done()
            func claim(_ key: Int, _ address: String) async throws -> Outcome<PairingStore.ClaimResult> {
                try await fixture.store.claim(
                    try StoreFixture.claim("TABLET-01", credential: StoreFixture.key(key), address: address))
            }
            for outcome in [
                try await claim(1, "192.0.2.7"), try await claim(1, "198.51.100.9"),
                try await claim(2, "192.0.2.7"),
            ] {
                let refusal = try outcome.refusal()
                #expect(refusal.reason == "denied_recently")
                let wait = try #require(refusal.retryAfter)
                #expect(wait > .seconds(480) && wait <= .seconds(600))
            }
            let elsewhere = try fixture.request(try await claim(2, "198.51.100.9"))
            #expect(elsewhere.state == .pending)
        }
    }

    @Test("The waiting time ends by itself, and an administrator can lift it")
    func cooldownEnds() async throws {
        try await StoreFixture.run { fixture in
            func denied(_ sender: String, _ key: Int) async throws {
                let request = try await fixture.pending(sender, credential: StoreFixture.key(key))
                _ = try await fixture.store.deny(request.id, code: request.code, by: StoreFixture.admin)
                    .done()
            }
            try await denied("waits", 1)
            try await fixture.pool.execute(
                "UPDATE pairing_requests SET decided_at = decided_at - interval '10 minutes'")
            _ = try await fixture.pending("waits", credential: StoreFixture.key(1))
            try await denied("lifted", 2)
            let senderID = try StoreFixture.sender("LIFTED")
            _ = try await fixture.store.clearCooldown(senderID, by: StoreFixture.admin).done()
            _ = try await fixture.pending("lifted", credential: StoreFixture.key(2))
            let again = try await fixture.store.clearCooldown(senderID, by: StoreFixture.admin).refusal()
            #expect(again.code == .notFound)
            let events = try await fixture.events()
            #expect(events.filter { $0.event == "pairing.cooldown_cleared" }.map(\.actor) == ["maria"])
        }
    }
}
