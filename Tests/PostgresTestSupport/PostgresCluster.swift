import Foundation

/// A private PostgreSQL server in a folder of its own, reachable through a unix socket in that folder only.
///
/// It's removed when the test process ends, however it ends.
public actor PostgresCluster {
    /// The folder of data, log and socket.
    public nonisolated let folder: String
    /// Part of the socket's name, and the TCP port where there is one.
    public nonisolated let port: Int
    /// The file of the server's certificate, where it has one; made out to 127.0.0.1 and signed by itself.
    public nonisolated var certificate: String { "\(folder)/data/server.crt" }
    private let programs: Programs
    private var templates: [String: Task<Void, any Error>] = [:]
    private var databases = 0

    private init(folder: String, port: Int, programs: Programs) {
        self.folder = folder
        self.port = port
        self.programs = programs
    }

    private static let first = Task { try await PostgresCluster.launch() }

    /// The cluster of this test process, started when first asked for.
    public static var shared: PostgresCluster {
        get async throws { try await first.value }
    }

    /// Starts one more cluster, for a test that stops it or wants TLS.
    ///
    /// - Parameter tlsPort: the port of 127.0.0.1 on which it takes TLS connections as well.
    public static func launch(tlsPort: Int? = nil) async throws -> PostgresCluster {
        let programs = try Programs.find()
        let folder = try makeFolder(programs)
        try await programs.run(
            "initdb",
            [
                "-D", "\(folder)/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
                "--no-sync",
            ])
        let port = tlsPort ?? 5432
        if tlsPort != nil { try await makeCertificate(in: "\(folder)/data", programs) }
        let settings = """

            listen_addresses = '\(tlsPort == nil ? "" : "127.0.0.1")'
            port = \(port)
            ssl = \(tlsPort == nil ? "off" : "on")
            unix_socket_directories = '\(folder)'
            max_connections = 300
            fsync = off
            full_page_writes = off
            shared_buffers = 32MB
            max_prepared_transactions = 4
            deadlock_timeout = 100ms
            """
        let cluster = PostgresCluster(folder: folder, port: port, programs: programs)
        try cluster.append(settings, to: "\(folder)/data/postgresql.conf")
        try await cluster.start()
        return cluster
    }

    /// A folder for a server, which is stopped, and the folder removed, when the test process ends.
    private static func makeFolder(_ programs: Programs) throws -> String {
        // Short, since the path of a unix socket has at most 107 bytes.
        var template = Array("/tmp/gcpg-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Spawn.Failure("mkdtemp: errno \(errno)") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if let account = programs.account, let entry = getpwnam(account) {
            guard chown(folder, entry.pointee.pw_uid, entry.pointee.pw_gid) == 0 else {
                throw Spawn.Failure("chown \(folder): errno \(errno)")
            }
        }
        let stop = programs.commandLine("pg_ctl", ["-D", "\(folder)/data", "-m", "immediate", "-w", "stop"])
        try Spawn.atEnd("\(stop.joined(separator: " ")); rm -rf \(folder)")
        return folder
    }

    /// Starts a standby that streams from this server.
    ///
    /// - Parameter name: what this server knows it by, as in `synchronous_standby_names`.
    public func launchStandby(named name: String) async throws -> PostgresCluster {
        let folder = try Self.makeFolder(programs)
        try await programs.run(
            "pg_basebackup",
            [
                "-D", "\(folder)/data",
                "-d", "host=\(self.folder) port=\(port) user=postgres application_name=\(name)",
                "-R", "-c", "fast", "--no-sync", "-X", "stream",
            ])
        let standby = PostgresCluster(folder: folder, port: port, programs: programs)
        try standby.append("\nunix_socket_directories = '\(folder)'\n", to: "\(folder)/data/postgresql.conf")
        try await standby.start()
        return standby
    }

    /// Makes a standby the primary, and waits until it is.
    public func promote() async throws {
        try await programs.run("pg_ctl", ["-D", "\(folder)/data", "-w", "-s", "promote"])
    }

    private static func makeCertificate(in folder: String, _ programs: Programs) async throws {
        try await programs.run(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                "-keyout", "\(folder)/server.key", "-out", "\(folder)/server.crt",
            ])
    }

    private nonisolated func append(_ text: String, to path: String) throws {
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
    }

    /// Starts the server and waits until it takes connections.
    public func start() async throws {
        try await programs.run(
            "pg_ctl", ["-D", "\(folder)/data", "-l", "\(folder)/log", "-w", "-s", "start"])
    }

    /// Stops the server at once, as a crash would, and waits until it's gone.
    public func stop() async throws {
        try await programs.run("pg_ctl", ["-D", "\(folder)/data", "-m", "immediate", "-w", "-s", "stop"])
    }

    /// Stops every process of the server where it is, as a host that hangs would; `thaw` lets them go on.
    public nonisolated func freeze() throws { try signal(SIGSTOP) }

    /// Ends `freeze`.
    public nonisolated func thaw() throws { try signal(SIGCONT) }

    /// The postmaster comes first, so that no process is added meanwhile.
    private nonisolated func signal(_ number: Int32) throws {
        let file = try String(contentsOfFile: "\(folder)/data/postmaster.pid", encoding: .utf8)
        guard let postmaster = file.split(separator: "\n").first.flatMap({ pid_t($0) }) else {
            throw Spawn.Failure("no process ID in \(folder)/data/postmaster.pid")
        }
        kill(postmaster, number)
        for process in try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap({ pid_t($0) })
        {
            // The parent follows the name in parentheses and the state.
            guard let facts = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
                let end = facts.lastIndex(of: ")"),
                facts[end...].split(separator: " ").dropFirst(2).first == "\(postmaster)"
            else { continue }
            kill(process, number)
        }
    }

    /// Stops the server and removes everything.
    public func remove() async throws {
        try await stop()
        try FileManager.default.removeItem(atPath: folder)
    }

    /// The connection string of a database.
    public nonisolated func url(_ database: String = "postgres", user: String = "postgres") -> String {
        "postgresql:///\(database)?host=\(folder)&port=\(port)&user=\(user)"
    }

    /// Creates an empty database, or a copy of another one, and answers with its name.
    public func createDatabase(template: String = "template0", options: String = "") async throws -> String {
        databases += 1
        let name = "test_\(databases)"
        try await administer("CREATE DATABASE \(name) TEMPLATE \(template) \(options)")
        return name
    }

    /// Runs `body` with the connection string of a database of its own, which is dropped afterwards.
    public nonisolated(nonsending) func withDatabase<Result: Sendable>(
        template: String = "template0", options: String = "",
        _ body: nonisolated(nonsending) (String) async throws -> Result
    ) async throws -> Result {
        let name = try await createDatabase(template: template, options: options)
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(url(name)))
        } catch {
            result = .failure(error)
        }
        try await administer("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
        return try result.get()
    }

    /// Prepares a database to copy, once per name, and answers with the name: for a schema that many tests start
    /// from. Nothing may be connected to it when `prepare` returns.
    public func template(
        _ name: String, prepare: @escaping @Sendable (_ url: String) async throws -> Void
    ) async throws -> String {
        let task =
            templates[name]
            ?? Task {
                try await administer("CREATE DATABASE \(name) TEMPLATE template0")
                try await prepare(url(name))
            }
        templates[name] = task
        try await task.value
        return name
    }

    /// Runs statements as the superuser with `psql`, apart from the code under test, and answers with their rows.
    @discardableResult
    public nonisolated func administer(_ sql: String, database: String = "postgres") async throws -> String {
        try await programs.run(
            "psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url(database), "-c", sql])
    }
}
