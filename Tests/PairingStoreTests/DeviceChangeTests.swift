import PairingCore
import PairingStore
import Testing

@Suite("What administrators say of devices")
struct DeviceChangeTests {
    private func pair(_ fixture: StoreFixture, _ seed: Int, agents: [String]? = nil) async throws
        -> PairedDevice
    {
        let request = try await fixture.pending("tablet-01", credential: StoreFixture.key(seed))
        return try await fixture.store.approve(
            request.id, code: request.code, agents: agents, by: StoreFixture.admin
        ).done()
    }

    private func newest(_ fixture: StoreFixture) async throws -> PairedDevice {
        try #require(try await fixture.store.pairings(of: StoreFixture.sender("tablet-01")).first).device
    }

    @Test("I8: a change is one event that says what is new; no change is none")
    func changes() async throws {
        try await StoreFixture.run { fixture in
            let device = try await pair(fixture, 1)
            let change = DeviceChange(label: "Reception", note: "At the door", expiry: .after(.seconds(3600)))
            let changed = try await fixture.store.change(
                device.senderID, generation: device.generation, change, by: StoreFixture.admin
            ).done()
            #expect((changed.label, changed.note) == ("Reception", "At the door"))
            #expect(try await newest(fixture) == changed)
            _ = try await fixture.store.change(
                device.senderID, DeviceChange(label: "Reception", agents: []), by: StoreFixture.admin
            ).done()
            let events = try await fixture.store.events(after: 0, limit: 99).filter {
                $0.event == "device.changed"
            }
            #expect(events.count == 1)
            let details = try JSONValue(parsing: try #require(events.first).details.utf8)
            #expect(details["label"] == .string("Reception") && details["agents"] == nil)
            #expect(events.first?.actor == "maria" && events.first?.generation == device.generation.number)
            let cleared = try await fixture.store.change(
                device.senderID, DeviceChange(label: "", expiry: .never), by: StoreFixture.admin
            ).done()
            #expect(cleared.label == nil && cleared.expiresAt == nil && cleared.note == "At the door")
        }
    }

    @Test("What is displayed no more is not changed, and neither is what is not paired")
    func refused() async throws {
        try await StoreFixture.run { fixture in
            let device = try await pair(fixture, 1)
            func refusal(_ generation: Generation?) async throws -> String? {
                guard
                    case .refused(let refusal) = try await fixture.store.change(
                        device.senderID, generation: generation, DeviceChange(label: "x"),
                        by: StoreFixture.admin)
                else { return nil }
                return refusal.reason
            }
            #expect(try await refusal(Generation(device.generation.number + 2)) == "changed")
            _ = try await fixture.store.revoke(
                device.senderID, channel: nil, generation: nil, by: StoreFixture.admin
            ).done()
            #expect(try await refusal(nil) == "not_active")
        }
    }

    @Test(
        "Label, note and agents survive a new pairing, and expiry does not; who approves may choose other agents"
    )
    func survives() async throws {
        try await StoreFixture.run { fixture in
            let device = try await pair(fixture, 1, agents: ["support"])
            #expect(try await newest(fixture).agents == ["support"])
            _ = try await fixture.store.change(
                device.senderID,
                DeviceChange(
                    label: "Reception", note: "n", expiry: .after(.seconds(60)), agents: ["a", "b"]),
                by: StoreFixture.admin
            ).done()
            for agents in [nil, ["c"], []] as [[String]?] {
                _ = try await fixture.store.revoke(
                    device.senderID, channel: nil, generation: nil, by: StoreFixture.admin
                ).done()
                let again = try await pair(fixture, 1, agents: agents)
                #expect(again.generation > device.generation)
                let now = try await newest(fixture)
                #expect(now.agents == agents ?? ["a", "b"])
                #expect((now.label, now.note, now.expiresAt) == ("Reception", "n", nil))
            }
        }
    }

    @Test(
        "I2, I3: a pairing whose time is over is revoked by the system, once, and one that was given more time is not"
    )
    func expires() async throws {
        try await StoreFixture.run { fixture in
            let device = try await pair(fixture, 1)
            _ = try await fixture.store.change(
                device.senderID, DeviceChange(expiry: .after(.zero)), by: StoreFixture.admin
            ).done()
            let other = try await fixture.paired("other", credential: StoreFixture.key(2))
            _ = try await fixture.store.change(
                other.senderID, DeviceChange(expiry: .after(.seconds(60))), by: StoreFixture.admin
            ).done()
            #expect(try await fixture.store.revokeDueDevices() == 1)
            #expect(try await fixture.store.revokeDueDevices() == 0)
            let ended = try await newest(fixture)
            #expect(ended.state == .revoked && ended.revokedBy == "system" && ended.revokeReason == "expired")
            let refused = try await fixture.store.revoke(
                other.senderID, channel: nil, generation: nil, onlyIfDue: true, by: StoreFixture.admin)
            guard case .refused(let refusal) = refused else { throw Unexpected("a refusal", refused) }
            #expect(refusal.reason == "not_due")
        }
    }

    @Test("A message goes to who was chosen at the moment it is accepted, and names nobody else")
    func agents() async throws {
        try await StoreFixture.run { fixture in
            let device = try await pair(fixture, 1)
            let session = try await fixture.session(device)
            let claim = PairingStore.WorkClaim(instance: StoreFixture.instances[0], lease: .seconds(60))
            func send(_ id: String, to agent: PairingStore.NamedAgent? = nil) async throws -> String {
                let message = PairingStore.InboundMessage(
                    session: session, messageID: id, body: "1",
                    forwarded: [.init(agent: "", body: "1"), .init(agent: "fixed", body: "2")], agent: agent)
                switch try await fixture.store.accept([message], claim: claim)[0] {
                case .done(let acceptance):
                    #expect(message.parts(for: acceptance.agent).map(\.agent) == [acceptance.agent, "fixed"])
                    return acceptance.agent
                case .refused(let refusal): return refusal.reason
                }
            }
            let echo = PairingStore.NamedAgent(name: "echo", answersChannel: true)
            let support = PairingStore.NamedAgent(name: "support", answersChannel: false)
            #expect(try await send("m1") == "")
            #expect(try await send("m2", to: echo) == "echo")
            #expect(try await send("m3", to: support) == "agent_not_allowed")
            _ = try await fixture.store.change(
                device.senderID, DeviceChange(agents: ["plant", "support"]), by: StoreFixture.admin
            ).done()
            #expect(try await send("m4") == "plant")
            #expect(try await send("m5", to: support) == "support")
            #expect(try await send("m6", to: echo) == "agent_not_allowed")
            // Another instance that takes the work over asks the same ones.
            let other = PairingStore.WorkClaim(instance: StoreFixture.instances[0], lease: .seconds(60))
            let outcome = try await fixture.store.claimWork(of: [(device.senderID, 0)], for: other)
            guard case .claimed(let work)? = outcome[device.senderID.key] else {
                throw Unexpected("claimed work", outcome)
            }
            #expect(
                work.messages.map { $0.parts.map(\.agent) } == [
                    ["", "fixed"], ["echo", "fixed"], ["plant", "fixed"], ["support", "fixed"],
                ])
        }
    }

    @Test("A device's sight has its session, its messages without their text, and what happened to it")
    func sight() async throws {
        try await StoreFixture.run { fixture in
            let device = try await pair(fixture, 1, agents: ["support"])
            let session = try await fixture.session(device)
            _ = try await fixture.store.accept([
                PairingStore.InboundMessage(session: session, messageID: "m", body: #"{"secret":1}"#)
            ])
            let sight = try await fixture.store.sight(of: device.senderID, device.generation)
            #expect(sight.session?.address == StoreFixture.address)
            #expect(sight.messages.map(\.agent) == ["support"] && sight.messages[0].bytes == 12)
            #expect(sight.messages[0].isFromDevice && sight.messages[0].text == nil)
            #expect(sight.events.map(\.event) == ["pairing.approved", "pairing.requested"])
            let read = try await fixture.store.sight(of: device.senderID, device.generation, textLength: 5)
            #expect(read.messages.map(\.text) == [#"{"sec"#])
        }
    }
}
