/// Where the parts of an installation are on a Debian machine.
struct SetupPlaces: Equatable, Sendable {
    /// The account of the servers, which the package makes.
    static let account = "goclaw-nodes"
    /// Where the shipped nginx configuration has the certificate.
    static let shippedTLS = "/etc/goclaw-nodes/tls"

    var configuration = "/etc/goclaw-nodes/nodes.json"
    var tls = shippedTLS
    var nginx = "/etc/nginx/nginx.conf"
    var snippets = "/etc/nginx/snippets"
    var postgresSocket = "/var/run/postgresql"
    /// This program.
    var nodesctl = "/usr/bin/nodesctl"
}

/// One thing that `nodesctl setup` does.
enum SetupStep: Equatable, Sendable {
    case folder(String, mode: UInt32)
    /// A file with this text.
    case file(SetupFile)
    /// A command; one that fails ends the setup, with what it said.
    case run(SystemCommand, why: String)
    /// Makes a certificate and its key with the second command, unless the first says that the one there is is for the
    /// host.
    case certificate(look: SystemCommand, make: SystemCommand)
    /// Makes the administrator's account with a password that is told at the end, unless there is one of that name.
    case administrator(String, SystemCommand)
    /// Waits until `nodesctl doctor` finds no error.
    case doctor(SystemCommand)
}

/// A file that `nodesctl setup` writes.
struct SetupFile: Equatable, Sendable {
    var path: String
    var text: String
    var mode: UInt32
    /// The group that may read it; nobody else does where the mode says so.
    var group = "root"
    /// The Debian package whose own, unchanged file may be replaced without asking.
    var stockOf: String?
}

/// Everything that `nodesctl setup` does, in order, for given answers. Every step may be taken again.
struct SetupPlan: Equatable, Sendable {
    var steps: [SetupStep]

    /// - Parameters:
    ///   - shipped: the text of the shipped nginx configuration, and the snippets by their names.
    ///   - starts: whether the servers and nginx are started.
    init(
        _ answers: SetupAnswers, _ places: SetupPlaces = SetupPlaces(),
        shipped: (nginx: String, snippets: [String: String]), starts: Bool
    ) {
        steps = Self.database(answers, places)
        steps.append(
            .file(
                SetupFile(
                    path: places.configuration, text: SetupFiles.configuration(answers, places), mode: 0o640,
                    group: SetupPlaces.account)))
        steps += Self.certificate(answers, places)
        for (name, text) in shipped.snippets.sorted(by: { $0.key < $1.key }) {
            steps.append(.file(SetupFile(path: "\(places.snippets)/\(name)", text: text, mode: 0o644)))
        }
        steps.append(
            .file(
                SetupFile(
                    path: places.nginx, text: SetupFiles.nginx(shipped.nginx, answers, places), mode: 0o644,
                    stockOf: "nginx-common")))
        steps.append(
            .run(
                SystemCommand(words: ["nginx", "-t", "-c", places.nginx]), why: "check nginx's configuration")
        )
        if starts { steps += Self.start(answers, places) }
    }

    private static func database(_ answers: SetupAnswers, _ places: SetupPlaces) -> [SetupStep] {
        var steps: [SetupStep] = []
        let owner: SystemCommand
        var migrate = ["migrate"]
        switch answers.database {
        case .local:
            steps.append(
                .run(
                    SystemCommand(
                        words: asPostgres(["psql", "-v", "ON_ERROR_STOP=1", "-q", "-d", "postgres"]),
                        input: roles),
                    why: "make the roles nodes_owner and \(SetupPlaces.account), and the database nodes"))
            // The owner of the tables signs in nowhere: PostgreSQL's own account acts for it.
            owner = SystemCommand(
                words: asPostgres([places.nodesctl]),
                environment: [
                    "DATABASE_URL":
                        "postgresql:///nodes?host=\(places.postgresSocket)&user=postgres&options=-c%20role%3Dnodes_owner",
                    "NODES_CONFIG": "",
                ])
            migrate += ["--grant-to", SetupPlaces.account]
        case .remote(let servers, let url):
            owner = SystemCommand(
                words: [places.nodesctl], environment: ["DATABASE_URL": url, "NODES_CONFIG": ""])
            // Whoever owns the tables needs no right to them.
            if servers != url, let role = answers.serversRole { migrate += ["--grant-to", role] }
        }
        func asOwner(_ arguments: [String]) -> SystemCommand {
            var command = owner
            command.words += arguments
            return command
        }
        steps.append(
            .run(
                asOwner(migrate),
                why: "bring the schema up to date, and give the servers the rights they need"))
        steps.append(
            .administrator(
                answers.administrator,
                asOwner(["admin", "create", answers.administrator, "--password-stdin"])))
        return steps
    }

    private static func asPostgres(_ words: [String]) -> [String] {
        ["runuser", "-u", "postgres", "--"] + words
    }

    /// What there is already stays as it is.
    private static let roles = """
        SELECT 'CREATE ROLE nodes_owner NOLOGIN'
            WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nodes_owner') \\gexec
        SELECT 'CREATE ROLE "\(SetupPlaces.account)" LOGIN'
            WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '\(SetupPlaces.account)') \\gexec
        SELECT 'CREATE DATABASE nodes OWNER nodes_owner ENCODING ''UTF8'' TEMPLATE template0'
            WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'nodes') \\gexec

        """

    private static func certificate(_ answers: SetupAnswers, _ places: SetupPlaces) -> [SetupStep] {
        guard answers.certificate == .selfSigned else { return [] }
        let (certificate, key) = (places.tls + "/fullchain.pem", places.tls + "/privkey.pem")
        // One that is there is kept, so that whoever trusts it already goes on doing so. The key is readable by root alone:
        // openssl sees to that.
        return [
            .folder(places.tls, mode: 0o755),
            .certificate(
                look: SystemCommand(
                    words: ["openssl", "x509", "-in", certificate, "-noout", "-checkhost", answers.host]),
                make: SystemCommand(
                    words: [
                        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days",
                        "365", "-subj", "/CN=\(answers.host)", "-addext",
                        "subjectAltName=DNS:\(answers.host)", "-keyout",
                        key, "-out", certificate,
                    ])),
        ]
    }

    private static func start(_ answers: SetupAnswers, _ places: SetupPlaces) -> [SetupStep] {
        let units =
            (0..<answers.gateways).map { "goclaw-gateway@\($0)" }
            + (0..<answers.kernels).map { "goclaw-kernel@\($0)" }
        return [
            .run(
                SystemCommand(words: ["systemctl", "enable", "--now", "goclaw-nodes.target"] + units),
                why: "start the servers, now and with the machine"),
            // Whatever it served before, it reads the new configuration; one that stands still begins.
            .run(
                SystemCommand(words: ["systemctl", "enable", "nginx"]), why: "start nginx with the machine"),
            .run(
                SystemCommand(words: ["systemctl", "reload-or-restart", "nginx"]),
                why: "have nginx read its configuration"),
            .doctor(SystemCommand(words: [places.nodesctl, "--config", places.configuration, "doctor"])),
        ]
    }
}
