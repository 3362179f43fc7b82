import Glibc
import Postgres
import PostgresTestSupport
import Testing

extension OnServer {
    /// A primary, its standby, and what becomes of connections when the two change places (I4, I5).
    @Suite struct FailoverTests {
        /// Runs `body` with a pool, its pulse and a listener that may use either server.
        private nonisolated(nonsending) func withBoth(
            _ first: PostgresCluster, _ second: PostgresCluster,
            _ body: nonisolated(nonsending) (PostgresPool, PostgresListener) async throws -> Void
        ) async throws {
            // In this order a new connection meets the standby first.
            let url =
                "host=\(second.folder),\(first.folder) user=postgres dbname=postgres target_session_attrs=read-write"
            try await withPool(url, connections: 3) { pool in
                let pulse = PostgresPulse(pool: pool, logger: .quiet)
                let listener = PostgresListener(
                    configuration: try PostgresConfiguration(url), channels: ["c"], logger: .quiet)
                let running = Task {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { try await pulse.run() }
                        group.addTask { try await listener.run() }
                        try await group.waitForAll()
                    }
                }
                let result: Result<Void, any Error>
                do { result = .success(try await body(pool, listener)) } catch { result = .failure(error) }
                running.cancel()
                try await running.value
                try result.get()
            }
        }

        private func sessions(on cluster: PostgresCluster) async throws -> Int {
            let count = try await cluster.administer(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'goclaw-nodes'")
            return try #require(Int(count.split(separator: "\n").last ?? ""))
        }

        @Test(
            "A primary that became read-only is given up by all that hold connections to it, and the new one is found"
        )
        func demotion() async throws {
            let primary = try await PostgresCluster.launch()
            let standby = try await primary.launchStandby(named: "s")
            try await withBoth(primary, standby) { pool, listener in
                try await pool.execute("CREATE TABLE t (a integer)")
                #expect(await listener.next() == .connected)
                // Connections that nobody uses at the moment are the ones that would last.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<3 { group.addTask { _ = try await pool.query("SELECT pg_sleep(0.2)") } }
                    try await group.waitForAll()
                }
                #expect(try await sessions(on: primary) >= 4)
                try await eventually("the standby has followed") {
                    try await standby.administer("SELECT count(*) FROM pg_class WHERE relname = 't'") == "1\n"
                }
                try await primary.administer("ALTER SYSTEM SET default_transaction_read_only = on")
                try await primary.administer("SELECT pg_reload_conf()")
                let demoted = ContinuousClock.now
                try await eventually("nobody reads from it") {
                    do {
                        _ = try await pool.query("SELECT count(*) FROM t")
                        return false
                    } catch let error as PostgresError { return error.isUnavailable }
                }
                // One second, and what a busy machine adds.
                #expect(ContinuousClock.now - demoted < .seconds(4))
                try await standby.promote()
                try await eventually("the new primary is used") {
                    do { return try await pool.execute("INSERT INTO t VALUES (1)") == 1 } catch {
                        return false
                    }
                }
                #expect(try await standby.administer("SELECT count(*) FROM t") == "1\n")
                #expect(await listener.next() == .lost)
                #expect(await listener.next() == .connected)
                try await pool.execute("SELECT pg_notify('c', 'from the new one')")
                #expect(await listener.next() == .notification(channel: "c", payload: "from the new one"))
                try await eventually("no connection to the old primary is left") {
                    try await sessions(on: primary) == 0
                }
            }
            try await standby.remove()
            try await primary.remove()
        }

        @Test(
            "A primary whose standby is gone is known in seconds, and only a commit that comes through ends that"
        )
        func lostStandby() async throws {
            let primary = try await PostgresCluster.launch()
            let standby = try await primary.launchStandby(named: "s")
            try await withBoth(primary, standby) { pool, _ in
                try await pool.execute("CREATE TABLE t (a integer)")
                try await primary.administer("ALTER SYSTEM SET synchronous_standby_names = 's'")
                try await primary.administer("SELECT pg_reload_conf()")
                try await eventually("the standby is synchronous") {
                    try await primary.administer(
                        "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1\n"
                }
                try await pool.execute("INSERT INTO t VALUES (1)")
                try await standby.stop()
                let asked = ContinuousClock.now
                let error = try await failure { try await pool.execute("INSERT INTO t VALUES (2)") }
                // Three seconds, and what a busy machine adds.
                #expect(ContinuousClock.now - asked < .seconds(8))
                #expect(error.code == .commitOutcomeUnknown)
                // What is visible here alone must not be told to anybody, so that reading is refused as well.
                let reading = ContinuousClock.now
                while ContinuousClock.now - reading < .seconds(4) {
                    #expect(try await failure { try await pool.query("SELECT a FROM t") }.isUnavailable)
                    // That nothing changes has no event.
                    try await Task.sleep(for: .milliseconds(100))
                }
                try await standby.start()
                try await eventually("what was committed can be read") {
                    do { return try await pool.query("SELECT a FROM t").count == 2 } catch { return false }
                }
                #expect(try await standby.administer("SELECT count(*) FROM t") == "2\n")
            }
            try await standby.remove()
            try await primary.remove()
        }
    }
}
