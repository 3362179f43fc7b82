import CLibPQ
import Glibc

/// One connection to the server, used by the one thread that made it (libpq's rule; PostgreSQL 15 manual, 34.20
/// "Behavior in Threaded Programs"). Its calls block that thread, each for a bounded time.
final class Connection {
    /// How long the server may be silent beyond its own timeout, or after a cancel request.
    static let grace: Duration = .seconds(2)

    let wakeup: Wakeup
    /// How long a statement may take from here, the server's own timeout and the grace included.
    private(set) var statementLimit: Duration
    /// Stops the statements of the current job; `nil` while nothing may, as during a commit.
    var interruption: Interruption?
    /// Nothing more can be asked on it: it broke, was given up, or a cancel request may still hit it.
    private(set) var isSpent = false

    private let handle: OpaquePointer
    private let statementTimeout: Duration
    private var prepared = PreparedStatements()

    /// Connects; blocks for up to the connect timeout for every host of the connection string.
    ///
    /// - Throws: `PostgresError` with code `connectionFailed`.
    init(_ configuration: PostgresConfiguration, wakeup: Wakeup) throws(PostgresError) {
        let parameters = configuration.connectionParameters.sorted { $0.key < $1.key }
        guard let handle = Self.open(parameters) else {
            throw PostgresError(.connectionFailed, summary: "libpq has no memory for a connection")
        }
        self.handle = handle
        self.wakeup = wakeup
        statementTimeout = configuration.statementTimeout
        statementLimit = configuration.statementTimeout + Self.grace
        guard PQstatus(handle) == CONNECTION_OK, PQsetnonblocking(handle, 1) == 0 else {
            throw PostgresError(.connectionFailed, detail: String(cString: PQerrorMessage(handle)))
        }
        ignoreNotices()
        do {
            try runScript(configuration.sessionSettings)
        } catch {
            throw PostgresError(
                .connectionFailed, sqlState: error.sqlState,
                summary: "the server refused the session's settings",
                detail: error.detail)
        }
    }

