import PairingCore
import Postgres
import Testing

@testable import PairingStore

@Suite("The cost of messages does not grow with what is stored (I10)")
struct PlanTests {
    /// What PostgreSQL has read of the tables, all of a connection's own reading included.
    private struct Reading {
        var scans = 0
        var rows = 0
    }

    private static func reading(_ fixture: StoreFixture) async throws -> Reading {
        _ = try await fixture.pool.transaction { transaction in
            try transaction.execute("SELECT pg_stat_force_next_flush()")
        }
        // What was flushed with the end of that transaction is seen by the next one.
        return try await fixture.pool.transaction { transaction in
            try transaction.execute("SELECT pg_stat_clear_snapshot()")
            let rows = try transaction.query(
                """
                SELECT coalesce(sum(seq_scan), 0)::bigint AS scans,
                    coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint
                    + (SELECT coalesce(sum(idx_tup_read), 0)::bigint FROM pg_stat_user_indexes
                        WHERE relname IN ('messages', 'device_streams', 'device_sessions')) AS rows
                FROM pg_stat_user_tables WHERE relname IN ('messages', 'device_streams', 'device_sessions')
                """)
            guard let row = rows.first else { return Reading() }
            return Reading(scans: try row.int("scans"), rows: try row.int("rows"))
        }
    }

    private static let devices = 40
    private static let stored = 5000

