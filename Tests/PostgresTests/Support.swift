import Logging
import Postgres
import PostgresTestSupport

/// Runs `body` with a pool on a database of its own.
nonisolated(nonsending) func withPool<Result: Sendable>(
    connections: Int = 4, configure: (inout PostgresConfiguration) -> Void = { _ in },
    _ body: nonisolated(nonsending) (PostgresPool) async throws -> Result
) async throws -> Result {
    try await PostgresCluster.shared.withDatabase { url in
        var configuration = try PostgresConfiguration(url)
        configuration.maximumConnections = connections
        configure(&configuration)
        let pool = PostgresPool(configuration: configuration, logger: Logger(label: "test"))
        let result: Swift.Result<Result, any Error>
        do { result = .success(try await body(pool)) } catch { result = .failure(error) }
        await pool.close()
        return try result.get()
    }
}
