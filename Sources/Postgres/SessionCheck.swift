import Synchronization

/// Whether a connection is a session of the server's: what one sets is there for it alone, and stays.
///
/// Behind a pooler that gives connections out by transaction it is neither, and then nothing holds that this module rests
/// on: prepared statements, the session's settings, LISTEN.
/// Source: PgBouncer manual, "SQL feature map for pooling modes".
public enum SessionCheck {
    /// What the check itself raises where it finds a pooler; no condition of PostgreSQL's has it.
    private static let found = SQLState("GC001")

    /// Looks, by two connections, in milliseconds.
    ///
    /// - Throws: `PostgresError` with code `sessionUnsupported` behind such a pooler; another one if the database is away.
    public static func verify(_ configuration: PostgresConfiguration) async throws {
        let outcome = Mutex<Result<Void, PostgresError>>(.failure(PostgresError(.cancelled)))
        try await ConnectionThread.run(named: "postgres-check") { thread in
            let result = Result { () throws(PostgresError) in
                try look(configuration, wakeup: thread.wakeup)
            }
            outcome.withLock { $0 = result }
        }
        try outcome.withLock { $0 }.get()
    }

    /// What is thrown where it is not.
    public static let refusal = PostgresError(
        .sessionUnsupported,
        summary: """
            a connection is no session of its own: a pooler between here and PostgreSQL gives connections out by \
            transaction or by statement; let database.url lead to PostgreSQL itself, or to a pooler in session mode
            """)

    private static func look(_ configuration: PostgresConfiguration, wakeup: Wakeup) throws(PostgresError) {
        let first = try Connection(configuration, wakeup: wakeup)
        let second = try Connection(configuration, wakeup: wakeup)
        do {
            // While others use the same pooler the first may be given back, by chance, what it had.
            for _ in 0..<8 { try look(first, second) }
        } catch {
            // One that gives connections out by statement refuses BEGIN as a violation of the protocol.
            guard error.sqlState == found || error.sqlState == .protocolViolation else { throw error }
            throw refusal
        }
    }

    private static func look(_ first: Connection, _ second: Connection) throws(PostgresError) {
        let token = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        try first.runScript("SET goclaw.session = '\(token)'")
        // It holds one of the server's sessions until it ends: the one that the first was given, or the first has to be
        // given another.
        try second.runScript("BEGIN")
        let setting = "current_setting('goclaw.session', true)"
        try second.runScript(raise(where: "\(setting) = '\(token)'"))
        try first.runScript(raise(where: "\(setting) IS DISTINCT FROM '\(token)'"))
        try second.runScript("COMMIT")
    }

    private static func raise(where condition: String) -> String {
        """
        DO $$ BEGIN IF \(condition) THEN
            RAISE EXCEPTION USING ERRCODE = '\(found.code)', MESSAGE = 'pooled';
        END IF; END $$
        """
    }
}
