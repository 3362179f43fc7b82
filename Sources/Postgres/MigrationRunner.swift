/// Brings a database's schema to what this program knows.
///
/// Applied steps are recorded in the table `schema_migrations`. Any number of runners may work at once: an advisory
/// lock lets one at a time apply a step.
public struct MigrationRunner: Sendable {
    /// What is applied and what isn't.
    public struct Status: Sendable, Hashable {
        /// The names of the applied steps, by number.
        public let applied: [String]
        /// The names of the steps still to apply, by number.
        public let pending: [String]
    }

    private let migrations: [Migration]

    /// Takes the steps in any order.
    ///
    /// - Precondition: they are numbered 1, 2, 3, …
    public init(migrations: [Migration]) {
        self.migrations = migrations.sorted { $0.number < $1.number }
    }

    /// Applies every step that isn't applied, each in a transaction of its own, and answers with their names.
    ///
    /// - Throws: `PostgresError`; with code `migration` if the schema is newer than this program, or a recorded
    ///   step isn't the one this program knows.
    public func migrate(_ pool: PostgresPool) async throws -> [String] {
        []
    }

    /// Compares without changing anything.
    ///
    /// - Throws: like `migrate`.
    public func status(_ pool: PostgresPool) async throws -> Status {
        Status(applied: [], pending: [])
    }
}
