/// Compares the steps a program knows with those a database has recorded.
struct MigrationPlan {
    /// A row of `schema_migrations`.
    struct Record: Sendable {
        let number: Int
        let name: String
        let checksum: String
    }

    /// The steps still to apply, in order.
    let pending: ArraySlice<Migration>

    /// - Parameters:
    ///   - known: the program's steps, numbered 1, 2, 3, …, with the SHA-256 of each one's SQL.
    ///   - recorded: in order of their numbers.
    /// - Throws: `PostgresError` with code `migration` where they contradict each other.
    init(known: [(migration: Migration, checksum: String)], recorded: [Record]) throws(PostgresError) {
        for (index, record) in recorded.enumerated() {
            guard index < known.count else {
                throw Self.error(
                    """
                    the schema is newer than this program: the database has step \(record.number) \
                    ("\(record.name)"), this program knows \(known.count); use a newer program
                    """)
            }
            let (migration, checksum) = known[index]
            guard record.number == migration.number else {
                throw Self.error(
                    """
                    the database has recorded step \(record.number) ("\(record.name)") but not step \
                    \(migration.number) ("\(migration.name)") before it; restore schema_migrations
                    """)
            }
            guard record.name == migration.name, record.checksum == checksum else {
                throw Self.error(
                    """
                    step \(record.number) isn't the one that was applied: the database has "\(record.name)" with \
                    SHA-256 \(record.checksum), this program has "\(migration.name)" with \(checksum); use the \
                    program that belongs to this database
                    """)
            }
        }
        pending = known.dropFirst(recorded.count).map(\.migration)[...]
    }

    private static func error(_ summary: String) -> PostgresError {
        PostgresError(.migration, summary: summary)
    }
}
