import CLibPQ

/// A statement with its parameters, checked and laid out for libpq.
struct Statement {
    let sql: String
    let parameters: ParameterBlock

    /// - Throws: `PostgresError` with code `invalidParameter`.
    init(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) {
        if sql.utf8.contains(0) {
            throw PostgresError(.invalidParameter, summary: "the statement holds a NUL")
        }
        self.sql = sql
        self.parameters = try ParameterBlock(parameters)
    }
}

/// What goes to the server in one go, to be answered in one go.
enum Request {
    /// Any number of statements in one text, with one answer.
    case script(String)
    /// Each step has an answer of its own; those after one that fails are skipped (PostgreSQL 15 manual, 34.5
    /// "Pipeline Mode").
    case pipeline([Step])

    enum Step {
        case prepare(Statement, name: String)
        case execute(Statement, name: String)

        var statement: Statement {
            switch self {
            case .prepare(let statement, _), .execute(let statement, _): statement
            }
        }
    }

    /// Hands it to libpq, which may not have sent it yet.
    ///
    /// - Returns: false if libpq refuses it, because the connection is broken or its memory used up.
    func send(on connection: OpaquePointer) -> Bool {
        switch self {
        case .script(let sql):
            return PQsendQuery(connection, sql) == 1
        case .pipeline(let steps):
            return PQenterPipelineMode(connection) == 1
                && steps.allSatisfy { Self.send($0, on: connection) } && PQpipelineSync(connection) == 1
        }
    }

    private static func send(_ step: Step, on connection: OpaquePointer) -> Bool {
        let parameters = step.statement.parameters
        switch step {
        case .prepare(let statement, let name):
            return PQsendPrepare(
                connection, name, statement.sql, Int32(parameters.types.count), parameters.types) == 1
        case .execute(_, let name):
            return parameters.withValues { values in
                PQsendQueryPrepared(
                    connection, name, Int32(values.count), values, parameters.lengths, parameters.formats, 0)
            } == 1
        }
    }
}

/// The answers to one request, as they arrive.
struct Reply {
    private(set) var answers: [Answer] = []
    private(set) var isComplete = false
    /// The answer that is arriving.
    private(set) var current = Answer()
    private let isPipeline: Bool

    init(to request: Request) {
        if case .pipeline = request { isPipeline = true } else { isPipeline = false }
    }

    /// The first error; what arrived of an answer counts.
    var failure: Answer.Failure? { answers.lazy.compactMap(\.failure).first ?? current.failure }

    /// Takes in libpq's next result and frees it; `nil` ends an answer.
    mutating func add(_ result: OpaquePointer?) {
        guard let result else {
            answers.append(current)
            current = Answer()
            isComplete = !isPipeline
            return
        }
        if PQresultStatus(result) == PGRES_PIPELINE_SYNC {
            PQclear(result)
            isComplete = true
        } else {
            current.add(result)
        }
    }
}
