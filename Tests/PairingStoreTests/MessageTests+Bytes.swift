import Logging
import PairingCore
import Postgres
import PostgresTestSupport
import Testing

@testable import PairingStore

/// What waits is counted in bytes as well.
extension MessageTests {
    private func large(_ session: PairingStore.LiveSession, _ id: Int) -> PairingStore.InboundMessage {
        PairingStore.InboundMessage(
            session: session, messageID: "\(id)",
            body: "\"" + String(repeating: "x", count: (512 << 10) - 2) + "\"")
    }

    /// Whether the counters say what the table of messages does.
    private func isCounted(_ fixture: StoreFixture) async throws -> Bool {
        try await fixture.number(
            """
            SELECT count(*) FROM device_streams d WHERE (unanswered, unanswered_bytes, unacknowledged_bytes)
                <> (SELECT count(*) FILTER (WHERE direction = 'in'),
                    coalesce(sum(octet_length(body) + coalesce(octet_length(forwarded), 0))
                        FILTER (WHERE direction = 'in'), 0)::bigint,
                    coalesce(sum(octet_length(body)) FILTER (WHERE direction = 'out'), 0)::bigint
                    FROM messages m WHERE m.sender_key = d.sender_key AND m.done_at IS NULL)
            """) == 0
    }

    @Test("What waits for an answer has a greatest size; one answer makes room for one message")
    func unansweredBytes() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            for id in 1...16 { _ = try await fixture.store.accept([large(session, id)])[0].done() }
            let refusal = try await fixture.store.accept([message(session, "small")])[0].refusal()
            #expect(refusal.reason == "unanswered_bytes" && refusal.code == .resourceExhausted)
            #expect(refusal.retryable)
            #expect(try await fixture.store.accept([large(session, 3)])[0].done().isRepeat)
            #expect(try await isCounted(fixture))
            _ = try await fixture.store.reply([reply(session, to: 5)])
            #expect(try await isCounted(fixture))
            let more = try await fixture.store.accept([large(session, 17), message(session, "small")])
            #expect(try more[0].done().sequence == 17)
            #expect(try more[1].refusal().reason == "unanswered_bytes")
        }
    }

    @Test("What waits for the device's acknowledgement has a greatest size")
    func unacknowledgedBytes() async throws {
        try await StoreFixture.run { fixture in
            let session = try await fixture.session(fixture.paired("a"))
            for id in 1...16 {
                _ = try await fixture.store.accept([message(session, "\(id)")])[0].done()
                var answer = reply(session, to: Int64(id))
                answer.answers[0].body = large(session, id).body
                #expect(try await fixture.store.reply([answer])[0].count == 1)
            }
            let refusal = try await fixture.store.accept([message(session, "more")])[0].refusal()
            #expect(refusal.reason == "unacknowledged_bytes" && refusal.retryable)
            #expect(try await isCounted(fixture))
            try await fixture.store.leaveOut([
                PairingStore.Acknowledgement(session: session, sequence: 4)
            ])
            #expect(try await isCounted(fixture))
            _ = try await fixture.store.accept([message(session, "more")])[0].done()
            try await fixture.store.acknowledge([
                PairingStore.Acknowledgement(session: session, sequence: 9)
            ])
            #expect(try await isCounted(fixture))
            _ = try await fixture.store.revoke(
                StoreFixture.sender("a"), channel: nil, generation: nil, by: StoreFixture.admin
            ).done()
            #expect(try await isCounted(fixture))
        }
    }

    @Test("What waited before messages were counted is counted by the migration")
    func backfill() async throws {
        try await PostgresCluster.shared.withDatabase { url in
            let pool = PostgresPool(
                configuration: try PostgresConfiguration(url), logger: Logger(label: "test"))
            _ = try await MigrationRunner(migrations: Array(Schema.migrations.prefix(4))).migrate(pool)
            try await pool.execute(
                """
                INSERT INTO device_streams (sender_key, generation, active, next_in, next_out)
                VALUES ('a', 2, true, 4, 3), ('b', 1, true, 1, 1)
                """)
            try await pool.execute(
                """
                INSERT INTO messages (sender_key, generation, direction, sequence, message_id, reply_to, body, forwarded,
                    created_at, done_at)
                VALUES ('a', 1, 'in', 1, 'm', NULL, '1', NULL, now(), NULL),
                    ('a', 2, 'in', 1, 'm', NULL, '"ä"', '[1]', now(), NULL),
                    ('a', 2, 'in', 2, 'n', NULL, '12345', NULL, now(), NULL),
                    ('a', 2, 'in', 3, 'o', NULL, '1', NULL, now(), now()),
                    ('a', 2, 'out', 1, NULL, 3, '1234567', NULL, now(), NULL)
                """)
            _ = try await MigrationRunner(migrations: Schema.migrations).migrate(pool)
            let rows = try await pool.query(
                """
                SELECT unanswered, unanswered_bytes, unacknowledged_bytes FROM device_streams ORDER BY sender_key
                """
            ).map {
                [
                    try $0.int64("unanswered"), try $0.int64("unanswered_bytes"),
                    try $0.int64("unacknowledged_bytes"),
                ]
            }
            #expect(rows == [[2, 12, 7], [0, 0, 0]])
            await pool.close()
        }
    }
}
