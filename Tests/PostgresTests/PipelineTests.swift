import Dispatch
import PostgresTestSupport
import Testing

@testable import Postgres

extension OnServer {
    /// Statements that share a round trip.
    @Suite struct PipelineTests {
        @Test(
            "Enqueued statements run in their place, and together commit", arguments: [0, 1, 63, 64, 65, 200])
        func order(count: Int) async throws {
            try await withPool { pool in
                try await pool.execute("CREATE TABLE t (n serial, a integer)")
                let seen = try await pool.transaction { transaction in
                    for a in 0..<count {
                        try transaction.enqueue("INSERT INTO t (a) VALUES ($1)", [.int(a)])
                    }
                    let seen = try transaction.query("SELECT a FROM t ORDER BY n").map { try $0.int("a") }
                    try transaction.enqueue("INSERT INTO t (a) VALUES ($1)", [.int(count)])
                    return seen
                }
                #expect(seen == Array(0..<count))
                let kept = try await pool.query("SELECT a FROM t ORDER BY n").map { try $0.int("a") }
                #expect(kept == Array(0...count))
            }
        }

        @Test("Several questions in one round trip have an answer each, in order")
        func several() async throws {
            try await withPool { pool in
                let answers = try await pool.transaction { transaction in
                    try transaction.query([
                        ("SELECT 1 AS a", []), ("SELECT $1::text AS a", [.text("two")]),
                        ("SELECT generate_series(1, 3) AS a", []), ("SELECT 1 AS a", []),
                    ])
                }
                #expect(answers.map(\.count) == [1, 1, 3, 1])
                #expect(try answers[1][0].text("a") == "two")
                #expect(try answers[3][0].int("a") == 1)
            }
        }

        @Test("What an enqueued statement is refused for is told by the query or the commit it goes out with")
        func refused() async throws {
            try await withPool { pool in
                try await pool.execute("CREATE TABLE t (a integer PRIMARY KEY)")
                for hasQuery in [true, false] {
                    let error = try await failure {
                        try await pool.transaction { transaction in
                            try transaction.execute("INSERT INTO t VALUES (1)")
                            try transaction.enqueue("INSERT INTO t VALUES (1)")
                            try transaction.enqueue("INSERT INTO t VALUES (2)")
                            if hasQuery { _ = try transaction.query("SELECT 1 AS a") }
                        }
                    }
                    #expect(error.sqlState == .uniqueViolation)
                    #expect(error.code == .server)
                    #expect(try await pool.query("SELECT a FROM t").isEmpty)
                }
            }
        }

        @Test("Statements after a refused one are prepared when they are needed again")
        func preparedAgain() async throws {
            try await withPool(connections: 1) { pool in
                for _ in 0..<2 {
                    _ = try await failure {
                        try await pool.transaction { transaction in
                            try transaction.enqueue("SELECT 1 / 0")
                            try transaction.enqueue("SELECT 'never prepared'")
                        }
                    }
                }
                let value = try await pool.transaction { transaction in
                    try transaction.query("SELECT 'never prepared' AS a")[0].text("a")
                }
                #expect(value == "never prepared")
                let again = try await pool.query("SELECT 'never prepared' AS a")[0].text("a")
                #expect(again == "never prepared")
            }
        }

        @Test("A task that was cancelled before its first statement leaves the connection as it was")
        func cancelledBefore() async throws {
            try await withPool(connections: 1) { pool in
                let (started, start) = AsyncStream.makeStream(of: Void.self)
                let cancelled = DispatchSemaphore(value: 0)
                let task = Task {
                    try await pool.transaction { transaction in
                        start.finish()
                        cancelled.wait()
                        try transaction.execute("SELECT 'not sent'")
                    }
                }
                for await _ in started {}
                task.cancel()
                cancelled.signal()
                #expect(try await failure { try await task.value }.code == .cancelled)
                let value = try await pool.transaction { transaction in
                    try transaction.query("SELECT 'not sent' AS a")[0].text("a")
                }
                #expect(value == "not sent")
            }
        }

        @Test("The server's timeout is for each of the statements, not for all")
        func timeouts() async throws {
            try await withPool(configure: { $0.statementTimeout = .seconds(2) }) { pool in
                try await pool.transaction { transaction in
                    for _ in 0..<4 { try transaction.enqueue("SELECT pg_sleep(0.8)") }
                }
                let error = try await failure {
                    try await pool.transaction { transaction in
                        try transaction.enqueue("SELECT pg_sleep(0.1)")
                        try transaction.enqueue("SELECT pg_sleep(60)")
                    }
                }
                #expect(error.code == .statementTimedOut)
            }
        }

        @Test("A backend that ends among enqueued statements leaves only a commit's outcome open")
        func ended() async throws {
            try await withPool { pool in
                try await pool.execute("CREATE TABLE t (a integer)")
                let error = try await failure {
                    try await pool.transaction { transaction in
                        try transaction.enqueue("INSERT INTO t VALUES (1)")
                        try transaction.enqueue("SELECT pg_terminate_backend(pg_backend_pid())")
                        _ = try transaction.query("SELECT 1")
                    }
                }
                #expect(error.code == .connectionLost)
                #expect(error.sqlState == SQLState("57P01"))
                let atCommit = try await failure {
                    try await pool.transaction { transaction in
                        try transaction.enqueue("SELECT pg_terminate_backend(pg_backend_pid())")
                    }
                }
                #expect(atCommit.code == .commitOutcomeUnknown)
                #expect(try await pool.query("SELECT a FROM t").isEmpty)
            }
        }

        @Test("A parameter that can't be sent is refused at once, and nothing is run")
        func badParameter() async throws {
            try await withPool { pool in
                try await pool.execute("CREATE TABLE t (a text)")
                let error = try await failure {
                    try await pool.transaction { transaction in
                        try transaction.enqueue("INSERT INTO t VALUES ($1)", [.text("good")])
                        try transaction.enqueue("INSERT INTO t VALUES ($1)", [.text("a\0b")])
                    }
                }
                #expect(error.code == .invalidParameter)
                #expect(try await pool.query("SELECT a FROM t").isEmpty)
            }
        }
    }
}
