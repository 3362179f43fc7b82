import PairingCore
import PairingStore
import Testing

@testable import nodesctl

@Suite("What nodesctl doctor finds")
struct DoctorChecksTests {
    /// One mistake, and the check that has to find it.
    struct Mistake: Sendable, CustomTestStringConvertible {
        var name: String
        var check: String
        var severity: Finding.Severity
        var plant: @Sendable (inout DoctorSample) -> Void

        init(
            _ name: String, _ check: String, _ severity: Finding.Severity,
            _ plant: @escaping @Sendable (inout DoctorSample) -> Void
        ) {
            self.name = name
            self.check = check
            self.severity = severity
            self.plant = plant
        }

        var testDescription: String { name }

        /// A text of nginx's configuration in the place of another.
        static func nginx(
            _ check: String, _ severity: Finding.Severity, _ found: String, _ put: String
        ) -> Mistake {
            Mistake("nginx: \(found) is \(put)", check, severity) { sample in
                sample.nginx = sample.nginx.replacing(found, with: put)
            }
        }
    }

    @Test("Where everything is as it should be nothing is found")
    func healthy() {
        #expect(DoctorSample().findings == [])
    }

    @Test(
        "Each mistake is found, by its check alone, with what is expected and what to do", arguments: mistakes
    )
    func planted(mistake: Mistake) {
        var sample = DoctorSample()
        mistake.plant(&sample)
        let findings = sample.findings
        #expect(!findings.isEmpty)
        for finding in findings {
            #expect(finding.check == mistake.check && finding.severity == mistake.severity)
            #expect(!finding.found.isEmpty && !finding.advice.isEmpty)
            #expect(finding.severity == .skipped || !finding.expected.isEmpty)
        }
    }

