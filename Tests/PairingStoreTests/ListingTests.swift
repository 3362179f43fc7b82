import Logging
import PairingCore
import PairingStore
import Postgres
import PostgresTestSupport
import Testing

@Suite("Listings")
struct ListingTests {
    @Test("Pages of requests are complete, newest first and without a row twice, while others come and go")
    func requestPages() async throws {
        try await StoreFixture.run { fixture in
            var made: [RequestID] = []
            for index in 0..<25 {
                made.append(try await fixture.pending("t-\(index)", credential: StoreFixture.key(index)).id)
            }
            // Rows of one time are told apart by their IDs.
            try await fixture.pool.execute(
                "UPDATE pairing_requests SET created_at = '2030-01-01'::timestamptz, expires_at = '2031-01-01'"
            )
            var seen: [RequestID] = []
            var cursor: PairingStore.Cursor?
            repeat {
                let page = try await fixture.store.pendingRequests(filter: "", after: cursor, limit: 7)
                seen += page.map(\.row.id)
                cursor = page.last?.cursor
                _ = try await fixture.pending(
                    "new-\(seen.count)", credential: StoreFixture.key(900 + seen.count))
            } while cursor != nil
            let old = seen.filter(made.contains)
            #expect(old.count == 25)
            #expect(Set(seen).count == seen.count)
            #expect(old.map(\.text) == old.map(\.text).sorted(by: >))
        }
    }

    @Test("Pages of devices are complete and without a row twice, to the microsecond")
    func devicePages() async throws {
        try await StoreFixture.run { fixture in
            for index in 0..<23 {
                try await fixture.paired("t-\(index)", credential: StoreFixture.key(index))
            }
            // A microsecond apart each, three of one time.
            try await fixture.pool.execute(
                """
                UPDATE paired_devices SET paired_at = '2024-02-29 12:00:00.999990+00'::timestamptz
                    + (substr(sender_id, 3)::int / 3) * interval '1 microsecond'
                """)
            var seen: [String] = []
            var times: [Int64] = []
            var cursor: PairingStore.DeviceCursor?
            repeat {
                let page = try await fixture.store.findDevices(.init(), after: cursor, limit: 4)
                seen += page.rows.map(\.row.device.senderID.text)
                times += page.rows.compactMap { Int64($0.cursor.key) }
                cursor = page.next
            } while cursor != nil
            #expect(Set(seen) == Set((0..<23).map { "t-\($0)" }))
            #expect(seen.count == 23)
            #expect(times == times.sorted(by: >))
        }
    }

    @Test(
        "A filter finds a part of sender ID, channel, code or name, in any case",
        arguments: [
            "reception", "TABLET", "mobile", "abcd", "ABCD-2345", "abcd2345", "ＡＢＣＤ‐２３４５", "caf\u{E9}",
            "Cafe\u{301}",
        ])
    func requestFilter(_ filter: String) async throws {
        try await StoreFixture.run { fixture in
            var claim = try StoreFixture.claim(
                "Tablet-Reception", channel: "mobile",
                profile: DeviceProfile(displayName: "Caf\u{E9} \u{1F4F1}"))
            claim.ownCode = PairingCode("ABCD-2345")
            _ = try await fixture.store.claim(claim).done()
            _ = try await fixture.pending("other", credential: StoreFixture.key(2))
            let found = try await fixture.store.pendingRequests(filter: filter, after: nil, limit: 10)
            #expect(found.map(\.row.senderID.text) == ["Tablet-Reception"])
        }
    }

