import Logging
import Postgres
import PostgresTestSupport
import Testing

@Suite struct PoolTests {
    @Test("A statement answers with typed rows")
    func typedRows() async throws {
        try await withPool { pool in
            let rows = try await pool.query("SELECT $1 AS a, $2 AS b", [.text("x"), .int(5)])
            #expect(try rows[0].text("a") == "x")
            #expect(try rows[0].int("b") == 5)
        }
    }
}
