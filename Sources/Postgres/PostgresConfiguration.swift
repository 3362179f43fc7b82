/// Where the database is and how long anything may take there.
public struct PostgresConfiguration: Sendable {
    /// What the connection string says, as libpq understood it.
    var parameters: [String: String]
    /// Which server took a connection last, whichever copy of this asked for it.
    let lastServer = LastServer()

    /// How many connections the pool opens at most; at least 1. Each has a thread of its own.
    public var maximumConnections = 8
    /// How many callers may wait for a connection; one more gets `tooManyWaiters`.
    public var maximumWaiters = 1024
    /// How long a caller waits for a connection before it gets `acquireTimedOut`.
    public var acquireTimeout: Duration = .seconds(5)
    /// How long the server works on one statement (`statement_timeout`) and a transaction may sit idle.
    ///
    /// A server that hasn't answered two seconds after that is given up and the connection dropped.
    public var statementTimeout: Duration = .seconds(10)
    /// How long a statement waits for a lock (`lock_timeout`).
    public var lockTimeout: Duration = .seconds(3)
    /// How long connecting to one host may take, in whole seconds of at least 2, unless the connection string
    /// says `connect_timeout`.
    public var connectTimeout: Duration = .seconds(5)
    /// The name that `pg_stat_activity` shows, unless the connection string says `application_name`.
    public var applicationName = "goclaw-nodes"

    /// Reads a libpq connection string: a URI (`postgresql://user@host/database?sslmode=verify-full`) or keywords
    /// (`host=/run/postgresql dbname=nodes`), with every parameter that libpq knows.
    ///
    /// What it doesn't say comes from libpq's environment variables and defaults.
    /// Source: PostgreSQL 15 manual, 34.1.1 "Connection Strings".
    ///
    /// - Throws: `PostgresError` with code `invalidConfiguration`. It quotes nothing of the string, which may hold
    ///   a password.
    public init(_ url: String) throws {
        parameters = try ConnectionString.parse(url)
    }

    /// The role that the connection string names; `nil` where libpq's environment or the account decides.
    public var user: String? { parameters["user"] }
}

extension PostgresConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Where the database is; no password.
    public var description: String {
        let parts = ["host", "port", "dbname", "user"].compactMap { name in
            parameters[name].map { "\(name)=\($0)" }
        }
        return "PostgreSQL(\(parts.joined(separator: " ")))"
    }

    /// As `description`.
    public var debugDescription: String { description }

    /// Empty, since the connection string may hold a password.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
