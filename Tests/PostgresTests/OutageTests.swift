import Glibc
import Postgres
import PostgresTestSupport
import Testing

extension OnServer {
    /// What callers see when the server goes away, falls silent or ends connections, and how it goes on (I5).
    @Suite struct OutageTests {
        @Test(
            "A server that stops and comes back needs no restart here, and meanwhile everybody is refused at once"
        )
        func stopAndStart() async throws {
            let cluster = try await PostgresCluster.launch()
            try await withPool(cluster.url()) { pool in
                try await pool.ping()
                let running = Task { try await pool.transaction { try $0.execute("SELECT pg_sleep(60)") } }
                try await untilRunning("SELECT pg_sleep(60)", pool)
                try await cluster.stop()
                #expect(try await failure { try await running.value }.code == .connectionLost)
                #expect(try await failure { try await pool.query("SELECT 1") }.code == .connectionFailed)
                let asked = ContinuousClock.now
                for _ in 0..<50 {
                    let error = try await failure { try await pool.query("SELECT 1") }
                    #expect(error.code == .connectionFailed)
                    #expect(error.isUnavailable)
                }
                #expect(try await failure { try await pool.ping() }.isUnavailable)
                #expect(ContinuousClock.now - asked < .seconds(30))
                try await cluster.start()
                try await eventually("the pool didn't come back") {
                    do { return try await pool.query("SELECT 1").count == 1 } catch { return false }
                }
            }
            try await cluster.remove()
        }

        @Test("A pool whose server was never there refuses, and serves as soon as it is")
        func startsWithoutServer() async throws {
            let cluster = try await PostgresCluster.launch()
            try await cluster.stop()
            try await withPool(cluster.url()) { pool in
                #expect(try await failure { try await pool.query("SELECT 1") }.code == .connectionFailed)
                try await cluster.start()
                try await eventually("the pool didn't connect") {
                    do { return try await pool.query("SELECT 1").count == 1 } catch { return false }
                }
            }
            try await cluster.remove()
        }

        @Test(
            "A backend ended in a transaction loses it for certain; idle ones that were ended are not noticed"
        )
        func terminatedBackends() async throws {
            try await withPool(connections: 2) { pool in
                let running = Task { try await pool.transaction { try $0.execute("SELECT pg_sleep(60)") } }
                try await untilRunning("SELECT pg_sleep(60)", pool)
                // Waits until they are gone.
                let terminate = """
                    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                    WHERE application_name = 'goclaw-nodes'
                    AND datname = '\(try await pool.query("SELECT current_database() AS d")[0].text("d"))'
                    """
                try await PostgresCluster.shared.administer(terminate)
                let error = try await failure { try await running.value }
                #expect(error.code == .connectionLost)
                #expect(error.sqlState == .adminShutdown)
                #expect(error.isUnavailable && error.isRetryable)
                for _ in 0..<20 {
                    try await pool.ping()
                    try await PostgresCluster.shared.administer(terminate)
                }
            }
        }

        @Test("A backend ended during COMMIT leaves the outcome unknown, and says so")
        func commitOutcomeUnknown() async throws {
            try await withPool { pool in
                try await pool.makeSlowTable()
                try await holdingLock(pool) {
                    let running = Task {
                        try await pool.transaction { try $0.execute("INSERT INTO slow VALUES (1)") }
                    }
                    try await untilRunning("COMMIT", pool)
                    let backend = try #require(try await backends(running: "COMMIT", pool).first)
                    try await pool.execute("SELECT pg_terminate_backend($1::integer)", [.int(backend)])
                    let error = try await failure { try await running.value }
                    #expect(error.code == .commitOutcomeUnknown)
                    #expect(error.isUnavailable && !error.isRetryable)
                }
            }
        }

