import Logging
import ServiceLifecycle

/// A connection of its own that asks the server every second whether it serves, and has the pool refuse everybody at
/// once while it doesn't.
///
/// A server that answers nobody is told from a slow statement by that within three seconds, as is one whose commits wait
/// for a standby in vain, and one that accepts no changes without every caller's trying. All of that is over a second or
/// two after the server, or another one of the connection string's, serves again.
public final class PostgresPulse: Service, Sendable {
    /// From one question to the next.
    private static let interval: Duration = .seconds(1)
    /// How long the answer may take.
    private static let patience: Duration = .milliseconds(1800)
    /// An attempt to connect that failed after this time was not refused but ran into its limit: two seconds, which
    /// libpq counts by the clock's whole seconds and so may end after little more than one.
    private static let connectPatience: Duration = .milliseconds(900)
    /// How many answers that the server accepts no changes come over one connection, where the connection string names no
    /// other server: what it names may lead to another one by now.
    private static let answersBeforeAnotherConnection = 5

    private let pool: PostgresPool
    private let configuration: PostgresConfiguration
    private let logger: Logger

    /// Watches over the pool's server when it runs.
    public init(pool: PostgresPool, logger: Logger) {
        self.pool = pool
        self.logger = logger
        var configuration = pool.configuration
        configuration.parameters["connect_timeout"] = "2"
        // A host that is gone is left for another one; a server that is frozen still acknowledges.
        configuration.parameters["tcp_user_timeout"] = "5000"
        self.configuration = configuration
    }

    /// Watches until cancelled or shut down gracefully; once only. Never ends because the database is away.
    ///
    /// - Throws: `PostgresError` if the process has no file descriptor or thread left.
    public func run() async throws {
        try await ConnectionThread.run(named: "postgres-pulse") { thread in
            var watch = Watch(pool: self.pool, logger: self.logger)
            while !thread.isStopping { self.connect(on: thread, &watch) }
            // What was accepted is still carried out, or fails by itself.
            watch.found(.serving)
        }
    }

    private func connect(on thread: ConnectionThread, _ watch: inout Watch) {
        let started = ContinuousClock.now
        do throws(PostgresError) {
            let connection = try Connection(configuration, wakeup: thread.wakeup)
            do throws(PostgresError) {
                try beat(on: connection, thread, &watch)
            } catch {
                // Where the connection broke the pool finds out by itself.
                guard connection.isAwaited else { return thread.sleep(for: Self.interval / 4) }
                if !watch.isWaiting {
                    // Where others were answered, this machine or that one is only busy.
                    if pool.hasAnswered(since: watch.asked) { return }
                    watch.found(.frozen)
                }
                connection.awaitSignOfLife { thread.isStopping }
            }
        } catch {
            if ContinuousClock.now - started >= Self.connectPatience, !pool.hasAnswered(since: started) {
                watch.found(.frozen)
            }
            thread.sleep(for: Self.interval / 2)
        }
    }

    /// Asks every second, until the thread is to stop or another connection is needed.
    private func beat(
        on connection: Connection, _ thread: ConnectionThread, _ watch: inout Watch
    ) throws(PostgresError) {
        for count in 1... {
            watch.asked = .now
            let next = watch.asked + Self.interval
            let answer = connection.withStatementLimit(Self.patience) {
                Result { () throws(PostgresError) in try connection.query(Self.question) }
            }
            guard let row = try answer.get().first else { return }
            // A session keeps the settings it began with: these have to be what was known before it began.
            let settings = try row.text("settings")
            if settings != watch.settings {
                watch.settings = settings
                return
            }
            let isStandby = try row.bool("standby")
            let isReadOnly = try row.bool("read_only")
            var isLeft = false
            if isStandby || isReadOnly {
                watch.found(.readOnly(isStandby: isStandby))
                isLeft =
                    configuration.choosesServer
                    || isStandby && count >= Self.answersBeforeAnotherConnection
            } else if try row.bool("waits") {
                watch.found(.waiting)
            } else {
                if watch.isWaiting { try commit(on: connection) }
                watch.found(.serving)
            }
            thread.sleep(for: next - .now)
            if isLeft || thread.isStopping { return }
        }
    }

    /// Commits something that changes nothing. Once that has come through, everything that was committed before it is on
    /// the standby as well.
    private func commit(on connection: Connection) throws(PostgresError) {
        let answer = connection.withStatementLimit(Self.patience) {
            Result { () throws(PostgresError) in
                try connection.query("SELECT pg_logical_emit_message(true, 'goclaw-nodes', 'pulse')")
            }
        }
        _ = try answer.get()
    }

    /// Commits of this role that wait for a standby longer than a busy one takes are seen by their wait event.
    private static let question = """
        SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only,
            (SELECT coalesce(md5(string_agg(s::text, ',' ORDER BY s::text)), '') FROM pg_db_role_setting s) AS settings,
            CASE WHEN current_setting('synchronous_standby_names') = '' THEN false
            ELSE EXISTS (SELECT FROM pg_stat_activity WHERE usename = current_user AND wait_event = 'SyncRep'
                AND query_start < clock_timestamp() - interval '2 s') END AS waits
        """

    /// What the pulse found, and what follows when it changes.
    private struct Watch {
        enum Finding: Equatable {
            case serving, frozen, waiting
            case readOnly(isStandby: Bool)
        }

        let pool: PostgresPool
        let logger: Logger
        /// A digest of what the database's and roles' sessions begin with.
        var settings: String?
        /// When the server was last asked.
        var asked = ContinuousClock.now
        private var last = Finding.serving

        /// Whether commits were last found to wait for a standby.
        var isWaiting: Bool { last == .waiting }

        init(pool: PostgresPool, logger: Logger) {
            self.pool = pool
            self.logger = logger
        }

        mutating func found(_ finding: Finding) {
            if finding == last { return }
            last = finding
            switch finding {
            case .serving:
                logger.notice("PostgreSQL serves again")
                pool.release()
            case .frozen:
                logger.error("PostgreSQL answers nobody: everything is refused until it does")
                pool.hold(
                    PostgresError(.unresponsive, summary: "the server answers nobody"), abandons: true)
            case .waiting:
                logger.error(
                    "PostgreSQL's commits wait for a standby: everything is refused until one comes through")
                pool.hold(
                    PostgresError(.unresponsive, summary: "commits wait for a standby that does not answer"),
                    abandons: true)
            case .readOnly(let isStandby):
                let reason =
                    isStandby
                    ? "the server is a standby, or was demoted to one" : "default_transaction_read_only is on"
                logger.error(
                    "PostgreSQL accepts no changes: everything is refused until it does",
                    metadata: ["reason": "\(reason)"])
                pool.hold(
                    PostgresError(
                        .server, sqlState: .readOnlySQLTransaction,
                        summary: "the database accepts no changes: \(reason)"),
                    abandons: false)
            }
        }
    }
}
