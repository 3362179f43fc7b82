import Logging
import PairingCore
import PairingStore
import Postgres
import PostgresTestSupport
import Synchronization
import Testing

@Suite("What is kept, and how")
struct RetentionTests {
    @Test("Only what nobody needs any more is removed, and all of it")
    func removeOutdated() async throws {
        try await StoreFixture.run { fixture in
            let store = fixture.store
            let old = try await fixture.pending("old", credential: StoreFixture.key(1))
            let recent = try await fixture.pending("recent", credential: StoreFixture.key(2))
            for request in [old, recent] {
                _ = try await store.deny(request.id, code: request.code, by: StoreFixture.admin).done()
            }
            let waits = try await fixture.pending("waits", credential: StoreFixture.key(3))
            _ = try await store.claim(
                try StoreFixture.claim("waits", credential: StoreFixture.key(4), address: "198.51.100.1"))
            let device = try await fixture.paired("device", credential: StoreFixture.key(5))
            let session = try await fixture.session(device)
            try await store.register(StoreFixture.instances[0], name: "one", lease: .zero)
            _ = try await store.accept(
                (1...2).map { PairingStore.InboundMessage(session: session, messageID: "\($0)", body: "1") })
            _ = try await store.reply([
                PairingStore.Reply(session: session, inReplyTo: 1, answers: [.init(agent: "echo", body: "1")])
            ])
            let attempt = PairingStore.SignInAttempt(
                username: "maria", address: try #require(StoreFixture.address), browserPlace: nil,
                addressPlace: [1])
            _ = try await store.admit(
                attempt,
                limits: .init(
                    failuresPerAccount: 1, failuresPerAddress: 1, failuresPerKnownPlace: 1,
                    window: .seconds(60)))
            #expect(try await store.removeOutdated() == 0)
            try await fixture.pool.execute(
                "UPDATE pairing_requests SET decided_at = decided_at - interval '31 days' WHERE sender_id = 'old'"
            )
            try await fixture.pool.execute(
                "UPDATE pairing_requests SET decided_at = decided_at - interval '29 days' WHERE sender_id = 'recent'"
            )
            try await fixture.pool.execute("UPDATE rival_claims SET last_at = last_at - interval '31 days'")
            try await fixture.pool.execute(
                "UPDATE instances SET lease_until = lease_until - interval '31 days'")
            try await fixture.pool.execute(
                "UPDATE messages SET done_at = done_at - interval '8 days', created_at = created_at - interval '8 days'"
            )
            try await fixture.pool.execute(
                "UPDATE sign_in_failures SET window_started_at = window_started_at - interval '2 days'")
            // A request, a rival, an instance, a settled message, an account's and an address's failures.
            #expect(try await store.removeOutdated() == 6)
            #expect(try await store.request(old.id) == nil)
            #expect(try await store.request(recent.id) != nil)
            #expect(try await store.request(waits.id)?.state == .pending)
            #expect(
                try await store.openMessages(.inbound, of: session, after: 0, upTo: .max)?.messages.map(
                    \.sequence) == [2])
            #expect(
                try await store.openMessages(.outbound, of: session, after: 0, upTo: .max)?.messages.map(
                    \.sequence) == [1])
            #expect(try await store.activeDevices(of: [device.senderID]).count == 1)
        }
    }

    @Test("No more rows of a kind go in one call than asked")
    func removesInPieces() async throws {
        try await StoreFixture.run { fixture in
            for index in 0..<5 {
                let request = try await fixture.pending("t-\(index)", credential: StoreFixture.key(index))
                _ = try await fixture.store.deny(request.id, code: request.code, by: StoreFixture.admin)
                    .done()
            }
            try await fixture.pool.execute(
                "UPDATE pairing_requests SET decided_at = decided_at - interval '31 days'")
            #expect(try await fixture.store.removeOutdated(limit: 2) == 2)
            #expect(try await fixture.store.removeOutdated(limit: 2) == 2)
            #expect(try await fixture.store.removeOutdated(limit: 2) == 1)
        }
    }

    @Test("Several gateways that remove at once wait for nobody and for nothing")
    func removesAtOnce() async throws {
        try await StoreFixture.run(connections: 12) { fixture in
            try await fixture.pool.execute(
                """
                INSERT INTO sign_in_failures (subject, failures, window_started_at)
                SELECT 'account:' || i, 1, clock_timestamp() - interval '2 days' FROM generate_series(1, 500) AS i
                """)
            // One row is held by somebody for as long as the others take.
            let isRemoved = Atomic(false)
            async let holder: Void = fixture.pool.transaction { transaction in
                try transaction.execute(
                    "SELECT 1 FROM sign_in_failures WHERE subject = 'account:7' FOR UPDATE")
                while !isRemoved.load(ordering: .sequentiallyConsistent) {
                    try transaction.execute("SELECT pg_sleep(0.01)")
                }
            }
            while try await fixture.number("SELECT count(*) FROM pg_locks WHERE mode = 'RowShareLock'") == 0 {
            }
            let counts = try await atOnce(8) { _ in
                var removed = 0
                for _ in 0..<10 { removed += try await fixture.store.removeOutdated(limit: 20) }
                return removed
            }
            isRemoved.store(true, ordering: .sequentiallyConsistent)
            try await holder
            #expect(counts.reduce(0, +) == 499)
            #expect(try await fixture.store.removeOutdated() == 1)
        }
    }

    @Test("No secret is in the database, in any column of any table, in any spelling (I9)")
    func secrets() async throws {
        try await StoreFixture.run { fixture in
            // Only hashes of secrets reach the store: its columns for them hold 32 bytes and nothing else.
            let columns = try await fixture.pool.query(
                """
                SELECT table_name || '.' || column_name AS name, data_type AS type FROM information_schema.columns
                WHERE table_schema = 'public'
                    AND column_name ~* 'secret|token|password|key|hash|cookie|nonce|signature|credential'
                ORDER BY 1
                """
            ).map { (try $0.text("name"), try $0.text("type")) }
            let expected = [
                "address_limit_key", "password_hash", "public_key", "sender_key", "session_hash",
                "token_hash",
                "token_id", "code_hash", "secret_hash",
                // Sealed under a key that the store never sees.
                "totp_secret", "secret", "old_secret", "secret_since", "old_secret_until",
                // What names a passkey, which is no secret.
                "passkey_id", "credential_id",
                // Of what happened, which is no secret.
                "hash", "chain_hash",
            ]
            for (name, type) in columns {
                let column = name.split(separator: ".")[1]
                #expect(expected.contains(String(column)), "\(name) looks like a secret")
                if column == "session_hash" || column == "token_hash" { #expect(type == "bytea") }
            }
            for (table, column) in [
                ("pairing_requests", "token_hash"), ("paired_devices", "token_hash"),
                ("admin_sessions", "session_hash"), ("api_tokens", "token_hash"),
                ("recovery_codes", "code_hash"), ("invitations", "secret_hash"),
            ] {
                let checks = try await fixture.number(
                    """
                    SELECT count(*) FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c'
                        AND pg_get_constraintdef(oid) LIKE '%length(' || $2 || ') = 32%'
                    """, [.text(table), .text(column)])
                #expect(checks == 1, "\(table).\(column) has to hold a hash")
            }
        }
    }

    @Test("A store whose database is away says so, and works again when it is back (I5)")
    func unavailable() async throws {
        let cluster = try await PostgresCluster.launch()
        let database = try await cluster.createDatabase()
        let pool = PostgresPool(
            configuration: try PostgresConfiguration(cluster.url(database)), logger: .init(label: "test"))
        _ = try await MigrationRunner(migrations: Schema.migrations).migrate(pool)
        let store = PairingStore(pool: pool)
        let claim = try StoreFixture.claim("tablet-01")
        guard case .done(.pending(let request, _)) = try await store.claim(claim) else {
            Issue.record("expected a pending request")
            return
        }
        try await cluster.stop()
        for attempt in 0..<3 {
            do {
                _ = try await store.claim(claim)
                Issue.record("granted while the database is away")
            } catch {
                #expect(StoreFailure(error) == .unavailable, "attempt \(attempt): \(error)")
            }
        }
        await #expect(throws: (any Error).self) { try await store.ping() }
        try await cluster.start()
        var again: PairingRequest?
        for _ in 0..<600 where again == nil {
            again = (try? await store.claim(claim)).flatMap { outcome in
                guard case .done(.pending(let request, _)) = outcome else { return nil }
                return request
            }
            if again == nil { try await Task.sleep(for: .milliseconds(100)) }
        }
        #expect(again == request)
        await pool.close()
        try await cluster.remove()
    }
}
