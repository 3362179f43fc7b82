import PairingCore
import PairingStore
import Postgres
import Testing

@Suite("Sessions")
struct SessionTests {
    private let one = StoreFixture.instances[0]
    private let two = StoreFixture.instances[1]

    @Test("Each session of a device has a greater epoch, also after a new pairing")
    func epochs() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("tablet-01")
            #expect(try await fixture.session(device).epoch == Epoch(1))
            #expect(try await fixture.session(device, on: two).epoch == Epoch(2))
            _ = try await fixture.store.revoke(
                device.senderID, channel: nil, generation: nil, by: StoreFixture.admin
            ).done()
            let again = try await fixture.paired("tablet-01")
            let session = try await fixture.session(again)
            #expect(session.epoch == Epoch(3))
            #expect(session.generation == Generation(3))
        }
    }

    @Test("A session knows whether messages wait for it: those unanswered, then those unacknowledged (I4)")
    func openMessages() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("tablet-01")
            let arrival = PairingStore.Arrival(
                senderID: device.senderID, generation: device.generation,
                address: try #require(StoreFixture.address))
            func begin() async throws -> (session: PairingStore.LiveSession, hasOpenMessages: Bool) {
                let row = try #require(try await fixture.store.beginSessions([arrival], on: one)[0])
                let session = PairingStore.LiveSession(
                    senderID: device.senderID, generation: device.generation, epoch: row.epoch)
                return (session, row.hasOpenMessages)
            }
            var (session, hasOpenMessages) = try await begin()
            #expect(!hasOpenMessages)
            _ = try await fixture.store.accept([
                PairingStore.InboundMessage(session: session, messageID: "a", body: "1")
            ])
            (session, hasOpenMessages) = try await begin()
            #expect(hasOpenMessages)
            _ = try await fixture.store.reply([
                PairingStore.Reply(
                    session: session, inReplyTo: 1, answers: [.init(agent: "echo", body: "1")])
            ])
            (session, hasOpenMessages) = try await begin()
            #expect(hasOpenMessages)
            try await fixture.store.acknowledge([
                PairingStore.Acknowledgement(session: session, sequence: 1)
            ])
            (session, hasOpenMessages) = try await begin()
            #expect(!hasOpenMessages)
        }
    }

    @Test("Devices that arrive together get a session each, or none where the pairing has ended")
    func batch() async throws {
        try await StoreFixture.run { fixture in
            var arrivals: [PairingStore.Arrival] = []
            for index in 0..<10 {
                let device = try await fixture.paired("t-\(index)", credential: StoreFixture.key(index))
                arrivals.append(
                    PairingStore.Arrival(
                        senderID: device.senderID, generation: device.generation,
                        address: try #require(StoreFixture.address)))
            }
            for index in [2, 5] {
                _ = try await fixture.store.revoke(
                    arrivals[index].senderID, channel: nil, generation: nil, by: StoreFixture.admin
                ).done()
            }
            arrivals[7].generation = Generation(9)
            arrivals.append(
                PairingStore.Arrival(
                    senderID: try StoreFixture.sender("unknown"), generation: Generation(1),
                    address: try #require(StoreFixture.address)))
            let rows = try await fixture.store.beginSessions(arrivals, on: one)
            #expect(rows.count == arrivals.count)
            #expect(rows.indices.filter { rows[$0] == nil } == [2, 5, 7, 10])
            #expect(Set(rows.compactMap { $0?.sessionID }).count == 7)
            #expect(try await fixture.store.beginSessions([], on: one).isEmpty)
        }
    }

    @Test(
        "A device that connects while it is revoked, hundreds of times: no session outlives the revocation (I3)"
    )
    func connectRacesRevoke() async throws {
        try await StoreFixture.run(connections: 16) { fixture in
            let begun = try await atOnce(200) { index -> Bool in
                let device = try await fixture.paired("t-\(index)", credential: StoreFixture.key(index))
                async let revoked = fixture.store.revoke(
                    device.senderID, channel: nil, generation: device.generation, by: StoreFixture.admin)
                async let session = fixture.store.beginSessions(
                    [
                        PairingStore.Arrival(
                            senderID: device.senderID, generation: device.generation,
                            address: try #require(StoreFixture.address))
                    ], on: one)
                let (outcome, rows) = try await (revoked, session)
                _ = try outcome.done()
                // From here on the revocation has committed.
                let late = try await fixture.store.beginSessions(
                    [
                        PairingStore.Arrival(
                            senderID: device.senderID, generation: device.generation,
                            address: try #require(StoreFixture.address))
                    ], on: one)
                #expect(late == [nil])
                if let row = rows[0] {
                    let live = PairingStore.LiveSession(
                        senderID: device.senderID, generation: device.generation, epoch: row.epoch)
                    let ends = try await fixture.store.reconcile(
                        [live], on: one, name: "one", lease: .seconds(10))
                    #expect(ends == [live: .revoked])
                }
                return rows[0] != nil
            }
            #expect(begun.count == 200)
        }
    }

    @Test("A session that comes with the approval never replaces one that the device asked for")
    func comesWithApproval() async throws {
        try await StoreFixture.run { fixture in
            func arrive(_ device: PairedDevice) async throws -> PairingStore.SessionRow? {
                try await fixture.store.beginSessions(
                    [
                        PairingStore.Arrival(
                            senderID: device.senderID, generation: device.generation,
                            address: try #require(StoreFixture.address), comesWithApproval: true)
                    ], on: two)[0]
            }
            let waited = try await fixture.paired("waited", credential: StoreFixture.key(1))
            #expect(try await arrive(waited)?.epoch == Epoch(1))
            #expect(try await arrive(waited) == nil)
            let asked = try await fixture.paired("asked", credential: StoreFixture.key(2))
            let session = try await fixture.session(asked)
            #expect(try await arrive(asked) == nil)
            #expect(
                try await fixture.store.reconcile([session], on: one, name: "one", lease: .seconds(10))
                    .isEmpty)
            _ = try await fixture.store.revoke(
                asked.senderID, channel: nil, generation: nil, by: StoreFixture.admin
            ).done()
            let again = try await fixture.paired("asked", credential: StoreFixture.key(2))
            #expect(try await arrive(again)?.epoch == Epoch(2), "an older pairing's session does not count")
        }
    }

    @Test("Reconciling tells what was revoked and what was replaced from what lives")
    func reconcile() async throws {
        try await StoreFixture.run { fixture in
            let live = try await fixture.session(fixture.paired("lives", credential: StoreFixture.key(1)))
            let revokedDevice = try await fixture.paired("revoked", credential: StoreFixture.key(2))
            let revoked = try await fixture.session(revokedDevice)
            let replacedDevice = try await fixture.paired("replaced", credential: StoreFixture.key(3))
            let replaced = try await fixture.session(replacedDevice)
            let againDevice = try await fixture.paired("again", credential: StoreFixture.key(4))
            let again = try await fixture.session(againDevice)
            for device in [revokedDevice, againDevice] {
                _ = try await fixture.store.revoke(
                    device.senderID, channel: nil, generation: nil, by: StoreFixture.admin
                ).done()
            }
            _ = try await fixture.session(fixture.paired("again", credential: StoreFixture.key(4)), on: two)
            _ = try await fixture.session(replacedDevice, on: two)
            let invented = PairingStore.LiveSession(
                senderID: try StoreFixture.sender("invented"), generation: Generation(1), epoch: Epoch(1))
            let ends = try await fixture.store.reconcile(
                [live, revoked, replaced, again, invented], on: one, name: "one", lease: .seconds(10))
            #expect(
                ends == [revoked: .revoked, replaced: .replaced, again: .revoked, invented: .revoked])
            #expect(try await fixture.store.reconcile([], on: one, name: "one", lease: .seconds(1)).isEmpty)
        }
    }

    @Test("A device counts as connected while its gateway's lease runs and its session lasts")
    func presence() async throws {
        try await StoreFixture.run { fixture in
            let store = fixture.store
            let device = try await fixture.paired("tablet-01")
            func isConnected() async throws -> Bool {
                try await store.pairings(of: device.senderID)[0].isConnected
            }
            #expect(try await !isConnected())
            let session = try await fixture.session(device)
            #expect(try await !isConnected(), "the gateway has no lease yet")
            try await store.register(one, name: "one", lease: .seconds(60))
            #expect(try await isConnected())
            try await store.endSessions([session], on: two)
            #expect(try await isConnected(), "another gateway can't end it")
            try await store.endSessions([session], on: one)
            #expect(try await !isConnected())
            _ = try await fixture.session(device)
            #expect(try await isConnected())
            try await store.endSessions([session], on: one)
            #expect(try await isConnected(), "the end of an older session ends no newer one")
            try await store.retire(one)
            #expect(try await !isConnected())
            let row = try await store.pairings(of: device.senderID)[0]
            #expect(row.lastAddress == StoreFixture.address)
            #expect(row.lastSeenAt != nil)
        }
    }

    @Test(
        "A connected device is seen now, by its gateway's lease; one whose gateway died, when that lease ended"
    )
    func lastSeen() async throws {
        try await StoreFixture.run { fixture in
            let device = try await fixture.paired("tablet-01")
            let session = try await fixture.session(device)
            func row() async throws -> PairingStore.DeviceListing {
                try await fixture.store.pairings(of: device.senderID)[0]
            }
            try await fixture.pool.execute(
                "UPDATE device_sessions SET last_seen_at = last_seen_at - interval '2 hours'")
            let old = try #require(try await row().lastSeenAt)
            #expect(try await row().instanceName == nil)
            try await fixture.store.register(one, name: "gateway-1", lease: .seconds(60))
            var seen = try await row()
            #expect(seen.isConnected && seen.instanceName == "gateway-1")
            #expect(try #require(seen.lastSeenAt) > old + .seconds(7000))
            try await fixture.pool.execute(
                "UPDATE instances SET lease_until = clock_timestamp() - interval '1 hour'")
            seen = try await row()
            let last = try #require(seen.lastSeenAt)
            #expect(!seen.isConnected && seen.instanceName == nil)
            #expect(last > old + .seconds(3000) && last < old + .seconds(4000))
            try await fixture.store.endSessions([session], on: one)
            #expect(try #require(try await row().lastSeenAt) > last)
        }
    }

    @Test("Batches of the same devices in different orders, on several gateways, never deadlock")
    func lockOrder() async throws {
        try await StoreFixture.run(connections: 16) { fixture in
            var devices: [PairedDevice] = []
            for index in 0..<60 {
                devices.append(
                    try await fixture.paired("t-\(index)", credential: StoreFixture.key(index)))
            }
            let all = devices
            let address = try #require(StoreFixture.address)
            _ = try await atOnce(48) { index in
                let instance = StoreFixture.instances[index % 3]
                let shuffled = all.shuffled()
                switch index % 4 {
                case 0, 1:
                    let rows = try await fixture.store.beginSessions(
                        shuffled.map {
                            PairingStore.Arrival(
                                senderID: $0.senderID, generation: $0.generation, address: address)
                        }, on: instance)
                    #expect(rows.allSatisfy { $0 != nil })
                case 2:
                    try await fixture.pool.execute(
                        "UPDATE device_sessions SET last_seen_at = last_seen_at - interval '2 minutes' WHERE false"
                    )
                    try await fixture.store.endSessions(
                        shuffled.flatMap { device in
                            (1...24).map {
                                PairingStore.LiveSession(
                                    senderID: device.senderID, generation: device.generation, epoch: Epoch($0)
                                )
                            }
                        }, on: instance)
                default:
                    if index % 8 == 3 {
                        try await fixture.store.retire(instance)
                    } else {
                        _ = try await fixture.store.sessionsBehind(
                            shuffled.map {
                                let session = PairingStore.LiveSession(
                                    senderID: $0.senderID, generation: $0.generation, epoch: Epoch(1))
                                return (session, 0)
                            })
                    }
                }
            }
        }
    }
}
