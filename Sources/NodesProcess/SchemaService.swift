import Logging
import PairingStore
import Postgres
import ServiceLifecycle

/// Brings the database's schema up to date when a server starts, as soon as the database answers.
///
/// Until then every use case answers `UNAVAILABLE`; nothing needs a restart (I5).
public struct SchemaService: Service {
    let pool: PostgresPool
    let database: PostgresConfiguration?
    let logger: Logger
    /// How many notifications may be missed: a stall of the database or of this machine looks like a pooler that
    /// swallows them, but passes.
    private static let silences = 2

    /// Applies what is missing, then waits for graceful shutdown.
    ///
    /// - Throws: where the schema does not fit this program, or a pooler swallows notifications.
    public func run() async throws {
        try await cancelWhenGracefulShutdown {
            var silences = 0
            while !Task.isCancelled {
                do {
                    let applied = try await MigrationRunner(migrations: Schema.migrations).migrate(pool)
                    if !applied.isEmpty {
                        logger.notice(
                            "The schema was brought up to date", metadata: ["applied": "\(applied)"])
                    }
                    if let database { try await PostgresListener.verifyListenWorks(configuration: database) }
                    break
                } catch let error as PostgresError where error.code == .cancelled {
                    break
                } catch let error as PostgresError
                    where error.code == .listenUnsupported && silences < Self.silences
                {
                    silences += 1
                    logger.warning(
                        "A notification did not arrive; trying again", metadata: ["error": "\(error)"])
                } catch let error as PostgresError where error.isUnavailable || error.isRetryable {
                    logger.warning("The schema waits for the database", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        }
        try? await gracefulShutdown()
    }
}
