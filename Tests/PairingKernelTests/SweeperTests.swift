import Logging
import PairingCore
import PairingStore
import Postgres
import Testing

@testable import PairingKernel

@Suite("What is swept, and what of a failure is told")
struct SweeperTests {
    @Test("A request that can't be ended keeps nothing else from being removed, and is told once")
    func failingJob() async throws {
        try await System.withDatabase { url in
            let pool = PostgresPool(configuration: try PostgresConfiguration(url), logger: quietLogger)
            for statement in [
                """
                INSERT INTO pairing_requests (sender_key, sender_id, channel, code, token_hash, display_name, metadata,
                    detail_labels, detail_values, created_at, expires_at)
                VALUES ('due', 'due', 'zoo', 'ABCDEFGH', sha256(''), '', '{}', '{}', '{}', '2000-01-01', '2000-01-02')
                """,
                "INSERT INTO rival_claims VALUES ('old', 'a', 'zoo', NULL, 1, '2000-01-01')",
                "ALTER FUNCTION record_event RENAME TO record_event_elsewhere",
            ] { try await pool.execute(statement) }
            let log = RecordedLog()
            let sweeper = Sweeper(
                store: PairingStore(pool: pool), settings: try System.settings, logger: log.logger)
            let sweeping = Task { try await sweeper.run() }
            try await eventually("the rival is gone") {
                try await pool.query("SELECT 1 FROM rival_claims").isEmpty
            }
            try await eventually("a second failure") { log.records.count >= 2 }
            #expect(log.records.prefix(2).map(\.level) == [.warning, .debug])
            #expect(log.records.allSatisfy { $0.message == "Due requests could not be ended" })
            try await pool.execute("ALTER FUNCTION record_event_elsewhere RENAME TO record_event")
            try await eventually("the request is ended") {
                try await pool.query("SELECT 1 FROM pairing_requests WHERE state = 'pending'").isEmpty
            }
            sweeping.cancel()
            try await sweeping.value
            await pool.close()
        }
    }

    @Test("Whoever stops waiting for the database is no error for operators to look at")
    func cancelled() async throws {
        try await System.withDatabase { url in
            let pool = PostgresPool(configuration: try PostgresConfiguration(url), logger: quietLogger)
            let log = RecordedLog()
            let asking = Task { () -> Refusal? in
                do throws(Refusal) {
                    _ = try await refusing(log.logger) { try await pool.query("SELECT pg_sleep(60)") }
                    return nil
                } catch {
                    return error
                }
            }
            try await eventually("the statement runs") {
                try await !pool.query(
                    """
                    SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'
                        AND datname = current_database()
                    """
                ).isEmpty
            }
            asking.cancel()
            let refusal = await asking.value
            #expect(refusal?.code == .unavailable)
            #expect(refusal?.reason == "stopping")
            #expect(log.records.isEmpty)
            await pool.close()
        }
    }
}
