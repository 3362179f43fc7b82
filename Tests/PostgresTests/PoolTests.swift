import Logging
import PostgresTestSupport
import ServiceLifecycle
import Testing

@testable import Postgres

extension OnServer {
    /// The pool and its transactions on a server that works.
    @Suite struct PoolTests {
        @Test("A transaction's effects are there after it, and gone if its closure throws")
        func transactions() async throws {
            struct Unwanted: Error {}
            try await withPool { pool in
                try await pool.execute("CREATE TABLE t (a integer)")
                let affected = try await pool.transaction { transaction in
                    try transaction.execute("INSERT INTO t SELECT generate_series(1, 3)")
                }
                #expect(affected == 3)
                await #expect(throws: Unwanted.self) {
                    try await pool.transaction { transaction in
                        try transaction.execute("DELETE FROM t")
                        throw Unwanted()
                    }
                }
                #expect(try await pool.query("SELECT a FROM t").count == 3)
            }
        }

        @Test("A transaction whose closure swallowed an error still fails, with that error")
        func swallowedError() async throws {
            try await withPool { pool in
                try await pool.execute("CREATE TABLE t (a integer)")
                let error = try await failure {
                    try await pool.transaction { transaction in
                        try transaction.execute("INSERT INTO t VALUES (1)")
                        _ = try? transaction.execute("SELECT 1 / 0")
                    }
                }
                #expect(error.sqlState == SQLState("22012"))
                #expect(try await pool.query("SELECT a FROM t").isEmpty)
            }
        }

        @Test("A savepoint that is rolled back to saves the transaction")
        func savepoint() async throws {
            try await withPool { pool in
                let value = try await pool.transaction { transaction in
                    try transaction.execute("SAVEPOINT s")
                    _ = try? transaction.execute("SELECT 1 / 0")
                    try transaction.execute("ROLLBACK TO s")
                    return try transaction.query("SELECT 5 AS a")[0].int("a")
                }
                #expect(value == 5)
            }
        }

        @Test(
            "A closure that ends its transaction itself, and COPY, are told so",
            arguments: ["COMMIT", "ROLLBACK"])
        func misuse(statement: String) async throws {
            try await withPool { pool in
                let error = try await failure {
                    try await pool.transaction { transaction in
                        try transaction.execute(statement)
                        try transaction.execute("CREATE TABLE never (a integer)")
                    }
                }
                #expect(error.code == .unsupportedStatement)
                #expect(try await pool.query("SELECT to_regclass('never') IS NULL AS a")[0].bool("a"))
                for copy in ["COPY pg_class TO STDOUT", "COPY pg_class FROM STDIN"] {
                    let error = try await failure { try await pool.execute(copy) }
                    #expect(error.code == .unsupportedStatement || error.code == .server)
                }
                try await pool.ping()
            }
        }

