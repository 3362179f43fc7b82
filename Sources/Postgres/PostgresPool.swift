import Logging
import ServiceLifecycle

/// Connections to one database, shared by any number of tasks.
///
/// Each connection lives on a thread of its own; callers only suspend. The pool opens connections as they are
/// needed, replaces broken ones, and while the server is away refuses at once (`connectionFailed`) and keeps trying
/// by itself. It works from its creation on; `run()` ties its end to a service group.
public final class PostgresPool: Service, Sendable {
    /// Makes a pool; opens no connection yet.
    public init(configuration: PostgresConfiguration, logger: Logger) {
    }

    /// Waits until the pool is to end, then closes it.
    ///
    /// On graceful shutdown the pool serves what is running and waiting, and what these still ask for, and then
    /// closes. On cancellation it closes at once: what waits gets `shuttingDown`, what runs is cancelled.
    /// Never returns or throws because the database is away.
    public func run() async throws {
        try await gracefulShutdown()
    }

    /// Closes at once, as a cancelled `run()` does; returns when no transaction runs any more.
    public func close() async {}

    /// Runs `body` as one transaction, `BEGIN` to `COMMIT`, READ COMMITTED.
    ///
    /// `body` is synchronous and runs on the connection's own thread: it may take its time but must not wait for
    /// other tasks. If it throws, everything is rolled back and its error thrown on. Cancelling the calling task
    /// cancels the wait for a connection and the running statement, but not a commit under way.
    ///
    /// - Throws: whatever `body` throws; `PostgresError` otherwise, of which `commitOutcomeUnknown` alone leaves
    ///   open whether the transaction happened.
    public func transaction<Result: Sendable>(
        _ body: @escaping @Sendable (Transaction) throws -> Result
    ) async throws -> Result {
        throw PostgresError(.shuttingDown)
    }

    /// Runs one statement as a transaction of its own and answers with its rows.
    ///
    /// - Throws: `PostgresError`. If the connection breaks before the answer it's `commitOutcomeUnknown`, since
    ///   the statement may have taken effect.
    public func query(_ sql: String, _ parameters: [PostgresValue] = []) async throws -> PostgresRows {
        throw PostgresError(.shuttingDown)
    }

    /// Runs one statement as a transaction of its own and answers with the number of rows it affected.
    ///
    /// - Throws: like `query`.
    @discardableResult
    public func execute(_ sql: String, _ parameters: [PostgresValue] = []) async throws -> Int {
        try await query(sql, parameters).affected
    }

    /// Asks the server for a sign of life; succeeds or throws within about two seconds.
    ///
    /// - Throws: `PostgresError`.
    public func ping() async throws {
    }
}