    @Test("A filter finds what it says in a database of any language: Turkish has an I of its own")
    func turkishFilter() async throws {
        try await PostgresCluster.shared.withDatabase(options: "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'") {
            url in
            let pool = PostgresPool(
                configuration: try PostgresConfiguration(url), logger: Logger(label: "test"))
            _ = try await MigrationRunner(migrations: Schema.migrations).migrate(pool)
            let store = PairingStore(pool: pool)
            let claim = try StoreFixture.claim("t-1", profile: DeviceProfile(displayName: "IOT izmir"))
            let request = try await store.claim(claim).done()
            for filter in ["iot", "IOT", "izmir", "IZMIR"] {
                let found = try await store.pendingRequests(filter: filter, after: nil, limit: 10)
                #expect(found.map(\.row.senderID.text) == ["t-1"], "\(filter)")
            }
            guard case .pending(let pending, _) = request else {
                Issue.record("expected a pending request")
                return
            }
            _ = try await store.approve(pending.id, code: pending.code, by: StoreFixture.admin).done()
            let devices = try await store.findDevices(.init(text: "iot"), limit: 10).rows
            #expect(devices.count == 1)
            await pool.close()
        }
    }

    @Test(
        "Where codes have to be typed, the filter does not find them",
        arguments: ["abcd", "ABCD-2345", "2345"])
    func filterWithoutCode(_ filter: String) async throws {
        try await StoreFixture.run { fixture in
            var claim = try StoreFixture.claim("tablet")
            claim.ownCode = PairingCode("ABCD-2345")
            _ = try await fixture.store.claim(claim).done()
            let found = try await fixture.store.pendingRequests(
                filter: filter, matchesCode: false, after: nil, limit: 10)
            #expect(found.isEmpty)
        }
    }

    @Test(
        "A filter is taken literally", arguments: ["%", "_", "\\", "'", "tablet%", "nothing", "[a-z]", ".*"])
    func literalFilter(_ filter: String) async throws {
        try await StoreFixture.run { fixture in
            try await fixture.paired("tablet-01")
            _ = try await fixture.pending("tablet-02", credential: StoreFixture.key(2))
            #expect(try await fixture.store.pendingRequests(filter: filter, after: nil, limit: 9).isEmpty)
            #expect(try await fixture.store.findDevices(.init(text: filter), limit: 9).rows.isEmpty)
        }
    }

    @Test("Devices are found by sender ID, channel and name")
    func deviceFilter() async throws {
        try await StoreFixture.run { fixture in
            let request = try fixture.request(
                try await fixture.store.claim(
                    try StoreFixture.claim("tablet-01", profile: DeviceProfile(displayName: "Empfang"))))
            _ = try await fixture.store.approve(request.id, code: request.code, by: StoreFixture.admin).done()
            try await fixture.paired("other", credential: StoreFixture.key(2))
            for filter in ["TABLET", "empFANG"] {
                let found = try await fixture.store.findDevices(.init(text: filter), limit: 9).rows
                #expect(found.map(\.row.device.senderID.text) == ["tablet-01"], "\(filter)")
            }
            #expect(try await fixture.store.findDevices(.init(text: "web"), limit: 9).rows.count == 2)
        }
    }

    @Test("Requests that are due, decided or expired, and revoked devices, are not listed or counted")
    func onlyLive() async throws {
        try await StoreFixture.run { fixture in
            let due = try await fixture.pending("due", credential: StoreFixture.key(1))
            try await fixture.expire(due.id)
            let denied = try await fixture.pending("denied", credential: StoreFixture.key(2))
            _ = try await fixture.store.deny(denied.id, code: denied.code, by: StoreFixture.admin).done()
            let revoked = try await fixture.paired("revoked", credential: StoreFixture.key(3))
            _ = try await fixture.store.revoke(
                revoked.senderID, channel: nil, generation: nil, by: StoreFixture.admin
            ).done()
            _ = try await fixture.pending("waits", credential: StoreFixture.key(4))
            try await fixture.paired("paired", credential: StoreFixture.key(5))
            let requests = try await fixture.store.pendingRequests(filter: "", after: nil, limit: 9)
            #expect(requests.map(\.row.senderID.text) == ["waits"])
            let devices = try await fixture.store.findDevices(.init(text: ""), limit: 9).rows
            #expect(devices.map(\.row.device.senderID.text) == ["paired"])
            let counts = try await fixture.store.counts(upTo: 1001)
            #expect(counts.pending == 1)
            #expect(counts.paired == 1)
            #expect(try await fixture.store.counts(upTo: 0).paired == 0)
        }
    }
}
