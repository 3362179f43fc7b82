import PostgresTestSupport
import Testing

@testable import Postgres

extension OnServer {
    /// Steps of the schema: applied once, in order, and only to the database they belong to.
    @Suite struct MigrationTests {
        private let steps = [
            Migration(number: 1, name: "first", sql: "CREATE TABLE a (n integer); INSERT INTO a VALUES (1);"),
            Migration(number: 2, name: "second", sql: "ALTER TABLE a ADD b text; -- it's two"),
        ]

        @Test("Steps are applied in order, once, and recorded")
        func apply() async throws {
            try await withPool { pool in
                let runner = MigrationRunner(migrations: steps.reversed())
                let fresh = try await runner.status(pool)
                #expect(fresh == .init(applied: [], pending: ["first", "second"]))
                #expect(try await MigrationRunner(migrations: [steps[0]]).migrate(pool) == ["first"])
                #expect(try await runner.status(pool) == .init(applied: ["first"], pending: ["second"]))
                #expect(try await runner.migrate(pool) == ["second"])
                #expect(try await runner.migrate(pool) == [])
                #expect(try await runner.status(pool) == .init(applied: ["first", "second"], pending: []))
                #expect(try await pool.query("SELECT n, b FROM a").count == 1)
            }
        }

        @Test("Runners that start together apply every step once")
        func concurrently() async throws {
            let slow = (1...5).map {
                Migration(
                    number: $0, name: "step \($0)", sql: "SELECT pg_sleep(0.05); CREATE TABLE t\($0) ();")
            }
            try await withPool(connections: 8) { pool in
                let applied = try await withThrowingTaskGroup(of: [String].self) { group in
                    for _ in 0..<8 {
                        group.addTask { try await MigrationRunner(migrations: slow).migrate(pool) }
                    }
                    return try await group.reduce(into: []) { $0 += $1 }
                }
                #expect(applied.sorted() == slow.map(\.name))
            }
        }

        @Test("A step waits for another runner longer than any timeout of the pool")
        func patience() async throws {
            let slow = [Migration(number: 1, name: "slow", sql: "SELECT pg_sleep(3)")]
            try await withPool(
                connections: 2,
                configure: {
                    $0.statementTimeout = .seconds(1)
                    $0.lockTimeout = .milliseconds(100)
                }
            ) { pool in
                let one = Task { try await MigrationRunner(migrations: slow).migrate(pool) }
                let other = Task { try await MigrationRunner(migrations: slow).migrate(pool) }
                let applied = try await one.value + other.value
                #expect(applied == ["slow"])
                #expect(
                    try await failure { try await pool.query("SELECT pg_sleep(30)") }.code
                        == .statementTimedOut)
            }
        }

        @Test("A failed step leaves nothing behind, and the error names it")
        func failedStep() async throws {
            try await withPool { pool in
                let broken = Migration(number: 3, name: "third", sql: "CREATE TABLE c (); SELECT 1 / 0;")
                let error = try await failure {
                    try await MigrationRunner(migrations: steps + [broken]).migrate(pool)
                }
                #expect(error.code == .migration)
                #expect(error.sqlState == SQLState("22012"))
                #expect(error.description.contains("step 3 (\"third\")"))
                #expect(try await pool.query("SELECT to_regclass('c') IS NULL AS gone")[0].bool("gone"))
                #expect(try await MigrationRunner(migrations: steps).status(pool).pending == [])
            }
        }

        @Test("A step that ends its transaction is refused")
        func endedTransaction() async throws {
            try await withPool { pool in
                let step = Migration(number: 1, name: "rash", sql: "CREATE TABLE d (); COMMIT;")
                let error = try await failure { try await MigrationRunner(migrations: [step]).migrate(pool) }
                #expect(error.code == .migration)
                #expect(error.description.contains("ended the transaction"))
            }
        }

        @Test("A schema newer than the program is refused, with both sides' values")
        func newerSchema() async throws {
            try await withPool { pool in
                _ = try await MigrationRunner(migrations: steps).migrate(pool)
                let error = try await failure {
                    try await MigrationRunner(migrations: [steps[0]]).migrate(pool)
                }
                #expect(error.code == .migration)
                #expect(error.description.contains("step 2 (\"second\")"))
                #expect(error.description.contains("knows 1"))
                #expect(
                    try await failure { try await MigrationRunner(migrations: []).status(pool) }.code
                        == .migration)
            }
        }

        @Test(
            "A recorded step with another name or text is refused, with both sides' values",
            arguments: [("renamed", "SELECT 1"), ("first", "SELECT 2")])
        func otherStep(name: String, sql: String) async throws {
            try await withPool { pool in
                _ = try await MigrationRunner(migrations: [
                    Migration(number: 1, name: "first", sql: "SELECT 1")
                ])
                .migrate(pool)
                let other = MigrationRunner(migrations: [Migration(number: 1, name: name, sql: sql)])
                let error = try await failure { try await other.migrate(pool) }
                #expect(error.code == .migration)
                #expect(error.description.contains("\"first\"") && error.description.contains("\"\(name)\""))
            }
        }

        @Test("A gap in what's recorded is refused")
        func gap() throws {
            let known = steps.map { (migration: $0, checksum: "x") }
            let error = #expect(throws: PostgresError.self) {
                try MigrationPlan(known: known, recorded: [.init(number: 2, name: "second", checksum: "x")])
            }
            #expect(error?.description.contains("but not step 1") ?? false)
        }
    }
}
