import PostgresTestSupport
import Testing

@testable import Postgres

extension OnServer {
    /// What goes to the server comes back as it was, and nothing else is taken for it.
    @Suite struct ValueTests {
        @Test("Every type of parameter is a value of the type it says, as the server sees it")
        func types() async throws {
            let cases: [(value: PostgresValue, type: String, text: String?)] = [
                (.text("O'Reilly \\ \"x\" 😀"), "text", "O'Reilly \\ \"x\" 😀"), (.text(""), "text", ""),
                (.text(nil), "text", nil), (.int(-42), "bigint", "-42"),
                (.int64(.min), "bigint", "\(Int64.min)"),
                (.int64(.max), "bigint", "\(Int64.max)"), (.int(nil), "bigint", nil),
                (.double(0.1), "double precision", "0.1"), (.bool(true), "boolean", "t"),
                (.bool(false), "boolean", "f"), (.bytes([0, 255, 92]), "bytea", "\\x00ff5c"),
                (.bytes([]), "bytea", "\\x"),
                (
                    .timestamp(milliseconds: 1_767_225_600_123), "timestamp with time zone",
                    "2026-01-01 00:00:00.123+00"
                ),
                (.timestamp(milliseconds: -1), "timestamp with time zone", "1969-12-31 23:59:59.999+00"),
                (
                    .uuid("7C9E6679-7425-40DE-944B-E07FC1F90AE7"), "uuid",
                    "7c9e6679-7425-40de-944b-e07fc1f90ae7"
                ),
                (.json(#"{"a": [1]}"#), "jsonb", #"{"a": [1]}"#),
                (
                    .texts(["a,b", "\"", "\\", "{}", "", nil, "NULL"]), "text[]",
                    #"{"a,b","\"","\\","{}","",NULL,"NULL"}"#
                ),
                (.texts([]), "text[]", "{}"), (.texts(nil), "text[]", nil),
                (.ints([1, nil, -3]), "bigint[]", "{1,NULL,-3}"),
                (.bools([true, false]), "boolean[]", "{t,f}"),
                (.bytesArray([[1, 2], []]), "bytea[]", #"{"\\x0102","\\x"}"#),
                (
                    .timestamps(milliseconds: [0]), "timestamp with time zone[]",
                    #"{"1970-01-01 00:00:00+00"}"#
                ),
                ("literal", "text", "literal"), (7, "bigint", "7"), (true, "boolean", "t"),
            ]
            try await withPool { pool in
                for (value, type, text) in cases {
                    let row = try #require(
                        try await pool.query("SELECT pg_typeof($1)::text AS type, $1::text AS text", [value])
                            .first)
                    #expect(try row.text("type") == type)
                    #expect(
                        try row.optionalText("text")
                            == (text.map { $0 == "t" ? "true" : $0 == "f" ? "false" : $0 }))
                }
            }
        }

        @Test("A NULL without a type takes the one the statement gives it")
        func inferredNull() async throws {
            try await withPool { pool in
                let row = try await pool.query("SELECT $1::integer AS a", [.null])[0]
                #expect(try row.isNull("a"))
                #expect(try row.optionalInt("a") == nil)
            }
        }

        @Test("All bytes come back, and so does every kind of text")
        func roundTrips() async throws {
            let bytes = (0...1000).map { UInt8(truncatingIfNeeded: $0) }
            let texts = ["", "plain", "a,b", "{x}", "\"\\", "NULL", "null", " blank ", "é😀\u{1}\n"]
            try await withPool { pool in
                let row = try await pool.query(
                    "SELECT $1 AS bytes, $2 AS texts, $3 AS time, $4 AS number, $5 AS flag",
                    [
                        .bytes(bytes), .texts(texts), .timestamp(milliseconds: 951_825_599_999),
                        .double(-1.5e300), true,
                    ])[0]
                #expect(try row.bytes("bytes") == bytes)
                #expect(try row.texts("texts") == texts)
                #expect(try row.timestamp("time") == 951_825_599_999)
                #expect(try row.double("number") == -1.5e300)
                #expect(try row.bool("flag"))
            }
        }

        @Test("Times of every era agree with the server's own arithmetic")
        func eras() async throws {
            try await withPool { pool in
                let rows = try await pool.query(
                    """
                    SELECT time, floor(extract(epoch FROM time) * 1000)::bigint AS milliseconds
                    FROM generate_series('4000-01-01 BC'::timestamptz, '9999-12-31', '397 days 5 hours 7.891 seconds')
                    AS time
                    """)
                #expect(rows.count > 10_000)
                for row in rows { #expect(try row.timestamp("time") == row.int64("milliseconds")) }
            }
        }

        @Test("Text with a NUL is refused before it's sent, also inside an array or a statement")
        func nul() async throws {
            try await withPool { pool in
                for parameter: PostgresValue in [
                    .text("a\0b"), .texts(["a", "\0"]), .json("\0"), .uuid("\0"),
                ] {
                    let error = try await failure { try await pool.query("SELECT $1", [parameter]) }
                    #expect(error.code == .invalidParameter)
                    #expect(error.description.contains("$1"))
                }
                #expect(try await failure { try await pool.query("SELECT 1\0") }.code == .invalidParameter)
                #expect(try await pool.query("SELECT 1 AS a")[0].int("a") == 1)
            }
        }

        @Test("Bytes that aren't UTF-8 are an error that names the column, not replacement characters")
        func notUTF8() throws {
            let rows = PostgresRows(
                columns: Columns([Columns.Column(name: "odd", type: .text)]), bytes: [0xFF], ends: [1],
                count: 1)
            let error = try #require(#expect(throws: PostgresError.self) { try rows[0].text("odd") })
            #expect(error.code == .decoding)
            #expect(error.description.contains("\"odd\""))
        }

        @Test("A wrong type, a NULL or a missing column is an error that names the column and not the value")
        func decodingErrors() async throws {
            try await withPool { pool in
                let row = try await pool.query(
                    "SELECT 'secret'::text AS a, NULL::text AS b, 1.5::numeric AS c")[0]
                let failures: [(PostgresError?, String)] = [
                    (#expect(throws: PostgresError.self) { try row.int("a") }, "\"a\""),
                    (#expect(throws: PostgresError.self) { try row.bytes("a") }, "\"a\""),
                    (#expect(throws: PostgresError.self) { try row.text("b") }, "\"b\""),
                    (#expect(throws: PostgresError.self) { try row.int("c") }, "\"c\""),
                    (#expect(throws: PostgresError.self) { try row.text("missing") }, "\"missing\""),
                ]
                for (error, column) in failures {
                    let error = try #require(error)
                    #expect(error.code == .decoding)
                    #expect(error.description.contains(column))
                    #expect(!String(reflecting: error).contains("secret"))
                }
            }
        }

        @Test(
            "What isn't in the server's format is no value",
            arguments: ["", "infinity", "2026-01-01", "2026-01-01 00:00:00", "2026-01-01 00:00:00+01", "x"])
        func malformedTime(text: String) {
            #expect(TextDecoding.timestamp(Array(text.utf8)[...]) == nil)
        }

        @Test(
            "Malformed arrays are no values", arguments: ["", "{", "{a", "{\"a}", "{a,}", "{NULL}", "{{a}}"])
        func malformedArray(text: String) {
            #expect(TextDecoding.texts(Array(text.utf8)[...]) == nil)
        }

        @Test("Malformed bytes are no values", arguments: ["", "00", "\\x0", "\\x0g", "\\xAB"])
        func malformedBytes(text: String) {
            #expect(TextDecoding.bytea(Array(text.utf8)[...]) == nil)
        }

        @Test(
            "A time beyond what PostgreSQL can store is refused by the server", arguments: [Int64.min, .max])
        func timeOutOfRange(milliseconds: Int64) async throws {
            try await withPool { pool in
                let error = try await failure {
                    try await pool.query("SELECT $1", [.timestamp(milliseconds: milliseconds)])
                }
                #expect(error.sqlState == SQLState("22008"))
            }
        }

        @Test("Results and parameters of many megabytes pass")
        func big() async throws {
            try await withPool { pool in
                let rows = try await pool.query(
                    "SELECT repeat('x', 1000) AS a FROM generate_series(1, 20000)")
                #expect(rows.count == 20_000)
                #expect(try rows.allSatisfy { try $0.text("a").utf8.count == 1000 })
                let bytes = [UInt8](repeating: 7, count: 10_000_000)
                #expect(
                    try await pool.query("SELECT length($1) AS a", [.bytes(bytes)])[0].int("a") == bytes.count
                )
            }
        }
    }
}
