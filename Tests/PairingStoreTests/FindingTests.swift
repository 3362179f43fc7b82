import PairingCore
import Postgres
import Testing

@testable import PairingStore

@Suite("Finding devices")
struct FindingTests {
    private typealias Filter = PairingStore.DeviceFilter

    /// Makes pairings by themselves, faster than by asking and approving.
    private static func fill(_ fixture: StoreFixture, _ count: Int) async throws {
        try await fixture.pool.execute(
            """
            INSERT INTO paired_devices (request_id, sender_key, sender_id, channel, generation, token_hash,
                display_name, metadata, detail_labels, detail_values, paired_at, paired_by, agents)
            SELECT gen_random_uuid(), 'device-' || n, 'Device-' || n, CASE n % 10 WHEN 0 THEN 'iot' ELSE 'web' END, 1,
                sha256(n::text::bytea), CASE n % 3 WHEN 0 THEN '' ELSE 'Hall ' || n % 7 END, '{}', '{}', '{}',
                now() - n * interval '1 hour', CASE n % 5 WHEN 0 THEN 'maria' ELSE 'admin' END,
                CASE n % 4 WHEN 0 THEN ARRAY['support', 'plant'] END
            FROM generate_series(1, $1) AS n
            """, [.int(count)])
        for (number, instance) in StoreFixture.instances.prefix(2).enumerated() {
            try await fixture.store.register(instance, name: "g\(number)", lease: .seconds(600))
            try await fixture.pool.execute(
                """
                INSERT INTO device_sessions
                SELECT 'device-' || n, 1, 1, gen_random_uuid(), $3::uuid, NULL, now(), now()
                FROM generate_series(1, $1) AS n WHERE n % 6 = $2
                """, [.int(count), .int(number), .uuid(instance.text)])
        }
    }

    private static func all(
        _ fixture: StoreFixture, _ filter: Filter, limit: Int = 7
    ) async throws -> [PairingStore.DeviceListing] {
        var rows: [PairingStore.DeviceListing] = []
        var cursor: PairingStore.DeviceCursor?
        repeat {
            let page = try await fixture.store.findDevices(filter, after: cursor, limit: limit)
            #expect(page.rows.count <= limit)
            rows += page.rows.map(\.row)
            cursor = page.next
        } while cursor != nil
        #expect(Set(rows.map(\.device.senderID)).count == rows.count, "none twice")
        return rows
    }