    private static func open(_ parameters: [(key: String, value: String)]) -> OpaquePointer? {
        let keywords = parameters.map { strdup($0.key) }
        let values = parameters.map { strdup($0.value) }
        defer { (keywords + values).forEach { free($0) } }
        // Both lists end with a null pointer.
        return PQconnectdbParams(
            keywords.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil], 0)
    }

    deinit { PQfinish(handle) }

    /// The descriptor to wait on; negative once the connection is gone.
    var socket: Int32 { PQsocket(handle) }

    /// Where the connection is in a transaction.
    var transactionStatus: PGTransactionStatusType { PQtransactionStatus(handle) }

    /// Whether the next job may have it.
    var isReusable: Bool { !isSpent && transactionStatus == PQTRANS_IDLE }

    /// Reads what the server sent unasked; false if it ended the connection.
    func absorbInput() -> Bool {
        if PQconsumeInput(handle) == 0 { isSpent = true }
        // Not to know, but to make libpq look at what it read.
        _ = PQisBusy(handle)
        return !isSpent
    }

    /// Notices may quote data and nobody waits for them; libpq would print them. But as one comes also the server's
    /// last word on an idle connection.
    private func ignoreNotices() {
        let receiver: PQnoticeReceiver = { connection, notice in
            guard let connection, let notice, Answer.isFatal(notice) else { return }
            Unmanaged<Connection>.fromOpaque(connection).takeUnretainedValue().isSpent = true
        }
        // The pointer lasts as long as the connection, and libpq calls back only within calls made here.
        PQsetNoticeReceiver(handle, receiver, Unmanaged.passUnretained(self).toOpaque())
    }

    /// The next notification that has arrived.
    func nextNotification() -> (channel: String, payload: String)? {
        guard let notification = PQnotifies(handle) else { return nil }
        defer { PQfreemem(notification) }
        return (String(cString: notification.pointee.relname), String(cString: notification.pointee.extra))
    }

    /// Runs one statement, prepared the first time and from then on by name.
    func query(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) -> Answer {
        let block = try ParameterBlock(parameters)
        try checkNUL(sql)
        let wasIdle = transactionStatus == PQTRANS_IDLE
        do {
            return try runPrepared(sql, block)
        } catch {
            // After a change of the schema, or DISCARD ALL, the server refuses a statement prepared before, without
            // having run it. Within a transaction it's too late for that one.
            guard error.sqlState == .featureNotSupported || error.sqlState == .invalidSQLStatementName,
                prepared.forget(sql, block.types), wasIdle, !isSpent
            else { throw error }
            return try runPrepared(sql, block)
        }
    }

    /// Runs any number of statements without parameters and answers with the last one's result.
    @discardableResult
    func runScript(_ sql: String) throws(PostgresError) -> Answer {
        try checkNUL(sql)
        return try exchange { PQsendQuery(handle, sql) }
    }

    /// Runs one statement as a transaction of its own.
    func statement(_ sql: String, _ parameters: [PostgresValue]) throws(PostgresError) -> PostgresRows {
        do {
            return try query(sql, parameters).rows
        } catch {
            throw error.ofCommit
        }
    }

    /// Runs `body` with another limit to each statement.
    func withStatementLimit<Result>(_ limit: Duration, _ body: () throws -> Result) rethrows -> Result {
        let usual = statementLimit
        defer { statementLimit = usual }
        statementLimit = limit
        return try body()
    }

    private func runPrepared(_ sql: String, _ block: ParameterBlock) throws(PostgresError) -> Answer {
        let name: String
        if let known = prepared.name(of: sql, block.types) {
            name = known
        } else {
            if prepared.isFull {
                try runScript("DEALLOCATE ALL")
                prepared.removeAll()
            }
            name = prepared.nextName
            _ = try exchange { PQsendPrepare(handle, name, sql, Int32(block.types.count), block.types) }
            prepared.add(sql, block.types)
        }
        return try exchange {
            block.withValues { values in
                PQsendQueryPrepared(
                    handle, name, Int32(values.count), values, block.lengths, block.formats, 0)
            }
        }
    }

    private func checkNUL(_ sql: String) throws(PostgresError) {
        if sql.utf8.contains(0) {
            throw PostgresError(.invalidParameter, summary: "the statement holds a NUL")
        }
    }

    /// Sends one request and waits for its answer.
    private func exchange(_ send: () -> Int32) throws(PostgresError) -> Answer {
        if isSpent { throw PostgresError(.connectionLost) }
        if let code = interruption?.code { throw PostgresError(code) }
        let started = ContinuousClock.now
        guard send() == 1 else { throw lost() }
        var deadline = started + statementLimit
        var cancelRequested: PostgresError.Code?
        var answer = Answer()
        while true {
            guard let ready = awaitResult(until: deadline) else {
                isSpent = true
                throw PostgresError(
                    cancelRequested ?? .statementTimedOut, summary: "the server fell silent",
                    isOutcomeOpen: true)
            }
            switch ready {
            case .interrupted:
                if cancelRequested == nil, let code = interruption?.code {
                    cancelRequested = code
                    // Spent: the request may hit whatever runs on this connection later.
                    isSpent = true
                    deadline = min(deadline, .now + Self.grace)
                    CancelRequest.send(for: handle)
                }
            case .lost:
                while PQisBusy(handle) == 0, let result = PQgetResult(handle) { answer.add(result) }
                throw lost(answer.failure)
            case .result:
                guard let result = PQgetResult(handle) else {
                    return try settle(answer, took: .now - started, cancelRequested)
                }
                answer.add(result)
                if answer.isCopy {
                    isSpent = true
                    throw PostgresError(.unsupportedStatement, summary: "COPY is not supported")
                }
            }
        }
    }

    private enum Event {
        /// `PQgetResult` won't block.
        case result
        /// Somebody signalled.
        case interrupted
        /// The connection broke; what the server said before may still be in libpq's buffer.
        case lost
    }

    /// Sends what is unsent and waits; `nil` when the deadline passes.
    private func awaitResult(until deadline: ContinuousClock.Instant) -> Event? {
        while true {
            let unsent = PQflush(handle)
            if unsent < 0 { return .lost }
            if PQisBusy(handle) == 0 { return .result }
            if socket < 0 { return .lost }
            guard
                let ready = Readiness.wait(
                    socket: socket, alsoWritable: unsent > 0, wakeup: wakeup, until: deadline)
            else { return nil }
            if ready.socketReadable, PQconsumeInput(handle) == 0 { return .lost }
            if ready.woken { return .interrupted }
        }
    }

    private func settle(
        _ answer: Answer, took: Duration, _ cancelRequested: PostgresError.Code?
    ) throws(PostgresError) -> Answer {
        if PQstatus(handle) == CONNECTION_BAD { throw lost(answer.failure) }
        guard let failure = answer.failure else { return answer }
        if failure.isFatal { throw lost(failure) }
        // The server may be a standby since a failover; the next connection may find the primary.
        if failure.sqlState == .readOnlySQLTransaction { isSpent = true }
        guard failure.sqlState == .queryCanceled else { throw failure.error(.server) }
        if let cancelRequested { throw failure.error(cancelRequested) }
        // Somebody else may cancel as well, with the same SQLSTATE; only the time tells.
        throw failure.error(took >= statementTimeout ? .statementTimedOut : .server)
    }

    private func lost(_ failure: Answer.Failure? = nil) -> PostgresError {
        isSpent = true
        var error =
            failure?.error(.connectionLost)
            ?? PostgresError(
                .connectionLost, detail: String(cString: PQerrorMessage(handle)))
        error.isOutcomeOpen = true
        return error
    }
}
