import Logging
import Postgres
import PostgresTestSupport
import Synchronization
import Testing

/// Runs `body` with a pool on a database of its own.
nonisolated(nonsending) func withPool<Result: Sendable>(
    connections: Int = 4, options: String = "", configure: (inout PostgresConfiguration) -> Void = { _ in },
    _ body: nonisolated(nonsending) (PostgresPool) async throws -> Result
) async throws -> Result {
    try await PostgresCluster.shared.withDatabase(options: options) { url in
        try await withPool(url, connections: connections, configure: configure, body)
    }
}

/// Runs `body` with a pool on the database of a connection string.
nonisolated(nonsending) func withPool<Result: Sendable>(
    _ url: String, connections: Int = 4, configure: (inout PostgresConfiguration) -> Void = { _ in },
    _ body: nonisolated(nonsending) (PostgresPool) async throws -> Result
) async throws -> Result {
    var configuration = try PostgresConfiguration(url)
    configuration.maximumConnections = connections
    // As long as a busy machine may need, since a test that is about a timeout sets its own.
    configuration.acquireTimeout = .seconds(30)
    configuration.statementTimeout = .seconds(30)
    configuration.lockTimeout = .seconds(30)
    configure(&configuration)
    let pool = PostgresPool(configuration: configuration, logger: .quiet)
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body(pool)) } catch { result = .failure(error) }
    await pool.close()
    return try result.get()
}

extension Logger {
    /// Says nothing, since outages are what many tests are about.
    static var quiet: Logger { Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }) }
}

/// The error that `body` throws, which must be a `PostgresError`.
nonisolated(nonsending) func failure<Result>(
    _ body: nonisolated(nonsending) () async throws -> Result,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws -> PostgresError {
    try #require(
        await #expect(throws: PostgresError.self, sourceLocation: sourceLocation) { _ = try await body() })
}

/// Asks again and again until the answer is yes, for up to a minute: for what only another process knows.
nonisolated(nonsending) func eventually(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: nonisolated(nonsending) () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record(what, sourceLocation: sourceLocation)
}

/// Waits until that many backends of the pool's database run a statement.
nonisolated(nonsending) func untilRunning(
    _ statement: String, count: Int = 1, _ observer: PostgresPool,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    try await eventually("\(statement) didn't start", sourceLocation: sourceLocation) {
        try await backends(running: statement, observer).count >= count
    }
}

/// The process IDs of the database's backends that run a statement now.
func backends(running statement: String, _ observer: PostgresPool) async throws -> [Int] {
    try await observer.query(
        """
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'active' AND query = $1 AND pid <> pg_backend_pid()
        """, [.text(statement)]
    ).map { try $0.int("pid") }
}

/// Takes the lock that `holdingLock` holds.
let waitForLock = "SELECT pg_advisory_xact_lock(42)"

/// Runs `body` while another transaction of the database holds the lock that `waitForLock` waits for.
nonisolated(nonsending) func holdingLock<Result: Sendable>(
    _ pool: PostgresPool, _ body: nonisolated(nonsending) () async throws -> Result
) async throws -> Result {
    try await holding(pool, waitForLock, body)
}

/// Runs `body` after `statement` in a transaction that goes on for as long.
nonisolated(nonsending) func holding<Result: Sendable>(
    _ pool: PostgresPool, _ statement: String = "SELECT 1",
    _ body: nonisolated(nonsending) () async throws -> Result
) async throws -> Result {
    let (started, start) = AsyncStream.makeStream(of: Void.self)
    let isOver = Flag()
    let holder = Task {
        defer { start.finish() }
        try await pool.transaction { transaction in
            try transaction.execute(statement)
            start.finish()
            while !isOver.isSet { try transaction.execute("SELECT pg_sleep(0.01)") }
        }
    }
    for await _ in started {}
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body()) } catch { result = .failure(error) }
    isOver.set()
    try await holder.value
    return try result.get()
}

/// Tells a thread that it may end.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

extension PostgresPool {
    /// Makes a table into which an insert commits only when `waitForLock` gets its lock.
    func makeSlowTable() async throws {
        try await execute("CREATE TABLE slow (a integer)")
        try await execute(
            """
            CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END'
            """)
        try await execute(
            """
            CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION wait()
            """)
    }
}

/// The suites that use a server: one test at a time, since many are about time.
@Suite(.serialized, .timeLimit(.minutes(5))) struct OnServer {}