    @Test("Each filter finds what it says, on however many pages, alone and with others")
    func filters() async throws {
        try await StoreFixture.run { fixture in
            try await Self.fill(fixture, 60)
            func numbers(_ change: (inout Filter) -> Void, limit: Int = 7) async throws -> [Int] {
                var filter = Filter()
                change(&filter)
                return try await Self.all(fixture, filter, limit: limit).compactMap {
                    Int($0.device.senderID.text.dropFirst(7))
                }
            }
            let web = try #require(StoreFixture.web)
            #expect(try await numbers { _ in } == Array(1...60))
            #expect(try await numbers { $0.order = .oldest } == (1...60).reversed())
            #expect(
                try await numbers { $0.order = .sender }
                    == (1...60).sorted { "device-\($0)" < "device-\($1)" })
            let names = try await Self.all(
                fixture,
                {
                    var filter = Filter(); filter.order = .name; return filter
                }()
            )
            .map {
                ($0.device.shownName.isEmpty ? $0.device.senderID.text : $0.device.shownName).lowercased()
            }
            #expect(names == names.sorted() && names.count == 60)
            #expect(try await numbers { $0.channel = web } == (1...60).filter { $0 % 10 != 0 })
            #expect(try await numbers { $0.pairedBy = "maria" } == (1...60).filter { $0 % 5 == 0 })
            #expect(try await numbers { $0.agents = ["support"] } == (1...60).filter { $0 % 4 == 0 })
            let answered = (1...60).filter { $0 % 4 == 0 || $0 % 10 == 0 }
            #expect(try await numbers { $0.agents = ["support", "#iot"] } == answered)
            let iot = try #require(ChannelID("iot"))
            #expect(
                try await numbers {
                    $0.agents = ["nobody"]
                    $0.otherChannels = [iot]
                } == (1...60).filter { $0 % 4 != 0 && $0 % 10 != 0 })
            #expect(
                try await numbers {
                    $0.agents = ["support", "#iot"]
                    $0.order = .oldest
                } == answered.reversed())
            #expect(
                try await numbers { $0.isConnected = true }.sorted() == (1...60).filter { $0 % 6 < 2 })
            #expect(try await numbers { $0.isConnected = false } == (1...60).filter { $0 % 6 >= 2 })
            #expect(try await numbers { $0.pairedWithin = .seconds(3600 * 10 + 60) } == Array(1...10))
            #expect(try await numbers { $0.pairedBefore = .seconds(3600 * 50 - 60) } == Array(50...60))
            #expect(
                try await numbers(
                    {
                        $0.isConnected = true
                        $0.channel = web
                        $0.pairedBy = "admin"
                        $0.pairedWithin = .seconds(3600 * 40 + 60)
                    }, limit: 1
                ).sorted() == (1...40).filter { $0 % 6 < 2 && $0 % 10 != 0 && $0 % 5 != 0 })
        }
    }

    @Test(
        "A text finds sender IDs that begin with it, then names that do, then what holds it elsewhere, none twice"
    )
    func text() async throws {
        try await StoreFixture.run { fixture in
            try await Self.fill(fixture, 30)
            try await fixture.pool.execute(
                """
                UPDATE paired_devices SET display_name = CASE sender_key WHEN 'device-3' THEN 'device-1 of the hall'
                    WHEN 'device-4' THEN 'the other DEVICE-1' ELSE display_name END,
                    label = CASE sender_key WHEN 'device-5' THEN 'Device-1, old' WHEN 'device-10' THEN 'Device-1, new' END
                """)
            var found = try await Self.all(fixture, Filter(text: "dEVICE-1"), limit: 2)
            let bySender = ["Device-1", "Device-10"] + (11...19).map { "Device-\($0)" }
            #expect(found.map(\.device.senderID.text) == bySender + ["Device-3", "Device-5", "Device-4"])
            found = try await Self.all(fixture, Filter(text: "%"))
            #expect(found.isEmpty)
        }
    }

    @Test("I10: a page looks at so many rows and no more, says so, and the pages after it go on")
    func bounded() async throws {
        try await StoreFixture.run { fixture in
            let count = 2 * PairingStore.mostLookedAt + 100
            try await Self.fill(fixture, count)
            try await fixture.pool.execute("ANALYZE")
            var filter = Filter(text: "vice-\(count)")
            let page = try await fixture.store.findDevices(filter, limit: 25)
            #expect(page.rows.isEmpty && page.isPartial)
            #expect(try await Self.all(fixture, filter).map(\.device.senderID.text) == ["Device-\(count)"])
            filter = Filter()
            filter.channel = ChannelID("iot")
            filter.pairedBy = "nobody"
            #expect(try await Self.all(fixture, filter).isEmpty)
            filter.isConnected = true
            #expect(try await Self.all(fixture, filter).isEmpty)
            // A page in the middle, and each way to look for something: none reads the table from its beginning.
            let middle = PairingStore.DeviceCursor(part: 0, key: "device-5", id: RequestID(uuid)!)
            for (change, cursor) in ways(middle) {
                var filter = Filter()
                change(&filter)
                let (sql, parameters) = PairingStore.devicesQuery(filter, after: cursor, limit: 25)
                // As often as it takes for PostgreSQL to settle on a plan for all parameters.
                for _ in 0..<7 { _ = try await fixture.pool.query(sql, parameters) }
                let plan = try await fixture.pool.query("EXPLAIN (ANALYZE, TIMING off) " + sql, parameters)
                    .map { try $0.text("QUERY PLAN") }
                #expect(!plan.contains { $0.contains("Seq Scan on paired_devices") }, "\(filter)\n\(plan)")
                // A table as small as this one may be sorted by name.
                if filter.text == "hall" { continue }
                let most = plan.compactMap { line in
                    line.firstMatch(of: /actual rows=(\d+) loops=(\d+)/).flatMap { Int($0.1) }
                }.max()
                #expect(try #require(most) <= PairingStore.mostLookedAt, "\(plan.joined(separator: "\n"))")
            }
        }
    }

    private let uuid = "6f1c1d1e-0000-4000-8000-00000000abcd"

    private func ways(
        _ middle: PairingStore.DeviceCursor
    ) -> [((inout Filter) -> Void, PairingStore.DeviceCursor?)] {
        let time = PairingStore.DeviceCursor(part: 0, key: "1700000000000000", id: middle.id)
        return [
            ({ _ in }, time), ({ $0.order = .oldest }, time), ({ $0.order = .sender }, middle),
            ({ $0.order = .name }, middle), ({ $0.channel = ChannelID("iot") }, nil),
            ({ $0.pairedBy = "nobody" }, nil), ({ $0.agents = ["nobody", "support", "#iot"] }, nil),
            ({ $0.isConnected = true }, middle), ({ $0.isConnected = false }, nil),
            ({ $0.text = "dev" }, middle), ({ $0.text = "hall" }, nil),
            ({ $0.text = "nothing like it" }, nil),
        ]
    }
}
