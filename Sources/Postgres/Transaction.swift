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

    fileprivate init(_ connection: Connection) { self.connection = connection }

    /// Runs one statement and answers with its rows.
    ///
    /// - Throws: `PostgresError`.
    public func query(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) -> PostgresRows
    {
        try onConnection { connection throws(PostgresError) in try connection.query(sql, parameters) }
    }

    /// Runs one statement and answers with the number of rows it affected.
    ///
    /// - Throws: `PostgresError`.
    @discardableResult
    public func execute(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) -> Int {
        try query(sql, parameters).affected
    }

    /// Runs any number of statements without parameters.
    func runScript(_ sql: String) throws(PostgresError) {
        _ = try onConnection { connection throws(PostgresError) in try connection.runScript(sql) }
    }

    private func onConnection(
        _ run: (Connection) throws(PostgresError) -> Answer
    ) throws(PostgresError) -> PostgresRows {
        guard let connection else {
            throw PostgresError(.unsupportedStatement, summary: "the transaction is over")
        }
        do throws(PostgresError) {
            let rows = try run(connection).rows
            // What followed would be transactions of its own.
            if connection.transactionStatus == PQTRANS_IDLE {
                throw PostgresError(
                    .unsupportedStatement,
                    summary: "a statement ended the transaction that the closure runs in")
            }
            return rows
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
        try runScript("BEGIN")
        let transaction = Transaction(self)
        let result: Result
        do {
            result = try body(transaction)
            try checkCommittable(transaction)
        } catch {
            transaction.connection = nil
            rollBack()
            throw error
        }
        transaction.connection = nil
        // From here on a cancelled task gets the commit's answer.
        interruption = nil
        do {
            try runScript("COMMIT")
        } catch {
            throw error.ofCommit
        }
        return result
    }

    private func checkCommittable(_ transaction: Transaction) throws(PostgresError) {
        if let code = interruption?.code { throw PostgresError(code) }
        switch transactionStatus {
        case PQTRANS_INTRANS where !isSpent:
            return
        default:
            throw transaction.failure ?? PostgresError(.connectionLost)
        }
    }

    /// The closure's error matters; a rollback that fails spends the connection, and then the server rolls back.
    private func rollBack() {
        interruption = nil
        guard transactionStatus != PQTRANS_IDLE, !isSpent else { return }
        _ = try? runScript("ROLLBACK")
    }
}
