import PostgresTestSupport
import Synchronization
import Testing
import Tracing

@testable import Postgres
@testable import Traces

extension OnServer {
    /// What the server is told of the request that statements are for.
    @Suite struct StatementTraceTests {
        private static let name = "SELECT current_setting('application_name') AS name"

        /// Runs `body` within a recorded request.
        ///
        /// - Returns: the spans, the request's own last.
        private func recording(
            _ body: @Sendable () async throws -> Void
        ) async throws -> [FinishedSpan] {
            let spans = Mutex<[FinishedSpan]>([])
            let tracer = RecordingTracer(
                sampler: TraceSampler(percent: 100, perSecond: 1000, now: .zero),
                ended: { span in spans.withLock { $0.append(span) } })
            try await withTracer(tracer) {
                let span = tracer.startSpan("request", context: .topLevel)
                try await ServiceContext.withValue(span.context) { try await body() }
                span.end()
            }
            return spans.withLock { $0 }
        }

        @Test(
            "Each group of statements is a span that the server shows, and of which it knows nothing afterwards"
        )
        func told() async throws {
            try await withPool(connections: 1, configure: { $0.applicationName = "nodes-gateway" }) { pool in
                let names = Mutex<[String]>([])
                let spans = try await recording {
                    let note = { @Sendable (rows: PostgresRows) in
                        let name = try rows[0].text("name")
                        names.withLock { $0.append(name) }
                    }
                    try note(try await pool.query(Self.name))
                    try note(try await pool.read([(Self.name, []), (Self.name, [])])[1])
                    try note(
                        try await pool.transaction { transaction in
                            try transaction.enqueue("SELECT 1")
                            _ = try transaction.query("SELECT 2")
                            return try transaction.query(Self.name)
                        })
                }
                try #require(spans.map(\.name) == ["postgresql", "postgresql", "postgresql", "request"])
                let expected = spans.dropLast().map {
                    "nodes-gateway \($0.place.traceID)-\($0.place.spanID)"
                }
                #expect(names.withLock { $0 } == expected && expected.allSatisfy { $0.utf8.count == 63 })
                #expect(spans.dropLast().allSatisfy { $0.parentID == spans[3].place.spanID })
                #expect(spans[1].attributes["db.operation.batch.size"] == .int64(2))
                #expect(spans[2].attributes["db.operation.batch.size"] == .int64(5))
                #expect(try await pool.query(Self.name)[0].text("name") == "nodes-gateway")
            }
        }

        @Test("A statement that fails is a span that failed, and the connection is none the worse")
        func failed() async throws {
            try await withPool(connections: 1) { pool in
                let spans = try await recording {
                    _ = try await failure { try await pool.query("SELECT 1 / 0") }
                }
                #expect(spans[0].hasFailed)
                #expect(spans[0].attributes["db.response.status_code"] == "22012")
                #expect(try await pool.query(Self.name)[0].text("name") == "goclaw-nodes")
            }
        }

        @Test("What is not recorded is sent as if there were no traces")
        func unrecorded() async throws {
            try await withPool { pool in
                let row = try await pool.query(Self.name)[0]
                #expect(try row.text("name") == "goclaw-nodes")
            }
        }
    }
}
