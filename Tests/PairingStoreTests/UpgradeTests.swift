import Logging
import PairingCore
import PairingStore
import Postgres
import PostgresTestSupport
import Testing

/// What an installation has at one step of the schema, put in as that step has it.
private struct Resident {
    let step: Int
    let pool: PostgresPool
    let senderID: SenderID
    let requestID: RequestID
    let waitingID: RequestID
    let code: PairingCode

    init(step: Int, pool: PostgresPool) throws {
        self.step = step
        self.pool = pool
        senderID = try StoreFixture.sender("device-\(step)")
        requestID = try #require(RequestID("00000000-0000-4000-8000-0000000000\(step + 10)"))
        waitingID = try #require(RequestID("00000000-0000-4000-9000-0000000000\(step + 10)"))
        code = try #require(StoreFixture.randomCodes().first)
    }

    /// Leaves out the columns that are still to come.
    private func insert(_ table: String, _ values: [String: String]) async throws {
        let there = try await pool.query(
            "SELECT column_name AS name FROM information_schema.columns WHERE table_name = $1", [.text(table)]
        ).map { try $0.text("name") }
        let columns = values.keys.filter(there.contains).sorted()
        if columns.isEmpty { return }
        try await pool.execute(
            """
            INSERT INTO \(table) (\(columns.joined(separator: ", ")))
            VALUES (\(columns.compactMap { values[$0] }.joined(separator: ", ")))
            """)
    }

    private func request(_ id: RequestID, of name: String, code: String) -> [String: String] {
        [
            "request_id": "'\(id.text)'", "sender_key": "'\(name)'", "sender_id": "'\(name)'",
            "channel": "'web'", "code": "'\(code)'", "token_hash": "sha256('\(name)')",
            "display_name": "'Bär \(step)'", "metadata": #"'{"b": 1, "a": [2]}'"#,
            "detail_labels": "'{Model}'",
            "detail_values": "'{T\(step)}'", "created_at": "now()", "expires_at": "now() + interval '1 hour'",
        ]
    }

    /// A device with a message in each direction, one that waits for a decision, an administrator, and events.
    func moveIn() async throws {
        let name = senderID.text
        let decided = ["state": "'approved'", "decided_at": "now()", "decided_by": "'maria'"]
        let used = try #require(StoreFixture.randomCodes().first)
        try await insert(
            "pairing_requests", request(requestID, of: name, code: used.text).merging(decided) { $1 })
        try await insert("pairing_requests", request(waitingID, of: "waits-\(step)", code: code.text))
        var device = request(requestID, of: name, code: "")
        for absent in ["code", "created_at", "expires_at"] { device[absent] = nil }
        let paired = ["generation": "1", "paired_at": "now()", "paired_by": "'maria'"]
        try await insert("paired_devices", device.merging(paired) { $1 })
        try await insert(
            "device_streams",
            [
                "sender_key": "'\(name)'", "generation": "1", "active": "true", "next_in": "2",
                "next_out": "2", "unanswered": "1", "unanswered_bytes": "7", "unacknowledged_bytes": "7",
                "claimed_until": "now()",
            ])
        for direction in ["in", "out"] {
            try await insert(
                "messages",
                [
                    "sender_key": "'\(name)'", "generation": "1", "direction": "'\(direction)'",
                    "sequence": "1", "message_id": direction == "in" ? "'first'" : "NULL",
                    "agent": direction == "in" ? "NULL" : "'echo'", "body": #"'"hello"'"#,
                    "created_at": "now()",
                ])
        }
        try await insert(
            "admins",
            [
                "username": "'admin-\(step)'", "password_hash": "'x'", "created_at": "now()",
                "role": "'administrator'",
            ])
        try await pool.execute(
            """
            SELECT record_event('pairing.approved', 'web', $1, 'administrator', 'maria', $2, 1, '192.0.2.1', '{}')
            """, [.text(name), .uuid(requestID.text)])
    }
}

@Suite("Upgrades")
struct UpgradeTests {
    /// What an installation holds is filled in at every step there was, so that each later step meets all of it.
    @Test("Whatever an installation held at any step of the schema is served after all later ones")
    func everyStep() async throws {
        try await PostgresCluster.shared.withDatabase { url in
            let pool = PostgresPool(
                configuration: try PostgresConfiguration(url), logger: Logger(label: "test"))
            var residents: [Resident] = []
            for step in 1...Schema.migrations.count {
                let applied = try await MigrationRunner(
                    migrations: Array(Schema.migrations.prefix(step))
                ).migrate(pool)
                #expect(applied == [Schema.migrations[step - 1].name])
                residents.append(try Resident(step: step, pool: pool))
                try await residents[step - 1].moveIn()
            }
            let store = PairingStore(pool: pool)
            let contradictions = try await store.contradictions { _ in }
            #expect(contradictions == [])
            let devices = try await store.activeDevices(of: residents.map(\.senderID))
            let instance = StoreFixture.instances[0]
            let work = try await store.claimWork(
                of: residents.map { ($0.senderID, 0) },
                for: PairingStore.WorkClaim(instance: instance, lease: .seconds(60)))
            for resident in residents {
                try await check(resident, devices[resident.senderID.key], store)
                guard case .claimed(let claimed) = work[resident.senderID.key] else {
                    Issue.record("the message of step \(resident.step) has no work")
                    continue
                }
                #expect(claimed.messages.map(\.sequence) == [1])
                #expect(claimed.messages.map(\.messageID) == ["first"])
            }
            let events = try await store.events(after: 0, limit: 1000)
            let told = Set(events.compactMap(\.senderID))
            #expect(residents.allSatisfy { told.contains($0.senderID.text) })
            let inventory = try await store.inventory()
            #expect(inventory.messages == Int64(3 * residents.count))
            await pool.close()
        }
    }

    private func check(
        _ resident: Resident, _ device: PairedDevice?, _ store: PairingStore
    ) async throws {
        let device = try #require(device, "the device of step \(resident.step) is not paired")
        #expect(device.profile.displayName == "Bär \(resident.step)")
        #expect(
            device.profile.metadata == #"{"b": 1, "a": [2]}"#
                || device.profile.metadata == #"{"a": [2], "b": 1}"#)
        // One that waited is approved, with its code.
        let approved = try await store.approve(
            resident.waitingID, code: resident.code, by: StoreFixture.admin
        ).done()
        #expect(approved.senderID.text == "waits-\(resident.step)")
        // Numbers go on behind those that were given.
        let arrival = PairingStore.Arrival(
            senderID: device.senderID, generation: device.generation,
            address: try #require(StoreFixture.address))
        let row = try #require(
            try await store.beginSessions([arrival], on: StoreFixture.instances[0])[0])
        let session = PairingStore.LiveSession(
            senderID: device.senderID, generation: device.generation, epoch: row.epoch)
        let accepted = try await store.accept([
            PairingStore.InboundMessage(session: session, messageID: "first", body: #""hello""#),
            PairingStore.InboundMessage(session: session, messageID: "second", body: #""again""#),
        ])
        let receipts = try accepted.map { try $0.done() }
        #expect(receipts.map(\.sequence) == [1, 2] && receipts.map(\.isRepeat) == [true, false])
    }
}
