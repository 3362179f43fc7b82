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
    /// It was given up while the server had not answered: a process of the server may still be at work.
    private(set) var isAwaited = false
    /// Whose answer nobody waits for any more makes even a commit give up.
    var abandonment: Abandonment?
    /// The span of the current job, where it is recorded.
    var trace: StatementTrace?

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
            // What libpq says of a connection quotes no data, and whoever waits for one has to know it.
            throw PostgresError(.connectionFailed, summary: String(cString: PQerrorMessage(handle)))
        }
        ignoreNotices()
        try checkEncoding()
        do {
            try runScript(configuration.sessionSettings)
        } catch {
            throw PostgresError(
                .connectionFailed, sqlState: error.sqlState,
                summary: "the server refused the session's settings",
                detail: error.detail)
        }
        configuration.lastServer.took(
            ServerAddress(
                host: PQhost(handle).map { String(cString: $0) } ?? "",
                port: PQport(handle).map { String(cString: $0) } ?? ""))
    }

    /// Any other encoding can't hold what devices are called, or holds it unchecked.
    private func checkEncoding() throws(PostgresError) {
        guard let encoding = PQparameterStatus(handle, "server_encoding").map({ String(cString: $0) }),
            encoding != "UTF8"
        else { return }
        let name = PQdb(handle).map { SQLText.identifier(String(cString: $0)) } ?? "nodes"
        throw PostgresError(
            .invalidConfiguration,
            summary: """
                the database's encoding is \(encoding), and UTF8 is needed; make one in its place, under this name or \
                another: CREATE DATABASE \(name) ENCODING 'UTF8' TEMPLATE template0
                """)
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

    /// Runs one statement.
    func query(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) -> PostgresRows {
        let statement = try Statement(sql, parameters)
        let wasIdle = transactionStatus == PQTRANS_IDLE
        do {
            return try run([statement])[0]
        } catch {
            // The server has not run it. Within a transaction it's too late for that one.
            guard wasIdle, !isSpent, error.isOutdatedStatement else { throw error }
            return try run([statement])[0]
        }
    }

    /// Runs statements in one round trip; those after one that fails are not run. Each is prepared the first time and
    /// from then on run by name.
    ///
    /// - Returns: each statement's rows.
    func run(_ statements: [Statement]) throws(PostgresError) -> [PostgresRows] {
        guard let trace else { return try send(statements) }
        trace.sends(statements)
        // Within a transaction that has begun the server knows.
        guard transactionStatus == PQTRANS_IDLE else { return try send(statements) }
        var named = statements
        let place = statements.first?.sql == Transaction.beginning ? 1 : 0
        named.insert(try trace.naming(), at: place)
        var rows = try send(named)
        rows.remove(at: place)
        return rows
    }

    private func send(_ statements: [Statement]) throws(PostgresError) -> [PostgresRows] {
        if !prepared.hasRoom(for: statements.count) {
            try runScript("DEALLOCATE ALL")
            prepared.removeAll()
        }
        var steps: [Request.Step] = []
        for statement in statements {
            let (name, isNew) = prepared.use(statement)
            if isNew { steps.append(.prepare(statement, name: name)) }
            steps.append(.execute(statement, name: name))
        }
        var answers: [Answer] = []
        var failure: PostgresError?
        do {
            (answers, failure) = try exchange(.pipeline(steps))
        } catch {
            failure = error
        }
        if let failure {
            for case .prepare(let statement, _) in steps[answers.count...] { prepared.forget(statement) }
            switch failure.sqlState {
            // Prepared before a change of the schema.
            case .featureNotSupported?: prepared.forget(steps[answers.count].statement)
            // Prepared before DISCARD ALL.
            case .invalidSQLStatementName?: prepared.removeAll()
            default: break
            }
            throw failure
        }
        return zip(steps, answers).compactMap { step, answer in
            if case .execute = step { answer.rows } else { nil }
        }
    }

    /// Runs any number of statements without parameters.
    func runScript(_ sql: String) throws(PostgresError) {
        if let failure = try exchange(.script(try Statement(sql).sql)).failure { throw failure }
    }

    /// Runs one statement as a transaction of its own.
    func statement(_ sql: String, _ parameters: [PostgresValue]) throws(PostgresError) -> PostgresRows {
        do {
            return try query(sql, parameters)
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

    /// Sends a request and waits for its answers.
    ///
    /// - Returns: the answers of what succeeded, and the error of what didn't.
    /// - Throws: when the connection can't be used any more, or the request was not sent.
    private func exchange(
        _ request: Request
    ) throws(PostgresError) -> (answers: [Answer], failure: PostgresError?) {
        if isSpent { throw PostgresError(.connectionLost) }
        if let code = interruption?.code { throw PostgresError(code) }
        if abandonment?.isRequested == true { throw PostgresError(.unresponsive) }
        let started = ContinuousClock.now
        guard request.send(on: handle) else { throw lost() }
        var deadline = started + statementLimit
        var cancelRequested: PostgresError.Code?
        var reply = Reply(to: request)
        var failure: PostgresError?
        while !reply.isComplete {
            guard let ready = awaitResult(until: deadline) else {
                throw givenUp(cancelRequested ?? .statementTimedOut)
            }
            switch ready {
            case .interrupted:
                if abandonment?.isRequested == true { throw givenUp(.unresponsive) }
                if cancelRequested == nil, let code = interruption?.code {
                    cancelRequested = code
                    // Spent: the request may hit whatever runs on this connection later.
                    isSpent = true
                    deadline = min(deadline, .now + Self.grace)
                    CancelRequest.send(for: handle)
                }
            case .lost:
                throw lost(lastWords(reply))
            case .result:
                let count = reply.answers.count
                reply.add(PQgetResult(handle))
                if reply.current.isCopy {
                    isSpent = true
                    throw PostgresError(.unsupportedStatement, summary: "COPY is not supported")
                }
                guard reply.answers.count > count else { continue }
                if let said = reply.answers[count].failure, failure == nil {
                    if said.isFatal { throw lost(said) }
                    failure = error(said, took: .now - started, cancelRequested)
                }
                // The server's timeout is for each statement anew.
                if cancelRequested == nil { deadline = .now + statementLimit }
            }
        }
        if PQstatus(handle) == CONNECTION_BAD { throw lost(reply.failure) }
        if case .pipeline = request, PQexitPipelineMode(handle) == 0 { throw lost() }
        return (Array(reply.answers.prefix { $0.failure == nil }), failure)
    }

    /// The error the server sent before the connection broke, if it did.
    private func lastWords(_ reply: Reply) -> Answer.Failure? {
        var reply = reply
        // libpq says "nothing" after each answer, and nothing else once it has no more.
        var wasNothing = false
        while reply.failure == nil, PQisBusy(handle) == 0 {
            let result = PQgetResult(handle)
            if result == nil, wasNothing { break }
            wasNothing = result == nil
            reply.add(result)
        }
        return reply.failure
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

    private func error(
        _ failure: Answer.Failure, took: Duration, _ cancelRequested: PostgresError.Code?
    ) -> PostgresError {
        // The server may be a standby since a failover; the next connection may find the primary.
        if failure.sqlState == .readOnlySQLTransaction { isSpent = true }
        guard failure.sqlState == .queryCanceled else { return failure.error(.server) }
        if let cancelRequested { return failure.error(cancelRequested) }
        // Somebody else may cancel as well, with the same SQLSTATE; only the time tells.
        return failure.error(took >= statementTimeout ? .statementTimedOut : .server)
    }

    /// Stops waiting for an answer, and asks the server to stop as well: a commit that waits for a standby knows no
    /// time limit, and would do so for ever.
    private func givenUp(_ code: PostgresError.Code) -> PostgresError {
        isSpent = true
        isAwaited = true
        // A commit that is cancelled while it waits for a standby can be seen by others, though it may yet be lost with
        // its server. Where the pulse found out, the other processes' pulses get the time to find out as well.
        if code != .unresponsive { CancelRequest.send(for: handle) }
        return PostgresError(code, summary: "the server fell silent", isOutcomeOpen: true)
    }

    /// Waits until the server has answered, or ended, what was given up: until then its process is occupied, and
    /// another connection would only add one more (`isAwaited`).
    ///
    /// - Parameter isOver: whether to stop waiting; looked at whenever somebody signals.
    func awaitSignOfLife(unless isOver: () -> Bool) {
        while isAwaited, !isOver() {
            guard let ready = Readiness.wait(socket: socket, wakeup: wakeup, until: .now + Self.grace) else {
                // The request may have been swallowed, as by a server that is frozen.
                CancelRequest.send(for: handle)
                continue
            }
            if ready.socketReadable || socket < 0 { isAwaited = false }
        }
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
