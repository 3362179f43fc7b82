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

    /// The key of the advisory lock: "nodesmig" in ASCII.
    private static let lockKey: Int64 = 0x6E6F_6465_736D_6967
    /// How long one step may take, and how long a runner waits for another.
    private static let limit: Duration = .seconds(3600)

    private let migrations: [Migration]

    /// Takes the steps in any order.
    ///
    /// - Precondition: they are numbered 1, 2, 3, …
    public init(migrations: [Migration]) {
        self.migrations = migrations.sorted { $0.number < $1.number }
        precondition(
            self.migrations.enumerated().allSatisfy { $0.element.number == $0.offset + 1 },
            "migrations are numbered 1, 2, 3, …")
    }

    /// Applies every step that isn't applied, each in a transaction of its own, and answers with their names.
    ///
    /// A step may take up to an hour, and so may waiting for another runner; but no longer than the usual lock
    /// timeout does a step wait for a table that others use.
    ///
    /// - Throws: `PostgresError`; with code `migration` if the schema is newer than this program, a recorded step
    ///   isn't the one this program knows, or a step failed. The steps before that one stay applied.
    public func migrate(_ pool: PostgresPool) async throws -> [String] {
        var applied: [String] = []
        let lockTimeout = pool.configuration.lockTimeout.milliseconds
        while let name = try await pool.transaction(
            statementLimit: Self.limit, { try applyNext($0, lockTimeout: lockTimeout) })
        {
            applied.append(name)
        }
        return applied
    }

    /// Compares without changing anything.
    ///
    /// - Throws: like `migrate`.
    public func status(_ pool: PostgresPool) async throws -> Status {
        try await pool.transaction { transaction in
            let pending = try plan(transaction).pending.map(\.name)
            return Status(
                applied: migrations.dropLast(pending.count).map(\.name), pending: pending)
        }
    }

    /// - Returns: the name of the step that was applied; `nil` if there was none left.
    private func applyNext(_ transaction: Transaction, lockTimeout: Int32) throws(PostgresError) -> String? {
        try transaction.runScript("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        try transaction.enqueue("SELECT pg_advisory_xact_lock($1)", [.int64(Self.lockKey)])
        guard let migration = try plan(transaction).pending.first else { return nil }
        try transaction.runScript("SET LOCAL lock_timeout = \(lockTimeout)")
        do {
            if try !hasTable(transaction) { try transaction.runScript(Self.table) }
            try transaction.runScript(migration.sql)
            try transaction.execute(
                """
                INSERT INTO schema_migrations (number, name, checksum)
                VALUES ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'))
                """, [.int(migration.number), .text(migration.name), .text(migration.sql)])
        } catch {
            if error.isUnavailable { throw error }
            throw PostgresError(
                .migration, sqlState: error.sqlState, constraint: error.constraint,
                summary:
                    "step \(migration.number) (\"\(migration.name)\") failed: \(error.summary ?? error.code.description)",
                detail: error.detail)
        }
        return migration.name
    }

    private static let table = """
        CREATE TABLE schema_migrations (
            number integer PRIMARY KEY,
            name text NOT NULL,
            checksum text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """

    private func hasTable(_ transaction: Transaction) throws(PostgresError) -> Bool {
        let rows = try transaction.query("SELECT to_regclass('schema_migrations') IS NOT NULL AS present")
        return try rows.first?.bool("present") ?? false
    }

    private func plan(_ transaction: Transaction) throws(PostgresError) -> MigrationPlan {
        let checksums = try transaction.query(
            """
            SELECT encode(sha256(convert_to(sql, 'UTF8')), 'hex') AS checksum
            FROM unnest($1) WITH ORDINALITY AS step (sql, number) ORDER BY number
            """, [.texts(migrations.map(\.sql))])
        var known: [(migration: Migration, checksum: String)] = []
        for (migration, row) in zip(migrations, checksums) {
            known.append((migration, try row.text("checksum")))
        }
        var recorded: [MigrationPlan.Record] = []
        if try hasTable(transaction) {
            let rows = try transaction.query(
                "SELECT number, name, checksum FROM schema_migrations ORDER BY number")
            for row in rows {
                recorded.append(
                    MigrationPlan.Record(
                        number: try row.int("number"), name: try row.text("name"),
                        checksum: try row.text("checksum")))
            }
        }
        return try MigrationPlan(known: known, recorded: recorded)
    }
}
