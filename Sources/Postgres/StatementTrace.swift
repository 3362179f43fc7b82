import Synchronization
import Tracing

/// A group of statements as a span within the request that it is for. Thread-safe.
///
/// The server is told the span by a statement that goes out with the group's first ones, so that it costs no round trip;
/// what it sets ends with the transaction.
final class StatementTrace: Sendable {
    /// Statements that are told of; the others are counted.
    private static let mostTold = 8

    private struct State {
        var statements: [String] = []
        var count = 0
    }

    /// What `pg_stat_activity` and PostgreSQL's log are told: the program, the trace and the span, 63 bytes at most.
    let applicationName: String
    private let span: any Span
    private let state = Mutex(State())

    /// `nil` where nothing records what is under way.
    init?(program: String) {
        guard let context = ServiceContext.current else { return nil }
        let tracer = InstrumentationSystem.tracer
        let span = tracer.startSpan("postgresql", context: context, ofKind: .client)
        guard span.isRecording else { return nil }
        var fields: [String: String] = [:]
        InstrumentationSystem.instrument.inject(span.context, into: &fields, using: FieldWriter())
        // Without its version and flags: a name has 63 bytes at most.
        let place = fields["traceparent"].map { String($0.dropFirst(3).dropLast(3)) } ?? ""
        applicationName = "\(program) \(place)"
        self.span = span
    }

    /// The statement that tells the server.
    func naming() throws(PostgresError) -> Statement {
        try Statement("SELECT set_config('application_name', $1, true)", [.text(applicationName)])
    }

    /// These are about to be sent. They hold no data: what varies are parameters.
    func sends(_ statements: [Statement]) {
        state.withLock { state in
            state.count += statements.count
            let room = max(0, Self.mostTold - state.statements.count)
            state.statements += statements.prefix(room).map(\.sql)
        }
    }

    /// A connection was found for the group.
    func begins(after wait: Duration) { span.attributes["nodes.wait_ms"] = Int(wait.milliseconds) }

    func ends(_ error: PostgresError?) {
        let (statements, count) = state.withLock { ($0.statements, $0.count) }
        span.updateAttributes { attributes in
            attributes["db.system.name"] = "postgresql"
            attributes["db.query.text"] = statements.joined(separator: ";\n")
            attributes["db.operation.batch.size"] = count
            if let error { attributes["db.response.status_code"] = error.sqlState?.code ?? "\(error.code)" }
        }
        if error != nil { span.setStatus(SpanStatus(code: .error)) }
        span.end()
    }

    private struct FieldWriter: Injector {
        func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
            carrier[key] = value
        }
    }
}