        @Test("A constraint that fails at COMMIT is a certain failure")
        func deferredConstraint() async throws {
            try await withPool { pool in
                try await pool.execute("CREATE TABLE t (a integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
                let error = try await failure {
                    try await pool.transaction { try $0.execute("INSERT INTO t VALUES (1), (1)") }
                }
                #expect(error.sqlState == .uniqueViolation)
                #expect(error.code == .server)
            }
        }

        @Test("A statement on its own that is cut off may have happened, and says so")
        func cutOffStatement() async throws {
            try await withPool(connections: 2) { pool in
                let running = Task { try await pool.query("SELECT pg_sleep(60)") }
                try await untilRunning("SELECT pg_sleep(60)", pool)
                let backend = try #require(try await backends(running: "SELECT pg_sleep(60)", pool).first)
                try await pool.execute("SELECT pg_terminate_backend($1::integer)", [.int(backend)])
                #expect(try await failure { try await running.value }.code == .commitOutcomeUnknown)
            }
        }

        @Test("A server that falls silent is given up after the statement timeout and two seconds")
        func silentServer() async throws {
            try await withPool(connections: 2, configure: { $0.statementTimeout = .seconds(15) }) { pool in
                let running = Task { try await pool.transaction { try $0.execute("SELECT pg_sleep(60)") } }
                try await untilRunning("SELECT pg_sleep(60)", pool)
                let backend = try #require(try await backends(running: "SELECT pg_sleep(60)", pool).first)
                kill(pid_t(backend), SIGSTOP)
                defer { kill(pid_t(backend), SIGCONT) }
                let error = try await failure { try await running.value }
                #expect(error.code == .statementTimedOut)
                #expect(error.sqlState == nil)
                #expect(error.isUnavailable)
                try await pool.ping()
            }
        }

        @Test("A cancelled task isn't held up by a silent server")
        func cancelledOnSilentServer() async throws {
            try await withPool(connections: 2) { pool in
                let running = Task { try await pool.transaction { try $0.execute("SELECT pg_sleep(60)") } }
                try await untilRunning("SELECT pg_sleep(60)", pool)
                let backend = try #require(try await backends(running: "SELECT pg_sleep(60)", pool).first)
                kill(pid_t(backend), SIGSTOP)
                defer { kill(pid_t(backend), SIGCONT) }
                let asked = ContinuousClock.now
                running.cancel()
                #expect(try await failure { try await running.value }.code == .cancelled)
                #expect(ContinuousClock.now - asked < .seconds(40))
            }
        }

        @Test("A server that accepts and never answers doesn't hold up a caller beyond the acquire timeout")
        func deafServer() async throws {
            let deaf = try DeafServer()
            try await withPool(deaf.url, configure: { $0.acquireTimeout = .milliseconds(500) }) { pool in
                let asked = ContinuousClock.now
                let error = try await failure { try await pool.query("SELECT 1") }
                #expect(error.code == .acquireTimedOut)
                #expect(ContinuousClock.now - asked < .seconds(20))
            }
        }

        @Test("When the server has no connection left for it, the pool serves with those it has")
        func tooManyConnections() async throws {
            try await withPool(connections: 4) { pool in
                let database = try await pool.query("SELECT current_database() AS name")[0].text("name")
                // The superuser isn't bound by it.
                try await PostgresCluster.shared.administer(
                    """
                    DROP ROLE IF EXISTS limited_\(database);
                    CREATE ROLE limited_\(database) LOGIN CONNECTION LIMIT 1;
                    """)
                let url = try await PostgresCluster.shared.url(database, user: "limited_\(database)")
                try await withPool(url, connections: 4) { limited in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for _ in 0..<20 {
                            group.addTask { _ = try await limited.query("SELECT pg_sleep(0.01)") }
                        }
                        try await group.waitForAll()
                    }
                }
                try await PostgresCluster.shared.administer("DROP ROLE limited_\(database)")
            }
        }
    }
}

/// A unix socket that takes connections and never says a word.
private final class DeafServer {
    private let folder: String
    private let socket: Int32

    struct Failure: Error {}

    init() throws {
        var template = Array("/tmp/gcdeaf-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure() }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: "\(folder)/.s.PGSQL.5432".utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0, listen(socket, 16) == 0 else { throw Failure() }
    }

    var url: String { "postgresql:///x?host=\(folder)&user=x" }

    deinit {
        close(socket)
        unlink("\(folder)/.s.PGSQL.5432")
        rmdir(folder)
    }
}
