import PairingCore
import PairingStore
import Testing

@Suite("Commands that administrators switch off")
struct CommandSwitchTests {
    private static let profile = DeviceProfile(metadata: #"{"commands":["light.set","blink"]}"#)

    private func pair(
        _ fixture: StoreFixture, _ seed: Int, _ commands: CommandSwitches = CommandSwitches()
    ) async throws -> PairedDevice {
        let claim = try StoreFixture.claim(
            "lamp", credential: StoreFixture.key(seed), profile: Self.profile)
        let request = try fixture.request(await fixture.store.claim(claim))
        return try await fixture.store.approve(
            request.id, code: request.code, commands: commands, by: StoreFixture.admin
        ).done()
    }

    private func push(_ fixture: StoreFixture, _ id: String, _ command: String) async throws -> String {
        let push = PairingStore.Push(
            senderID: try StoreFixture.sender("lamp"), pushID: id, agent: "maria",
            body: #"{"type":"command","command":"\#(command)"}"#, lifetime: nil,
            actor: StoreFixture.admin.actor)
        switch try await fixture.store.push([push], by: nil)[0] {
        case .done(let stored): return stored.report.status.rawValue
        case .refused(let refusal): return refusal.reason
        }
    }

    @Test(
        "A command that is switched off is not accepted for the device, until it is switched on; each change is an event"
    )
    func pushes() async throws {
        try await StoreFixture.run { fixture in
            let device = try await pair(fixture, 1)
            #expect(device.commands.map(\.name) == ["light.set", "blink"])
            #expect(try await push(fixture, "p1", "light.set") == "accepted")
            let off = DeviceChange(commands: CommandSwitches(off: ["light.set"]))
            let changed = try await fixture.store.change(device.senderID, off, by: StoreFixture.admin).done()
            #expect(changed.commandsOff == ["light.set"] && changed.commands.map(\.name) == ["blink"])
            #expect(try await push(fixture, "p2", "light.set") == "command_switched_off")
            #expect(try await push(fixture, "p3", "blink") == "accepted")
            _ = try await fixture.store.change(device.senderID, off, by: StoreFixture.admin).done()
            _ = try await fixture.store.change(
                device.senderID, DeviceChange(commands: CommandSwitches(on: ["light.set"])),
                by: StoreFixture.admin
            ).done()
            #expect(try await push(fixture, "p2", "light.set") == "accepted")
            let events = try await fixture.store.events(after: 0, limit: 99).filter {
                $0.event == "device.changed"
            }
            #expect(events.map(\.details) == [#"{"commandsOff": ["light.set"]}"#, #"{"commandsOff": []}"#])
            let unknown = try await fixture.store.change(
                device.senderID, DeviceChange(commands: CommandSwitches(off: ["none"])),
                by: StoreFixture.admin
            ).refusal()
            #expect(unknown.reason == "unknown_command")
        }
    }

    @Test("What was switched off stays so in later pairings, and can be switched by who approves")
    func pairings() async throws {
        try await StoreFixture.run { fixture in
            let first = try await pair(fixture, 1, CommandSwitches(off: ["blink"]))
            #expect(try await push(fixture, "p1", "blink") == "command_switched_off")
            for (seed, switches, off) in [
                (2, CommandSwitches(), ["blink"]),
                (3, CommandSwitches(on: ["blink"], off: ["light.set"]), ["light.set"]),
            ] {
                _ = try await fixture.store.revoke(
                    first.senderID, channel: nil, generation: nil, by: StoreFixture.admin
                ).done()
                #expect(try await pair(fixture, seed, switches).commandsOff == off)
                #expect(try await fixture.store.pairings(of: first.senderID).first?.device.commandsOff == off)
                #expect(try await push(fixture, "p\(seed)", off[0]) == "command_switched_off")
            }
        }
    }

    @Test("An agent's answer that is a command which is switched off ends as undeliverable")
    func answers() async throws {
        try await StoreFixture.run { fixture in
            let device = try await pair(fixture, 1, CommandSwitches(off: ["blink"]))
            let session = try await fixture.session(device)
            let claim = PairingStore.WorkClaim(instance: StoreFixture.instances[0], lease: .seconds(60))
            _ = try await fixture.store.accept(
                [PairingStore.InboundMessage(session: session, messageID: "m", body: "1")], claim: claim)
            let reply = PairingStore.AgentReply(
                agent: "a", body: #"{"type":"command","command":"blink"}"#)
            let settlement = PairingStore.Settlement(
                sender: PairingStore.PairedSender(senderID: device.senderID, generation: device.generation),
                sequence: 1, messageID: "m", result: .answered([reply]))
            guard case .stored(let stored)? = try await fixture.store.settle([settlement], for: claim).first
            else { throw Unexpected("a settled message", settlement) }
            #expect(stored.messages.isEmpty)
            let report = try await fixture.store.messageReport(
                of: PairingStore.MessageKey(session: session, messageID: "m"))
            #expect(report?.status == .undeliverable && report?.reason == "command_switched_off")
        }
    }
}
