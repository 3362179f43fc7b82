import Glibc
import Postgres
import PostgresTestSupport
import Testing

extension OnServer {
    /// A server that is there and can't serve: frozen, read-only, or without its synchronous standby (I5).
    @Suite struct PulseTests {
        /// Runs `body` while a pulse watches over the pool's server.
        private nonisolated(nonsending) func withPulse(
            _ pool: PostgresPool, _ body: nonisolated(nonsending) () async throws -> Void
        ) async throws {
            let pulse = PostgresPulse(pool: pool, logger: .quiet)
            let running = Task { try await pulse.run() }
            let result: Result<Void, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            running.cancel()
            try await running.value
            try result.get()
        }

        @Test(
            "A frozen server is known in seconds: whoever waits, works or asks hears so, and nothing is restarted"
        )
        func frozen() async throws {
            let cluster = try await PostgresCluster.launch()
            try await withPool(cluster.url(), connections: 2) { pool in
                try await pool.execute("CREATE TABLE t (a integer)")
                try await withPulse(pool) {
                    let running = (0..<4).map { number in
                        Task { try await pool.transaction { try $0.execute("SELECT pg_sleep(6\(number))") } }
                    }
                    try await eventually("the connections are in use") {
                        try await cluster.administer(
                            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(6%'")
                            == "2\n"
                    }
                    let asked = ContinuousClock.now
                    try cluster.freeze()
                    do {
                        for task in running {
                            let error = try await failure { try await task.value }
                            #expect(error.code == .unresponsive)
                            #expect(error.isUnavailable)
                        }
                        // Three seconds, and what a busy machine adds.
                        #expect(ContinuousClock.now - asked < .seconds(8))
                        #expect(try await failure { try await pool.query("SELECT 1") }.code == .unresponsive)
                        #expect(try await failure { try await pool.ping() }.code == .unresponsive)
                    } catch {
                        try cluster.thaw()
                        throw error
                    }
                    try cluster.thaw()
                    let thawed = ContinuousClock.now
                    try await eventually("the pool serves again") {
                        do { return try await pool.execute("INSERT INTO t VALUES (1)") == 1 } catch {
                            return false
                        }
                    }
                    #expect(ContinuousClock.now - thawed < .seconds(8))
                }
            }
            try await cluster.remove()
        }

        @Test("A slow statement is no frozen server")
        func slowStatement() async throws {
            try await withPool { pool in
                try await withPulse(pool) { try await pool.execute("SELECT pg_sleep(5)") }
            }
        }

        @Test("Where others are answered the server isn't frozen, whatever became of the pulse")
        func pulseAlone() async throws {
            try await withPool { pool in
                try await withPulse(pool) {
                    func pulse() async throws -> Int? {
                        try await pool.query(
                            """
                            SELECT pid FROM pg_stat_activity
                            WHERE datname = current_database() AND query LIKE '%pg_db_role_setting%'
                                AND state = 'idle' AND pid <> pg_backend_pid()
                            """
                        ).first?.int("pid")
                    }
                    // The first connection only learns what the second one begins with.
                    try await Task.sleep(for: .seconds(1))
                    try await eventually("the pulse beats") { try await pulse() != nil }
                    let backend = pid_t(try #require(try await pulse()))
                    kill(backend, SIGSTOP)
                    defer { kill(backend, SIGCONT) }
                    let end = ContinuousClock.now + .seconds(5)
                    while ContinuousClock.now < end { try await pool.ping() }
                }
            }
        }

        @Test(
            "A read-only database is said to be one, without a connection for every caller, and until it isn't"
        )
        func readOnly() async throws {
            try await withPool { pool in
                let name = try await pool.query("SELECT current_database() AS name")[0].text("name")
                try await pool.execute("CREATE TABLE t (a integer)")
                func sessions() async throws -> Int {
                    let count = try await PostgresCluster.shared.administer(
                        "SELECT pg_sleep(1); SELECT sessions FROM pg_stat_database WHERE datname = '\(name)'")
                    return try #require(Int(count.split(separator: "\n").last ?? ""))
                }
                try await withPulse(pool) {
                    try await PostgresCluster.shared.administer(
                        "ALTER DATABASE \(name) SET default_transaction_read_only = on")
                    try await eventually("everybody is refused") {
                        do {
                            try await pool.ping()
                            return false
                        } catch let error as PostgresError { return error.isReadOnly }
                    }
                    let before = try await sessions()
                    for _ in 0..<20 {
                        let error = try await failure { try await pool.execute("INSERT INTO t VALUES (1)") }
                        #expect(error.isReadOnly && error.isUnavailable)
                        #expect(error.description.contains("default_transaction_read_only"))
                    }
                    #expect(try await sessions() - before <= 1)
                    try await PostgresCluster.shared.administer(
                        "ALTER DATABASE \(name) RESET default_transaction_read_only")
                    try await eventually("the pool serves again") {
                        do { return try await pool.execute("INSERT INTO t VALUES (1)") == 1 } catch {
                            return false
                        }
                    }
                }
            }
        }

        @Test(
            "Commits that wait for a lost standby are ended: the server has no more processes than the pool")
        func lostStandby() async throws {
            let cluster = try await PostgresCluster.launch()
            try await withPool(
                cluster.url(), connections: 3, configure: { $0.statementTimeout = .seconds(1) }
            ) { pool in
                try await pool.execute("CREATE TABLE t (a integer)")
                func processes() async throws -> Int {
                    let count = try await cluster.administer(
                        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'goclaw-nodes'")
                    return try #require(Int(count.split(separator: "\n").last ?? ""))
                }
                try await cluster.administer("ALTER SYSTEM SET synchronous_standby_names = 'x'")
                try await cluster.administer("SELECT pg_reload_conf()")
                try await eventually("commits wait") {
                    try await cluster.administer("SHOW synchronous_standby_names") == "x\n"
                }
                var most = 0
                for _ in 0..<2 {
                    try await withThrowingTaskGroup(of: PostgresError.self) { group in
                        for number in 0..<7 {
                            group.addTask {
                                try await failure {
                                    try await pool.execute("INSERT INTO t VALUES ($1)", [.int(number)])
                                }
                            }
                        }
                        for try await error in group {
                            #expect(error.code == .commitOutcomeUnknown)
                            #expect(error.isUnavailable)
                            most = max(most, try await processes())
                        }
                    }
                }
                #expect(most <= 3)
                try await cluster.administer("ALTER SYSTEM RESET synchronous_standby_names")
                try await cluster.administer("SELECT pg_reload_conf()")
                try await eventually("commits don't wait any more") {
                    do { return try await pool.execute("INSERT INTO t VALUES (1)") == 1 } catch {
                        return false
                    }
                }
                #expect(try await processes() <= 3)
            }
            try await cluster.remove()
        }
    }

    /// What is refused before anything is asked.
    @Suite struct UnfitDatabaseTests {
        @Test(
            "A database in another encoding is refused, with the statement that makes a right one",
            arguments: ["SQL_ASCII", "LATIN1"])
        func encoding(_ encoding: String) async throws {
            try await withPool(options: "ENCODING '\(encoding)' LC_COLLATE 'C' LC_CTYPE 'C'") { pool in
                let error = try await failure { try await pool.query("SELECT 1") }
                #expect(error.code == .invalidConfiguration)
                #expect(!error.isUnavailable && !error.isRetryable)
                #expect(error.description.contains(encoding))
                #expect(error.description.contains("ENCODING 'UTF8' TEMPLATE template0"))
            }
        }

        @Test("Every caller is told why there is no connection, on one line")
        func reason() async throws {
            try await withPool("host=/nonexistent user=x dbname=x") { pool in
                for _ in 0..<3 {
                    let error = try await failure { try await pool.query("SELECT 1") }
                    #expect(error.code == .connectionFailed)
                    #expect(error.description.contains("/nonexistent"))
                    #expect(!error.description.contains("\n"))
                }
            }
        }
    }
}
