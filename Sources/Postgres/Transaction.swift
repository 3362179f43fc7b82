import CLibPQ

/// A transaction under way, for use inside the closure given to `PostgresPool.transaction`, on its thread.
///
/// A statement that fails spoils the transaction: unless a savepoint was rolled back to, it ends in ROLLBACK even if
/// the closure swallows the error.
public final class Transaction {
    /// `nil` once the transaction is over.
    fileprivate var connection: Connection?
    /// The last statement's error, to be told if the closure swallowed it.
    fileprivate var failure: PostgresError?

    /// What each begins with.
    static let beginning = "BEGIN"

    /// Statements whose answers nobody waits for yet, in order.
    fileprivate var unsent: [Statement] = []
    /// How many go together at most, so that no amount of them fills the memory.
    private static let maximumUnsent = 64

    fileprivate init(_ connection: Connection) throws(PostgresError) {
        self.connection = connection
        unsent = [try Statement(Self.beginning)]
    }

    /// Runs one statement and answers with its rows.
    ///
    /// - Throws: `PostgresError`.
    public func query(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) -> PostgresRows
    {
        try query([(sql, parameters)])[0]
    }

    /// Runs statements in one round trip and answers with each one's rows. Those after one that fails are not run.
    ///
    /// - Throws: `PostgresError`: of the first that fails.
    public func query(
        _ statements: [(sql: String, parameters: [PostgresValue])]
    ) throws(PostgresError) -> [PostgresRows] {
        var checked: [Statement] = []
        for statement in statements { checked.append(try Statement(statement.sql, statement.parameters)) }
        return try send(checked).suffix(checked.count)
    }

    /// Runs one statement and answers with the number of rows it affected.
    ///
    /// - Throws: `PostgresError`.
    @discardableResult
    public func execute(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) -> Int {
        try query(sql, parameters).affected
    }

    /// Runs one statement, in its place among the others, but without a round trip of its own: it goes out with the
    /// next one whose answer is waited for, or with the commit.
    ///
    /// - Throws: `PostgresError`, if it can't be sent. If the server refuses it, the call that it goes out with throws.
    public func enqueue(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) {
        unsent.append(try Statement(sql, parameters))
        if unsent.count >= Self.maximumUnsent { _ = try send([]) }
    }

    /// Runs any number of statements without parameters.
    func runScript(_ sql: String) throws(PostgresError) {
        _ = try send([])
        try onConnection { connection throws(PostgresError) in try connection.runScript(sql) }
    }

    private func send(_ statements: [Statement]) throws(PostgresError) -> [PostgresRows] {
        try onConnection { connection throws(PostgresError) in
            defer { unsent = [] }
            return try connection.run(unsent + statements)
        }
    }

    private func onConnection<Result>(
        _ run: (Connection) throws(PostgresError) -> Result
    ) throws(PostgresError) -> Result {
        guard let connection else {
            throw PostgresError(.unsupportedStatement, summary: "the transaction is over")
        }
        do throws(PostgresError) {
            let result = try run(connection)
            // What followed would be transactions of its own.
            if connection.transactionStatus == PQTRANS_IDLE {
                throw PostgresError(
                    .unsupportedStatement,
                    summary: "a statement ended the transaction that the closure runs in")
            }
            return result
        } catch {
            failure = error
            throw error
        }
    }
}

extension Connection {
    /// Runs `body` between BEGIN and COMMIT, or ROLLBACK if it throws.
    ///
    /// - Throws: what `body` throws, or `PostgresError`.
    func transaction<Result>(_ body: (Transaction) throws -> Result) throws -> Result {
        let transaction = try Transaction(self)
        let result: Result
        do {
            result = try body(transaction)
            try checkCommittable(transaction)
            // From here on a cancelled task gets the commit's answer.
            interruption = nil
            try commit(transaction)
        } catch {
            transaction.connection = nil
            rollBack()
            throw error
        }
        transaction.connection = nil
        return result
    }

    private func checkCommittable(_ transaction: Transaction) throws(PostgresError) {
        if let code = interruption?.code { throw PostgresError(code) }
        switch transactionStatus {
        case PQTRANS_INTRANS where !isSpent: return
        // Nothing has been sent yet.
        case PQTRANS_IDLE where !isSpent && !transaction.unsent.isEmpty: return
        default: throw transaction.failure ?? PostgresError(.connectionLost)
        }
    }

    private func commit(_ transaction: Transaction) throws(PostgresError) {
        do {
            // If one of those that were not sent yet fails, COMMIT is not run.
            _ = try run(transaction.unsent + [try Statement("COMMIT")])
        } catch {
            throw error.ofCommit
        }
    }

    /// The closure's error matters; a rollback that fails spends the connection, and then the server rolls back.
    private func rollBack() {
        interruption = nil
        guard transactionStatus != PQTRANS_IDLE, !isSpent else { return }
        _ = try? runScript("ROLLBACK")
    }
}
