import Logging
import PairingCore
import PairingStore
import Postgres
import PostgresTestSupport
import Testing

@Suite("The schema")
struct SchemaTests {
    @Test("The migrations apply to an empty database, once")
    func applies() async throws {
        try await PostgresCluster.shared.withDatabase { url in
            let pool = PostgresPool(
                configuration: try PostgresConfiguration(url), logger: Logger(label: "test"))
            let runner = MigrationRunner(migrations: Schema.migrations)
            #expect(try await runner.migrate(pool) == Schema.migrations.map(\.name))
            #expect(try await runner.migrate(pool).isEmpty)
            #expect(try await runner.status(pool).pending.isEmpty)
            await pool.close()
        }
    }

    @Test("What a role lacks is named with what to run: the schema, rights to it, and later steps")
    func lack() async throws {
        let cluster = try await PostgresCluster.shared
        try await cluster.withDatabase { url in
            let owner = PostgresPool(
                configuration: try PostgresConfiguration(url), logger: Logger(label: "test"))
            let database = try await owner.query("SELECT current_database() AS d")[0].text("d")
            let role = "server_\(database)"
            try await cluster.administer("CREATE ROLE \(role) LOGIN")
            let pool = PostgresPool(
                configuration: try PostgresConfiguration(cluster.url(database, user: role)),
                logger: Logger(label: "test"))
            let server = PairingStore(pool: pool)
            let empty = try #require(try await server.lack())
            #expect(empty.contains("nodesctl migrate"))
            #expect(empty.contains("GRANT USAGE, CREATE ON SCHEMA public TO \(role)"))
            let refused = await #expect(throws: PostgresError.self) {
                try await MigrationRunner(migrations: Schema.migrations).migrate(pool)
            }
            #expect(refused?.isUnprepared == true)
            let unknown = await #expect(throws: PostgresError.self) { try await server.newestPosition() }
            #expect(unknown.flatMap { StoreFailure($0) } == .unprepared)

            _ = try await MigrationRunner(migrations: Array(Schema.migrations.dropLast())).migrate(owner)
            let rights = try #require(try await server.lack())
            #expect(rights.contains("GRANT SELECT ON schema_migrations TO \(role)"))
            #expect(!rights.contains("DELETE ON events"))
            func grant(_ rights: String) async throws {
                for statement in rights.split(separator: "; ") {
                    guard let start = statement.firstRange(of: "GRANT") else { continue }
                    let grant = statement[start.lowerBound...].prefix { $0 != "." }
                    try await cluster.administer(String(grant), database: database)
                }
            }
            try await grant(rights)
            let behind = try #require(try await server.lack())
            #expect(behind.contains("step \(Schema.migrations.count - 1) of \(Schema.migrations.count)"))
            _ = try await MigrationRunner(migrations: Schema.migrations).migrate(owner)
            // A step may add tables.
            if let more = try await server.lack() { try await grant(more) }
            #expect(try await server.lack() == nil)
            await pool.close()
            await owner.close()
            try await cluster.administer("DROP OWNED BY \(role)", database: database)
            try await cluster.administer("DROP ROLE \(role)")
        }
    }

    @Test("Requests and pairings from before metadata kept its text are still there, and can be approved")
    func olderMetadata() async throws {
        try await PostgresCluster.shared.withDatabase { url in
            let pool = PostgresPool(
                configuration: try PostgresConfiguration(url), logger: Logger(label: "test"))
            _ = try await MigrationRunner(migrations: Array(Schema.migrations.prefix(3))).migrate(pool)
            let store = PairingStore(pool: pool)
            // The store of today reads what later steps add.
            let later = [
                ("pairing_requests", "reason", "text"), ("paired_devices", "revoke_reason", "text"),
                ("paired_devices", "label", "text"), ("paired_devices", "note", "text"),
                ("paired_devices", "expires_at", "timestamptz"), ("paired_devices", "agents", "text[]"),
                ("device_streams", "agents", "text[]"),
                ("paired_devices", "commands_off", "text[]"), ("device_streams", "commands_off", "text[]"),
            ]
            for (table, column, type) in later {
                try await pool.execute("ALTER TABLE \(table) ADD COLUMN \(column) \(type)")
            }
            try await pool.execute(
                """
                CREATE TABLE device_silence (sender_key text PRIMARY KEY, generation bigint, channel text,
                    due_at timestamptz, told bigint)
                """)
            try await pool.execute(
                "CREATE VIEW pairing_window AS SELECT 'always'::text AS mode, NULL::timestamptz AS until")
            var requests: [PairingRequest] = []
            for index in 1...2 {
                let claim = try StoreFixture.claim(
                    "tablet-\(index)", credential: StoreFixture.key(index),
                    profile: DeviceProfile(metadata: #"{"b":1,"a":[2]}"#))
                guard case .done(.pending(let request, _)) = try await store.claim(claim) else {
                    Issue.record("expected a pending request")
                    return
                }
                requests.append(request)
            }
            _ = try await store.approve(
                requests[0].id, code: requests[0].code, by: StoreFixture.admin
            ).done()
            for (table, column, _) in later {
                try await pool.execute("ALTER TABLE \(table) DROP COLUMN \(column)")
            }
            try await pool.execute("DROP TABLE device_silence")
            try await pool.execute("DROP VIEW pairing_window")
            #expect(
                try await MigrationRunner(migrations: Schema.migrations).migrate(pool).first
                    == "exact_metadata")
            _ = try await store.approve(
                requests[1].id, code: requests[1].code, by: StoreFixture.admin
            ).done()
            let devices = try await store.activeDevices(of: requests.map(\.senderID))
            #expect(devices.count == 2)
            #expect(devices.values.allSatisfy { $0.profile.metadata == #"{"a": [2], "b": 1}"# })
            await pool.close()
        }
    }

    @Test("A database in another encoding than UTF8 is told from a working one by its texts")
    func encoding() async throws {
        try await StoreFixture.run { fixture in
            let row = try #require(try await fixture.pool.query("SHOW server_encoding").first)
            #expect(try row.text("server_encoding") == "UTF8")
        }
    }

    @Test("The database itself refuses a second live request and a second active pairing of a sender ID (I1)")
    func uniqueness() async throws {
        try await StoreFixture.run { fixture in
            _ = try await fixture.pending("tablet-01")
            let copyRequest = """
                INSERT INTO pairing_requests SELECT gen_random_uuid(), sender_key, sender_id, channel, 'ZZZZZZZZ',
                    state, public_key, token_hash, display_name, metadata, detail_labels, detail_values, address,
                    address_limit_key, network_block, NULL, NULL, created_at, expires_at, decided_at, decided_by
                FROM pairing_requests
                """
            await #expect(throws: PostgresError.self) { try await fixture.pool.execute(copyRequest) }
            try await fixture.paired("tablet-02")
            let copyDevice = """
                INSERT INTO paired_devices SELECT gen_random_uuid(), sender_key, sender_id, channel,
                    generation + 10, state, public_key, token_hash, display_name, metadata, detail_labels,
                    detail_values, paired_at, paired_by
                FROM paired_devices
                """
            await #expect(throws: PostgresError.self) { try await fixture.pool.execute(copyDevice) }
        }
    }
}
