import Logging
import PairingStore
import Postgres
import ServiceLifecycle

/// Brings the database's schema up to date when a server starts, as soon as the database answers.
///
/// Until then every use case answers `UNAVAILABLE`; nothing needs a restart (I5). Where this program's role may not
/// make the schema, or not work with it, the log says what to do, and the service waits until somebody has done it.
public struct SchemaService: Service {
    let pool: PostgresPool
    let database: PostgresConfiguration
    /// Whether the program follows notifications.
    let listens: Bool
    let logger: Logger
    /// How many notifications may be missed: a stall of the database or of this machine looks like a pooler that
    /// swallows them, but passes.
    private static let silences = 2
    /// How long the service waits for whoever makes the schema before it looks again.
    private static let patience: Duration = .seconds(5)

    /// Applies what is missing, then waits for graceful shutdown.
    ///
    /// - Throws: where the schema or the database does not fit this program, or a pooler swallows notifications.
    public func run() async throws {
        try await cancelWhenGracefulShutdown { try await prepare() }
        try? await gracefulShutdown()
    }

    private func prepare() async throws {
        var silences = 0
        var lastLack: String?
        while !Task.isCancelled {
            do {
                // Before anything else: behind such a pooler nothing can be relied upon.
                try await SessionCheck.verify(database)
                if let lack = try await migrate() {
                    if lack != lastLack { logger.error("The database is not prepared: \(lack)") }
                    lastLack = lack
                    try? await Task.sleep(for: Self.patience)
                    continue
                }
                if lastLack != nil { logger.notice("The database is prepared now") }
                if listens { try await PostgresListener.verifyListenWorks(configuration: database) }
                return
            } catch let error as PostgresError where error.code == .cancelled {
                return
            } catch let error as PostgresError
                where error.code == .listenUnsupported && silences < Self.silences
            {
                silences += 1
                logger.warning(
                    "A notification did not arrive; trying again", metadata: ["error": "\(error)"])
            } catch let error as PostgresError where error.sqlState == .duplicatePreparedStatement {
                // The pool prepares each once in a session: this one was somebody else's before.
                throw SessionCheck.refusal
            } catch let error as PostgresError where error.isUnavailable || error.isRetryable {
                logger.warning("The schema waits for the database", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// - Returns: what is still missing, where this program may not add it.
    private func migrate() async throws -> String? {
        let store = PairingStore(pool: pool)
        do {
            let applied = try await MigrationRunner(migrations: Schema.migrations).migrate(pool)
            if !applied.isEmpty {
                logger.notice("The schema was brought up to date", metadata: ["applied": "\(applied)"])
            }
            return try await store.lack()
        } catch let error as PostgresError where error.isUnprepared {
            guard let lack = try await store.lack() else { throw error }
            return lack
        }
    }
}
