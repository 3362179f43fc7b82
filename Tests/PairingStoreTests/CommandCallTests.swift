import PairingCore
import PairingStore
import Postgres
import Testing

@Suite("Calls of commands")
struct CommandCallTests {
    private func sender(_ session: PairingStore.LiveSession) -> PairingStore.PairedSender {
        PairingStore.PairedSender(senderID: session.senderID, generation: session.generation)
    }

    private func call(_ session: PairingStore.LiveSession, _ key: String) throws -> PairingStore.CommandCall {
        PairingStore.CommandCall(
            key: key, sender: sender(session), channel: try #require(ChannelID("web")), command: "light.set",
            agent: "support", limit: .seconds(5))
    }

    @Test("A call is recorded once, ends once, and only by its own device")
    func once() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            let other = try await fixture.session(fixture.paired("b"))
            for instance in StoreFixture.instances {
                _ = try await fixture.store.reconcile([], on: instance, name: "g", lease: .seconds(60))
            }
            let one = try call(session, "one")
            for _ in 0..<2 {
                let state = try await fixture.store.begin(one)
                #expect(state.outcome == nil && state.left > .zero && state.left <= .seconds(5))
            }
            let store = fixture.store
            #expect(try await !store.endCommand("one", of: sender(other), .done, by: .device))
            #expect(try await store.commandState(of: "one")?.outcome == nil)
            #expect(try await store.endCommand("one", of: sender(session), .done, answer: "{}", by: .device))
            #expect(try await store.endCommand("one", of: sender(session), .refused, by: .device))
            #expect(try await !store.endCommand("none", of: sender(session), .done, by: .device))
            let state = try await store.begin(one)
            #expect(state.outcome == .done && state.answer == "{}")
            #expect(try await events(fixture) == ["command.called", "command.ended"])
        }
    }

    @Test("A call of a device whose gateway is gone has ended when it is recorded, and is audited")
    func away() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            try await fixture.pool.execute("UPDATE instances SET lease_until = now() - interval '1 second'")
            #expect(try await fixture.store.begin(call(session, "one")).outcome == .away)
            #expect(try await events(fixture) == ["command.called", "command.ended"])
        }
    }

    @Test("What a device says of a call after its pairing has ended counts for nothing (I3)")
    func revoked() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            _ = try await fixture.store.begin(call(session, "one"))
            _ = try await fixture.store.revoke(
                session.senderID, channel: nil, generation: nil, by: StoreFixture.admin
            ).done()
            let sender = sender(session)
            await #expect(throws: Refusal.pairingEnded) {
                try await fixture.store.endCommand("one", of: sender, .done, answer: "{}", by: .device)
            }
            #expect(try await fixture.store.commandState(of: "one")?.outcome != .done)
        }
    }

    @Test("A call for whose end nobody waits any more is ended once its time is over")
    func due() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            for instance in StoreFixture.instances {
                _ = try await fixture.store.reconcile([], on: instance, name: "g", lease: .seconds(60))
            }
            _ = try await fixture.store.begin(call(session, "one"))
            #expect(try await fixture.store.endDueCommands() == 0)
            try await fixture.pool.execute(
                "UPDATE command_calls SET wanted_until = now() - interval '11 seconds'")
            #expect(try await fixture.store.endDueCommands() == 1)
            #expect(try await fixture.store.endDueCommands() == 0)
            #expect(try await fixture.store.commandState(of: "one")?.outcome == .abandoned)
            #expect(try await events(fixture) == ["command.called", "command.ended"])
        }
    }

    private func events(_ fixture: StoreFixture) async throws -> [String] {
        try await fixture.pool.query(
            "SELECT event FROM events WHERE event LIKE 'command.%' ORDER BY position"
        ).map { try $0.text("event") }
    }
}