        @Test("200 tasks share 4 connections, and none of their work is lost")
        func manyTasks() async throws {
            try await withPool(connections: 4) { pool in
                try await pool.execute("CREATE TABLE counter (n integer)")
                try await pool.execute("INSERT INTO counter VALUES (0)")
                let most = try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<200 {
                        group.addTask {
                            try await pool.transaction { transaction in
                                try transaction.execute("UPDATE counter SET n = n + 1")
                                return try transaction.query(
                                    "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()"
                                )[0]
                                .int("n")
                            }
                        }
                    }
                    return try await group.reduce(0) { max($0, $1) }
                }
                #expect(most <= 4)
                #expect(try await pool.query("SELECT n FROM counter")[0].int("n") == 200)
            }
        }

        @Test("Tasks go on while more statements run than there are threads for tasks (I10)")
        func nothingBlocks() async throws {
            try await withPool(connections: 18) { pool in
                let statements = try await holdingLock(pool) {
                    let statements = Task {
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            for _ in 0..<16 { group.addTask { _ = try await pool.query(waitForLock) } }
                            try await group.waitForAll()
                        }
                    }
                    try await untilRunning(waitForLock, count: 16, pool)
                    for _ in 0..<100 { await Task.detached {}.value }
                    #expect(try await backends(running: waitForLock, pool).count == 16)
                    return statements
                }
                try await statements.value
            }
        }

        @Test("Whoever waits longer than the acquire timeout is told so")
        func acquireTimeout() async throws {
            try await withPool(connections: 1, configure: { $0.acquireTimeout = .seconds(10) }) { pool in
                try await holding(pool) {
                    let error = try await failure { try await pool.query("SELECT 1") }
                    #expect(error.code == .acquireTimedOut)
                    #expect(error.isUnavailable && error.isRetryable)
                }
                try await pool.ping()
            }
        }

        @Test("One waiter too many is refused at once")
        func tooManyWaiters() async throws {
            try await withPool(connections: 1, configure: { $0.maximumWaiters = 0 }) { pool in
                // With nobody allowed to wait, only an idle connection serves.
                let error = try await failure { try await pool.query("SELECT 1") }
                #expect(error.code == .tooManyWaiters)
            }
        }

        @Test("Cancelling a task ends its wait for a connection")
        func cancelledWait() async throws {
            try await withPool(connections: 1, configure: { $0.acquireTimeout = .seconds(60) }) { pool in
                try await holding(pool) {
                    let waiting = Task { try await pool.query("SELECT 1") }
                    waiting.cancel()
                    let error = try await failure { try await waiting.value }
                    #expect(error.code == .cancelled)
                }
            }
        }

        @Test("Cancelling a task stops its statement on the server, rolls back, and the pool goes on")
        func cancelledStatement() async throws {
            try await withPool(connections: 2) { pool in
                try await pool.execute("CREATE TABLE t (a integer)")
                let running = Task {
                    try await pool.transaction { transaction in
                        try transaction.execute("INSERT INTO t VALUES (1)")
                        try transaction.execute("SELECT pg_sleep(20)")
                    }
                }
                try await untilRunning("SELECT pg_sleep(20)", pool)
                running.cancel()
                #expect(try await failure { try await running.value }.code == .cancelled)
                #expect(try await backends(running: "SELECT pg_sleep(20)", pool).isEmpty)
                #expect(try await pool.query("SELECT a FROM t").isEmpty)
            }
        }

        @Test("Cancelling a task during its commit doesn't stop the commit")
        func cancelledCommit() async throws {
            try await withPool { pool in
                try await pool.makeSlowTable()
                let running = try await holdingLock(pool) {
                    let running = Task {
                        try await pool.transaction { try $0.execute("INSERT INTO slow VALUES (1)") }
                    }
                    try await untilRunning("COMMIT", pool)
                    running.cancel()
                    return running
                }
                #expect(try await running.value == 1)
                #expect(try await pool.query("SELECT a FROM slow").count == 1)
            }
        }

        @Test("A lock that isn't to be had fails by the lock timeout, and may be tried again")
        func lockTimeout() async throws {
            try await withPool(connections: 2, configure: { $0.lockTimeout = .milliseconds(200) }) { pool in
                try await pool.execute("CREATE TABLE t (a integer)")
                try await holding(pool, "LOCK TABLE t") {
                    let error = try await failure { try await pool.query("SELECT a FROM t") }
                    #expect(error.sqlState == .lockNotAvailable)
                    #expect(error.isRetryable && !error.isUnavailable)
                }
            }
        }

        @Test("A statement that takes too long is stopped by the server")
        func statementTimeout() async throws {
            try await withPool(configure: { $0.statementTimeout = .seconds(1) }) { pool in
                let error = try await failure { try await pool.query("SELECT pg_sleep(60)") }
                #expect(error.code == .statementTimedOut)
                #expect(error.sqlState == .queryCanceled)
                #expect(!error.isUnavailable)
            }
        }

        @Test("A statement prepared before a change of the schema works after it")
        func stalePlan() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (a integer)")
                #expect(try await pool.query("SELECT * FROM t").isEmpty)
                try await pool.execute("ALTER TABLE t ADD b text DEFAULT 'x'")
                try await pool.execute("INSERT INTO t VALUES (1)")
                #expect(try await pool.query("SELECT * FROM t")[0].text("b") == "x")
                try await pool.execute("DEALLOCATE ALL")
                #expect(try await pool.query("SELECT * FROM t").count == 1)
            }
        }

        @Test("More different statements than a connection keeps prepared are no trouble")
        func manyStatements() async throws {
            try await withPool(connections: 1) { pool in
                for number in 0..<(PreparedStatements.capacity * 2 + 3) {
                    #expect(try await pool.query("SELECT \(number) AS a")[0].int("a") == number)
                }
                let kept = try await pool.query("SELECT count(*) AS n FROM pg_prepared_statements")[0].int(
                    "n")
                #expect(kept <= PreparedStatements.capacity)
            }
        }

        @Test("A deadlock is told to one of the two, who may try again")
        func deadlock() async throws {
            try await withPool(connections: 3) { pool in
                let locks = """
                    SELECT pg_sleep(0.01), count(*) AS n FROM pg_locks JOIN pg_database AS d ON d.oid = database
                    WHERE locktype = 'advisory' AND datname = current_database()
                    """
                let errors: [PostgresError] = await withTaskGroup(of: (any Error)?.self) { group in
                    for (first, second) in [(1, 2), (2, 1)] {
                        group.addTask {
                            do {
                                try await pool.transaction { transaction in
                                    try transaction.execute("SELECT pg_advisory_xact_lock($1)", [.int(first)])
                                    while try transaction.query(locks)[0].int("n") < 2 {}
                                    try transaction.execute(
                                        "SELECT pg_advisory_xact_lock($1)", [.int(second)])
                                }
                                return nil
                            } catch {
                                return error
                            }
                        }
                    }
                    return await group.reduce(into: []) {
                        if let error = $1 as? PostgresError { $0.append(error) }
                    }
                }
                #expect(errors.map(\.sqlState) == [.deadlockDetected])
                #expect(errors.first?.isRetryable == true)
            }
        }

        @Test("On graceful shutdown a pool finishes what runs and waits, and then its service ends")
        func gracefulShutdown() async throws {
            try await PostgresCluster.shared.withDatabase { url in
                var configuration = try PostgresConfiguration(url)
                configuration.maximumConnections = 1
                let pool = PostgresPool(configuration: configuration, logger: .quiet)
                let group = ServiceGroup(services: [pool], logger: .quiet)
                let service = Task { try await group.run() }
                try await withPool(url) { observer in
                    let (running, waiting) = try await holdingLock(observer) {
                        let running = Task { try await pool.query(waitForLock).count }
                        try await untilRunning(waitForLock, observer)
                        let waiting = Task { try await pool.query("SELECT 1").count }
                        await group.triggerGracefulShutdown()
                        return (running, waiting)
                    }
                    #expect(try await running.value == 1)
                    // It may have come before the pool was closed, or after.
                    if case .failure(let error) = await waiting.result {
                        #expect((error as? PostgresError)?.code == .shuttingDown)
                    }
                }
                try await service.value
                #expect(try await failure { try await pool.query("SELECT 1") }.code == .shuttingDown)
            }
        }

        @Test("A closed pool stops what runs and refuses what waits")
        func close() async throws {
            try await PostgresCluster.shared.withDatabase { url in
                try await withPool(url) { observer in
                    try await withPool(url, connections: 1) { pool in
                        let running = Task {
                            try await pool.transaction { try $0.execute("SELECT pg_sleep(20)") }
                        }
                        try await untilRunning("SELECT pg_sleep(20)", observer)
                        let waiting = Task { try await pool.query("SELECT 1") }
                        await pool.close()
                        #expect(try await failure { try await running.value }.code == .shuttingDown)
                        #expect(try await failure { try await waiting.value }.code == .shuttingDown)
                    }
                }
            }
        }
    }
}