    @Test("A standby or a silent database hides nothing else that is wrong")
    func together() {
        var sample = DoctorSample()
        sample.database.condition = .failure(.init(text: "connection refused"))
        sample.configuration.file?.mode = 0o644
        sample.sockets[0].listener = .stale
        #expect(
            Set(sample.findings.map(\.check)) == [
                "database.connection", "configuration.file", "socket.listener",
            ])
    }

    @Test("Errors end with 1, warnings only where the command is strict")
    func statuses() {
        let warning = Finding.warning("a", "b", found: "c", expected: "d", advice: "e")
        let error = Finding.error("a", "b", found: "c", expected: "d", advice: "e")
        #expect(Diagnosis(findings: []).status(isStrict: true) == .success)
        #expect(Diagnosis(findings: [warning]).status(isStrict: false) == .success)
        #expect(Diagnosis(findings: [warning]).status(isStrict: true) == .failure)
        #expect(Diagnosis(findings: [.ok("a", "b", "c"), error]).status(isStrict: false) == .failure)
    }

    @Test("What a file or server says cannot steer the terminal (I7), and errors come first")
    func text() {
        let diagnosis = Diagnosis(findings: [
            .ok("b", "file", "fine"),
            .error("a", "x\u{1B}[2J", found: "no\nline", expected: "d", advice: "e"),
        ])
        #expect(
            diagnosis.text == """
                error: a: x\\u{1b}[2J: no\\u{a}line
                    expected: d
                    do: e
                ok: b: file: fine

                1 error.
                """)
        #expect(diagnosis.json["errors"] == .integer(1))
    }

    // The mistakes.

    private static let mistakes = configuration + sockets + nginx + database

    private static let configuration: [Mistake] = [
        Mistake("the configuration can be read by all", "configuration.file", .error) {
            $0.configuration.file?.mode = 0o644
        },
        Mistake("the configuration can be written by the group", "configuration.file", .error) {
            $0.configuration.file?.mode = 0o660
        },
        Mistake("the servers may not read the configuration", "configuration.file", .error) {
            $0.configuration.file?.mode = 0o600
        },
        Mistake("the configuration is not there", "configuration.file", .error) {
            $0.configuration.file?.kind = .unreachable("No such file or directory")
        },
        Mistake("a value is refused", "configuration.values", .error) {
            $0.configuration.problems = ["gateway.sokets is not a setting"]
        },
        Mistake("an origin is not secure", "configuration.origins", .error) {
            $0.configuration.settings?.origins = ["http://nodes.example.org"].compactMap { Origin($0) }
            $0.nginx = $0.nginx.replacing("listen 443 ssl http2;", with: "listen 443 ssl http2; listen 80;")
        },
        Mistake("the templates are missing", "configuration.templates", .error) {
            $0.configuration.templates?.kind = .unreachable("No such file or directory")
        },
        Mistake("an agent's key is for all to read", "agents.key_file", .error) {
            $0.configuration.keyFiles[0].file.mode = 0o644
        },
        Mistake("an agent's key is empty", "agents.key_file", .error) {
            $0.configuration.keyFiles[0].file.size = 0
        },
        Mistake("the servers may not read an agent's key", "agents.key_file", .error) {
            $0.configuration.keyFiles[0].file.owner = 0
        },
    ]

    private static let sockets: [Mistake] = [
        Mistake("a socket is stale", "socket.listener", .error) { $0.sockets[0].listener = .stale },
        Mistake("a socket is missing", "socket.path", .error) {
            $0.sockets[2].file.kind = .unreachable("No such file or directory")
        },
        Mistake("a file is where a socket should be", "socket.path", .error) {
            $0.sockets[1].file.kind = .file
        },
        Mistake("a socket's path is too long", "socket.path", .error) {
            $0.sockets[1].file.path = "/run/" + String(repeating: "x", count: 103)
            $0.sockets[1].file.kind = .unreachable("File name too long")
        },
        Mistake("anybody may connect to a socket", "socket.mode", .error) {
            $0.sockets[1].file.mode = 0o666
        },
        Mistake("nginx's workers may not connect", "socket.mode", .error) { $0.webAccount.groups = [33] },
        Mistake("a gateway may open too few files", "process.open_files", .warning) {
            $0.sockets[0].listener = .present(.init(pid: 1, user: 900, openFiles: 1024))
        },
    ]

    private static let nginx: [Mistake] = [
        .nginx("nginx.configuration", .error, "events {", "events"),
        .nginx("nginx.site", .error, "/ws", "/socket"),
        .nginx("nginx.websocket_timeouts", .error, "proxy_read_timeout 120s;", ""),
        .nginx("nginx.websocket_timeouts", .error, "proxy_send_timeout 2m", "proxy_send_timeout 75s"),
        .nginx("nginx.websocket_headers", .error, "proxy_set_header Host $http_host;", ""),
        .nginx("nginx.websocket_headers", .error, "$remote_addr", "$http_x_forwarded_for"),
        .nginx("nginx.websocket_headers", .error, "proxy_http_version 1.1;", ""),
        .nginx("nginx.fastcgi_keep_conn", .error, "fastcgi_pass", "fastcgi_keep_conn on; fastcgi_pass"),
        .nginx("nginx.page_timeout", .warning, "fastcgi_read_timeout 60s", "fastcgi_read_timeout 10s"),
        .nginx("nginx.body_size", .warning, "client_max_body_size 64k", "client_max_body_size 1k"),
        .nginx("nginx.body_size", .warning, "client_max_body_size 64k", "client_max_body_size 0"),
        .nginx(
            "nginx.http3", .error, "listen 443 ssl http2;", "listen 443 ssl http2; listen 443 quic;"
        ),
        .nginx("nginx.pages", .warning, "location / {", "location /nodes {"),
        .nginx("nginx.upstreams", .warning, "gateway-1.sock max_fails=0", "gateway-1.sock"),
        .nginx("nginx.status_listener", .error, "listen 127.0.0.1:8081", "listen 8081"),
        .nginx("nginx.worker_connections", .warning, "worker_connections 32768", "worker_connections 1024"),
        .nginx("nginx.open_files", .warning, "worker_rlimit_nofile 65536;", ""),
        .nginx("nginx.open_files", .warning, "worker_rlimit_nofile 65536;", "worker_rlimit_nofile 1024;"),
        .nginx("nginx.worker_shutdown_timeout", .warning, "worker_shutdown_timeout 5m;", ""),
        .nginx("nginx.worker_shutdown_timeout", .warning, "timeout 5m", "timeout 2d"),
        Mistake("nothing listens where an origin is dialled", "nginx.origins", .warning) {
            $0.configuration.settings?.origins = ["https://nodes.example.org:8443"].compactMap { Origin($0) }
        },
        Mistake("a certificate is about to end", "nginx.certificate", .warning) {
            $0.certificate.content = .success(
                .init(
                    notBefore: Timestamp(milliseconds: 0), notAfter: DoctorSample.now + .seconds(86_400 * 5),
                    missingHosts: []))
        },
        Mistake("a certificate has ended", "nginx.certificate", .error) {
            $0.certificate.content = .success(
                .init(
                    notBefore: Timestamp(milliseconds: 0), notAfter: DoctorSample.now + .seconds(-1),
                    missingHosts: []))
        },
        Mistake("a certificate names another host", "nginx.certificate", .warning) {
            $0.certificate.content = .success(
                .init(
                    notBefore: Timestamp(milliseconds: 0), notAfter: DoctorSample.now + .seconds(86_400 * 50),
                    missingHosts: ["nodes.example.org"]))
        },
        Mistake("a certificate is not there", "nginx.certificate", .error) {
            $0.certificate.content = .failure(.init(text: "it cannot be read"))
        },
        Mistake("a certificate's key is for all to read", "nginx.certificate_key", .error) {
            $0.certificate.key?.mode = 0o644
        },
    ]

    private static let database: [Mistake] = [
        Mistake("the database does not answer", "database.connection", .error) {
            $0.database.condition = .failure(.init(text: "connection refused"))
        },
        Mistake("PostgreSQL is too old", "database.version", .error) {
            $0.spoilDatabase { $0.version = 130_012 }
        },
        Mistake("the encoding is another", "database.encoding", .error) {
            $0.spoilDatabase { $0.encoding = "SQL_ASCII" }
        },
        Mistake("the server is a standby", "database.writable", .error) {
            $0.spoilDatabase { $0.isStandby = true }
        },
        Mistake("the database is read-only", "database.writable", .error) {
            $0.spoilDatabase { $0.isReadOnly = true }
        },
        Mistake("commits are lost in a crash", "database.synchronous_commit", .warning) {
            $0.spoilDatabase { $0.synchronousCommit = "off" }
        },
        Mistake("fsync is off", "database.fsync", .error) { $0.spoilDatabase { $0.fsync = false } },
        Mistake("full_page_writes is off", "database.full_page_writes", .warning) {
            $0.spoilDatabase { $0.fullPageWrites = false }
        },
        Mistake("autovacuum is off", "database.autovacuum", .warning) {
            $0.spoilDatabase { $0.autovacuum = false }
        },
        // 3 processes of 9, 2 that listen, and 10: 39 beside the 3 that are reserved.
        Mistake("there are too few connections", "database.max_connections", .warning) {
            $0.spoilDatabase { $0.maximumConnections = 41 }
        },
        Mistake("other machines' gateways count", "database.max_connections", .warning) {
            $0.spoilDatabase { $0.gateways = 20 }
        },
        Mistake("the clocks differ", "database.clock", .warning) { $0.database.clockAhead = .seconds(-5) },
        Mistake("the clocks differ much", "database.clock", .error) { $0.database.clockAhead = .seconds(90) },
        Mistake("the role is a superuser", "database.role", .warning) {
            $0.spoilDatabase { $0.isSuperuser = true }
        },
        Mistake("the role owns the tables", "database.role", .warning) {
            $0.spoilDatabase { $0.ownsEvents = true }
        },
        Mistake("the role may delete events", "database.role", .warning) {
            $0.spoilDatabase { $0.eventRights = ["DELETE"] }
        },
        Mistake("the schema is older", "database.schema", .error) { $0.database.lack = "step 2 of 5" },
        Mistake("notifications do not arrive", "database.listen", .error) {
            $0.database.listenProblem = "none arrived"
        },
        Mistake("the connection is in clear", "database.encryption", .warning) {
            $0.spoilDatabase { $0.isRemote = true }
        },
        Mistake("the disk is nearly full", "database.disk", .warning) {
            $0.database.disk?.freeBytes = 900 << 20
        },
        Mistake("the disk is full", "database.disk", .error) { $0.database.disk?.freeBytes = 0 },
        Mistake("nobody knows where the disk is", "database.disk", .skipped) { $0.database.disk = nil },
    ]

    @Test("41 connections are too few for the sample and 42 are enough")
    func connections() {
        var sample = DoctorSample()
        sample.spoilDatabase { $0.maximumConnections = 42 }
        #expect(sample.findings == [])
    }
}
