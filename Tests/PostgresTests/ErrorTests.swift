import PostgresTestSupport
import Testing

@testable import Postgres

extension OnServer {
    /// What errors say, and what they keep to themselves.
    @Suite struct ErrorTests {
        @Test("A violation comes with its SQLSTATE and constraint, and its description holds no data")
        func violations() async throws {
            try await withPool { pool in
                try await pool.execute(
                    """
                    CREATE TABLE t (
                        id text CONSTRAINT t_key PRIMARY KEY, n integer CONSTRAINT n_positive CHECK (n > 0),
                        parent text CONSTRAINT t_parent REFERENCES t)
                    """)
                try await pool.execute("INSERT INTO t VALUES ('hunter2', 1)")
                let cases: [(String, SQLState, String?)] = [
                    ("INSERT INTO t VALUES ('hunter2', 1)", .uniqueViolation, "t_key"),
                    ("INSERT INTO t VALUES ('hunter2b', -1)", .checkViolation, "n_positive"),
                    ("INSERT INTO t VALUES ('x', 1, 'hunter2c')", .foreignKeyViolation, "t_parent"),
                    ("INSERT INTO t VALUES (NULL)", .notNullViolation, nil),
                    ("SELECT * FROM hunter2", .undefinedTable, nil),
                    ("SELECT hunter2 FROM t", .undefinedColumn, nil),
                    ("SELECT 'hunter2'::integer", .invalidTextRepresentation, nil),
                    ("SELEC 'hunter2'", .syntaxError, nil), ("CREATE TABLE t ()", .duplicateTable, nil),
                    ("SELECT 1; SELECT 2", .syntaxError, nil),
                ]
                for (statement, sqlState, constraint) in cases {
                    let error = try await failure { try await pool.execute(statement) }
                    #expect(error.code == .server)
                    #expect(error.sqlState == sqlState)
                    #expect(error.constraint == constraint)
                    #expect(!error.isUnavailable && !error.isRetryable)
                    #expect(error.description == "PostgreSQL: server (SQLSTATE \(sqlState))")
                    #expect("\(error)" == error.description)
                    #expect(String(reflecting: error).count > error.description.count)
                }
            }
        }

        @Test("A read-only server counts as unavailable (I5)")
        func readOnly() async throws {
            try await withPool { pool in
                let error = try await failure {
                    try await pool.transaction { transaction in
                        try transaction.execute("SET TRANSACTION READ ONLY")
                        try transaction.execute("CREATE TABLE t ()")
                    }
                }
                #expect(error.sqlState == .readOnlySQLTransaction)
                #expect(error.isUnavailable)
            }
        }

        @Test(
            "Codes and SQLSTATEs say whether the database is there and whether to try again",
            arguments: [
                (PostgresError(.connectionFailed), true, true), (PostgresError(.connectionLost), true, true),
                (PostgresError(.commitOutcomeUnknown), true, false),
                (PostgresError(.acquireTimedOut), true, true),
                (PostgresError(.shuttingDown), true, true), (PostgresError(.cancelled), false, false),
                (PostgresError(.statementTimedOut), true, true),
                (PostgresError(.statementTimedOut, sqlState: .queryCanceled), false, false),
                (PostgresError(.server, sqlState: .tooManyConnections), true, true),
                (PostgresError(.server, sqlState: .connectionFailure), true, true),
                (PostgresError(.server, sqlState: .cannotConnectNow), true, true),
                (PostgresError(.server, sqlState: .serializationFailure), false, true),
                (PostgresError(.server, sqlState: .queryCanceled), false, false),
                (PostgresError(.decoding), false, false), (PostgresError(.migration), false, false),
            ])
        func classes(error: PostgresError, isUnavailable: Bool, isRetryable: Bool) {
            #expect(error.isUnavailable == isUnavailable)
            #expect(error.isRetryable == isRetryable)
        }

        @Test(
            "A connection string that can't be read is refused without a word of it (I9)",
            arguments: [
                "postgresql://user:hunter2@[::1/db", "postgresql://user:hunter2@host/db?sslmod=x",
                "host=x password=good hunter2=bad", "password='hunter2", "postgresql://user:hunter2%@host/",
                "user:hunter2@host", "host=x\0password=hunter2",
            ])
        func badConnectionString(url: String) throws {
            let error = try #require(#expect(throws: PostgresError.self) { try PostgresConfiguration(url) })
            #expect(error.code == .invalidConfiguration)
            #expect(!String(reflecting: error).contains("hunter2"))
            #expect(error.description.contains("connection string"))
        }

        @Test("A configuration doesn't print its password (I9)")
        func noPassword() throws {
            let configuration = try PostgresConfiguration("postgresql://u:hunter2@h/d?sslpassword=hunter2")
            var dumped = ""
            dump(configuration, to: &dumped)
            for text in ["\(configuration)", String(reflecting: configuration), dumped] {
                #expect(!text.contains("hunter2"))
            }
            #expect("\(configuration)" == "PostgreSQL(host=h dbname=d user=u)")
        }

        @Test("What the connection string says stays, and what it leaves open is bounded")
        func defaults() throws {
            let given = try PostgresConfiguration(
                "postgresql://u@h/d?keepalives_idle=99&connect_timeout=7&sslmode=verify-full&application_name=mine"
            )
            #expect(given.connectionParameters["keepalives_idle"] == "99")
            #expect(given.connectionParameters["connect_timeout"] == "7")
            #expect(given.connectionParameters["sslmode"] == "verify-full")
            #expect(given.connectionParameters["application_name"] == "mine")
            #expect(given.connectionParameters["tcp_user_timeout"] != nil)
            #expect(given.connectionParameters["client_encoding"] == "UTF8")
            var open = try PostgresConfiguration("")
            open.connectTimeout = .milliseconds(10)
            open.applicationName = "test"
            #expect(open.connectionParameters["connect_timeout"] == "2")
            #expect(open.connectionParameters["application_name"] == "test")
        }

        @Test(
            "A session has the settings that decoding and durability rest on, whatever the database's defaults"
        )
        func settings() async throws {
            try await withPool { pool in
                _ = try await pool.query("SELECT 1")
                let database = try await pool.query("SELECT current_database() AS name")[0].text("name")
                for setting in [
                    "synchronous_commit = off", "timezone = 'Asia/Tokyo'", "datestyle = 'German'",
                    "bytea_output = 'escape'", "default_transaction_isolation = 'serializable'",
                ] {
                    try await PostgresCluster.shared.administer("ALTER DATABASE \(database) SET \(setting)")
                }
                try await withPool(PostgresCluster.shared.url(database)) { fresh in
                    let row = try await fresh.query(
                        """
                        SELECT current_setting('synchronous_commit') AS commit, $1 AS bytes, $2 AS time,
                            current_setting('transaction_isolation') AS isolation
                        """, [.bytes([0, 1]), .timestamp(milliseconds: 5)])[0]
                    #expect(try row.text("commit") == "on")
                    #expect(try row.text("isolation") == "read committed")
                    #expect(try row.bytes("bytes") == [0, 1])
                    #expect(try row.timestamp("time") == 5)
                }
            }
        }
    }
}