    /// Does all that a session's life consists of, as if each device sent one message.
    private func round(
        _ fixture: StoreFixture, _ sessions: [PairingStore.LiveSession], _ id: String,
        measured: ((String) async throws -> Void)? = nil
    ) async throws -> [PairingStore.LiveSession] {
        let store = fixture.store
        let claim = PairingStore.WorkClaim(instance: StoreFixture.instances[0], lease: .seconds(60))
        _ = try await store.numbers(of: sessions.map { PairingStore.MessageKey(session: $0, messageID: id) })
        try await measured?("numbers")
        let accepted = try await store.accept(
            sessions.map { PairingStore.InboundMessage(session: $0, messageID: id, body: "1") }, claim: claim
        ).map { try $0.done().sequence }
        try await measured?("accept")
        for session in sessions.prefix(10) {
            _ = try await store.openMessages(.inbound, of: session, after: 0, upTo: .max)
        }
        try await measured?("openMessages, inbound")
        let keys = sessions.map(\.senderID.key)
        _ = try await store.claimWork(of: sessions.map { ($0.senderID, 0) }, for: claim)
        try await measured?("claimWork")
        #expect(try await store.renewWork(of: keys, for: claim) == Set(keys))
        try await measured?("renewWork")
        let settled = try await store.settle(
            zip(sessions, accepted).enumerated().map { place, message in
                PairingStore.Settlement(
                    sender: PairingStore.PairedSender(
                        senderID: message.0.senderID, generation: message.0.generation),
                    sequence: message.1, messageID: id,
                    result: .answered([PairingStore.AgentReply(agent: "echo", body: "1")]))
            }, for: claim)
        let numbers = try settled.map { outcome in
            guard case .stored(let stored) = outcome else { throw Unexpected("stored", outcome) }
            return try #require(stored.messages.first?.sequence)
        }
        try await measured?("settle")
        _ = try await store.releaseWork(of: keys, by: claim.instance)
        try await measured?("releaseWork")
        _ = try await store.claimDueWork(limit: 64, for: claim, preference: .zero)
        try await measured?("claimDueWork")
        let silent = try await store.takeSilent(of: [try #require(StoreFixture.web)], lease: .zero)
        #expect(!silent.isEmpty)
        try await measured?("takeSilent")
        for session in sessions.prefix(10) {
            _ = try await store.openMessages(.outbound, of: session, after: 0, upTo: .max)
        }
        try await measured?("openMessages, outbound")
        for (session, number) in zip(sessions, numbers).prefix(10) {
            let message = PairingStore.Acknowledgement(session: session, sequence: number)
            #expect(try await store.countFailedDelivery(of: message) == 1)
        }
        try await measured?("countFailedDelivery")
        let last = zip(sessions, numbers).map { PairingStore.Acknowledgement(session: $0, sequence: $1) }
        try await store.leaveOut(Array(last.prefix(10)))
        try await measured?("leaveOut")
        try await store.acknowledge(last)
        try await measured?("acknowledge")
        _ = try await store.lockedDevices(among: sessions.map(\.senderID.key))
        try await measured?("lockedDevices")
        let instance = StoreFixture.instances[0]
        let address = try #require(StoreFixture.address)
        let begun = try await store.beginSessions(
            sessions.map {
                PairingStore.Arrival(senderID: $0.senderID, generation: $0.generation, address: address)
            }, on: instance)
        try await measured?("beginSessions")
        _ = try await store.reconcile(sessions, on: instance, name: "one", lease: .seconds(10))
        try await measured?("reconcile")
        _ = try await store.sessionsBehind(sessions.map { ($0, 0) })
        try await measured?("sessionsBehind")
        for (number, session) in sessions.prefix(5).enumerated() {
            let key = PairingStore.MessageKey(session: session, messageID: id)
            #expect(try await store.messageReport(of: key)?.status == .delivered)
            _ = try await store.abort(key, by: instance)
            let push = PairingStore.Push(
                senderID: session.senderID, pushID: "\(id)-\(number)", agent: "a", body: "1",
                lifetime: .milliseconds(1), actor: StoreFixture.admin.actor)
            _ = try await store.push([push], by: nil)
            _ = try await store.pushReport(of: session.senderID, pushID: push.pushID)
        }
        try await measured?("push, status and abort")
        for (session, (row, number)) in zip(sessions, zip(begun, numbers)).prefix(5) {
            let sender = PairingStore.PairedSender(
                senderID: session.senderID, generation: session.generation)
            for isRead in [false, true] {
                #expect(try await store.receipted(number, isRead: isRead, by: sender) != nil)
            }
            try await store.keepSilencePeriods([(sender, [.seconds(3)]), (sender, nil)])
            let live = PairingStore.LiveSession(
                senderID: session.senderID, generation: session.generation, epoch: try #require(row).epoch)
            try await store.setBackground(true, of: live)
        }
        try await measured?("receipted, keepSilencePeriods and setBackground")
        let awaited = zip(sessions, accepted).map { session, sequence in
            PairingStore.AwaitedMessage(
                sender: PairingStore.PairedSender(
                    senderID: session.senderID, generation: session.generation), sequence: sequence)
        }
        #expect(try await store.answerStates(of: awaited) == awaited.map { _ in .over(nil) })
        for message in awaited.prefix(5) {
            #expect(try await store.claimAnswers(to: message)?.map(\.inReplyTo) == [id])
        }
        try await store.noteSeen(awaited.map { ($0.sender, address) })
        try await measured?("answerStates, claimAnswers and noteSeen")
        _ = try await store.expireDueMessages()
        try await measured?("expireDueMessages")
        try await store.endSessions(Array(sessions.prefix(10)), on: instance)
        try await measured?("endSessions")
        _ = try await store.removeOutdated()
        try await measured?("removeOutdated")
        return try zip(sessions, begun).map { session, row in
            PairingStore.LiveSession(
                senderID: session.senderID, generation: session.generation,
                epoch: try #require(row).epoch)
        }
    }

    /// What tells the planner of the tables, while there is next to nothing in them and once they have grown.
    struct Upkeep: Sendable, CustomTestStringConvertible {
        var before: String?
        var after: String?
        var testDescription: String { "\(before ?? "nothing"), then \(after ?? "nothing")" }

        static let all = [
            Upkeep(), Upkeep(before: "ANALYZE"), Upkeep(after: "VACUUM"), Upkeep(after: "VACUUM ANALYZE"),
            Upkeep(before: "VACUUM ANALYZE", after: "VACUUM"),
        ]

        /// Rows that a statement may read for a device. There is no exact number: an index leads to versions of rows
        /// that nobody has vacuumed yet. What reads for each of a batch what is open of the whole batch reads forty.
        var rowsPerDevice: Int { after == nil ? 30 : 20 }
    }

    @Test(
        "No statement reads more than its batch, whatever the planner was told and when",
        arguments: Upkeep.all)
    func growth(_ upkeep: Upkeep) async throws {
        try await StoreFixture.run(connections: 1) { fixture in
            var sessions: [PairingStore.LiveSession] = []
            for index in 0..<2 {
                sessions.append(
                    try await fixture.session(
                        fixture.paired("t-\(index)", credential: StoreFixture.key(index))))
            }
            if let before = upkeep.before { try await fixture.pool.execute(before) }
            // From the sixth time on a statement is run by its generic plan.
            for index in 0..<8 { sessions = try await round(fixture, sessions, "first-\(index)") }
            for index in 2..<Self.devices {
                sessions.append(
                    try await fixture.session(
                        fixture.paired("t-\(index)", credential: StoreFixture.key(index))))
            }
            // Many of each device, most of them done, and many devices that nobody asks for.
            try await fixture.pool.execute(
                """
                INSERT INTO messages (sender_key, generation, direction, sequence, message_id, reply_to, body, created_at,
                    done_at)
                SELECT 't-' || device, 1, direction, 1000 + number,
                    CASE direction WHEN 'in' THEN 'm-' || number END,
                    CASE direction WHEN 'out' THEN 1000 + number END, '1', clock_timestamp(), clock_timestamp()
                FROM generate_series(0, 3) AS device, generate_series(1, $1) AS number,
                    unnest(ARRAY['in', 'out']) AS direction
                """, [.int(Self.stored)])
            try await fixture.pool.execute(
                "UPDATE device_streams SET next_in = 10000, next_out = 10000, acknowledged_out = 9999")
            try await fixture.pool.execute(
                """
                INSERT INTO device_streams (sender_key, generation, active)
                SELECT 'other-' || number, 1, true FROM generate_series(1, $1) AS number
                """, [.int(Self.stored)])
            try await fixture.pool.execute(
                """
                INSERT INTO device_sessions (sender_key, epoch, generation, session_id, instance_id, connected_at,
                    last_seen_at)
                SELECT 'other-' || number, 1, 1, gen_random_uuid(), $2, clock_timestamp(), clock_timestamp()
                FROM generate_series(1, $1) AS number
                """, [.int(Self.stored), .uuid(StoreFixture.instances[0].text)])
            if let after = upkeep.after { try await fixture.pool.execute(after) }
            var before = try await Self.reading(fixture)
            _ = try await round(fixture, sessions, "later") { statement in
                let after = try await Self.reading(fixture)
                #expect(after.scans == before.scans, "\(statement) scanned")
                let rows = after.rows - before.rows
                #expect(rows <= upkeep.rowsPerDevice * Self.devices, "\(statement) read \(rows) rows")
                before = after
            }
        }
    }
}
