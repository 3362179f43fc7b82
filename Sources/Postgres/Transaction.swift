/// A transaction under way, for use inside the closure given to `PostgresPool.transaction`, on its thread.
///
/// A statement that fails spoils the transaction: unless a savepoint was rolled back to, it ends in ROLLBACK even if
/// the closure swallows the error.
public final class Transaction {
    /// Runs one statement and answers with its rows.
    ///
    /// - Throws: `PostgresError`.
    public func query(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) -> PostgresRows
    {
        throw PostgresError(.shuttingDown)
    }

    /// Runs one statement and answers with the number of rows it affected.
    ///
    /// - Throws: `PostgresError`.
    @discardableResult
    public func execute(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) -> Int {
        try query(sql, parameters).affected
    }
}
