import ArgumentParser
import Glibc
import PairingCore

/// `nodesctl setup`
struct SetupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup",
        abstract:
            "Set up this machine after the package was installed: database, configuration, certificate, nginx, servers.",
        discussion: """
            Asks for what no option says, shows what it is going to do, and does it once it was told to go on. Each step \
            is named with the command that does it. It may be run again: what is as it should be stays, and a file that \
            somebody changed is left alone unless --replace is given, which keeps the old one beside the new.

            Example: nodesctl setup --host nodes.example.org --database local --self-signed --yes

            It is for root, on a machine with the packages goclaw-nodes and nginx, and for a local database postgresql.
            """)

    @OptionGroup var options: OperatorOptions

    @Option(help: "The name that people and devices dial, such as nodes.example.org.")
    var host: String?

    @Option(
        help:
            "\"local\" for PostgreSQL on this machine, or what the servers connect with: postgresql://ROLE@HOST/DATABASE?sslmode=verify-full."
    )
    var database: String?

    @Option(
        help:
            "What the owner of the tables connects with, for this setup alone; without it, the same as --database. A password may come from PGPASSWORD or ~/.pgpass."
    )
    var ownerDatabase: String?

    @Option(help: "The certificate of the host and those above it, in PEM.")
    var certificate: String?

    @Option(help: "The certificate's key, in PEM.")
    var certificateKey: String?

    @Flag(help: "Make a certificate, for now: browsers warn of it.")
    var selfSigned = false

    @Option(help: "How many gateways run on this machine; without it, 2.")
    var gateways: Int?

    @Option(help: "How many kernels run on this machine; without it, 2.")
    var kernels: Int?

    @Option(help: "The first administrator's account; its password is made and printed.")
    var admin = "admin"

    @Flag(help: "Replace files that say something else; the old ones stay beside them.")
    var replace = false

    @Flag(help: "Write everything, and start nothing.")
    var noStart = false

    @Flag(help: "Only say what would be done.")
    var dryRun = false

    @Flag(help: "Do it without asking.")
    var yes = false

    func validate() throws {
        guard (certificate == nil) == (certificateKey == nil) else {
            throw ValidationError(
                "--certificate and --certificate-key belong together: give both or neither.")
        }
        guard !(selfSigned && certificate != nil) else {
            throw ValidationError("Give either --self-signed or --certificate.")
        }
        guard ownerDatabase == nil || database != "local" else {
            throw ValidationError("--owner-database is for a database elsewhere; a local one needs none.")
        }
    }

    func run() async throws {
        try await reporting(asJSON: options.json) {
            guard geteuid() == 0 || dryRun else {
                throw CommandFailure(
                    .notPermitted,
                    "nodesctl setup writes to /etc and starts services: run it as root, or with --dry-run to see what it would do."
                )
            }
            let answers = try answers()
            try answers.check()
            try checkCertificate(answers)
            let shipped = try Self.shipped()
            let starts = !noStart && FileFacts(lookingAt: "/run/systemd/system").kind == .folder
            var places = SetupPlaces()
            if let path = realpath("/proc/self/exe", nil) {
                places.nodesctl = String(cString: path)
                free(path)
            }
            let plan = SetupPlan(answers, places, shipped: shipped, starts: starts)
            Terminal.complain("This will be done:\n" + plan.text)
            if dryRun { return }
            try goOn()
            let result = try await SetupRun(replaces: replace, say: { Terminal.complain("== " + $0) })(plan)
            try tell(result, answers, starts: starts)
        }
    }

    // Questions.

    private func answers() throws(CommandFailure) -> SetupAnswers {
        let database = try ask(
            database, "--database",
            "PostgreSQL: local, or postgresql://ROLE@HOST/DATABASE?sslmode=verify-full",
            suggested: "local")
        return SetupAnswers(
            host: try ask(host, "--host", "The name that people and devices dial", suggested: nil),
            database: database == "local"
                ? .local : .remote(servers: database, owner: ownerDatabase ?? database),
            certificate: try askForCertificate(),
            gateways: try number(gateways, "Gateways on this machine"),
            kernels: try number(kernels, "Kernels on this machine"), administrator: admin)
    }

    private func ask(
        _ given: String?, _ option: String, _ question: String, suggested: String?
    ) throws(CommandFailure) -> String {
        if let given { return given }
        guard Terminal.isInteractive else {
            throw CommandFailure(.usage, "\(option) is missing, and there is no terminal to ask on.")
        }
        let answer = Terminal.ask(question + (suggested.map { " [\($0)]" } ?? "") + ":") ?? ""
        guard let text = answer.isEmpty ? suggested : answer else {
            throw CommandFailure(.usage, "\(option) is missing; nothing was done.")
        }
        return text
    }

    private func askForCertificate() throws(CommandFailure) -> SetupAnswers.Certificate {
        if let certificate, let certificateKey {
            return .files(certificate: certificate, key: certificateKey)
        }
        if selfSigned { return .selfSigned }
        let path = try ask(
            nil, "--certificate or --self-signed", "The certificate's file (PEM), or self-signed",
            suggested: "self-signed")
        if path == "self-signed" { return .selfSigned }
        return .files(
            certificate: path, key: try ask(nil, "--certificate-key", "Its key's file", suggested: nil))
    }

    private func number(_ given: Int?, _ question: String) throws(CommandFailure) -> Int {
        if let given { return given }
        guard Terminal.isInteractive, !yes else { return 2 }
        let answer = try ask(nil, "the number", question, suggested: "2")
        guard let number = Int(answer) else {
            throw CommandFailure(.usage, "\(terminalText(answer)) is no number; nothing was done.")
        }
        return number
    }

    private func goOn() throws(CommandFailure) {
        if yes { return }
        guard Terminal.isInteractive else {
            throw CommandFailure(.usage, "There is no terminal to ask on. Add --yes.")
        }
        guard ["y", "yes"].contains(Terminal.ask("Go on? [y/N]")?.lowercased()) else {
            throw CommandFailure(.refused, "Nothing was done.")
        }
    }

    // What there is.

    private func checkCertificate(_ answers: SetupAnswers) throws(CommandFailure) {
        guard case .files(let certificate, let key) = answers.certificate else { return }
        for path in [certificate, key] {
            let file = FileFacts(lookingAt: path)
            guard path.hasPrefix("/"), file.kind == .file,
                !path.contains(where: { " ;{}'\"\\$\n".contains($0) })
            else {
                throw CommandFailure(
                    .usage,
                    "\(terminalText(path)) is no file that nginx can be told; expected its whole path, such as "
                        + "/etc/letsencrypt/live/\(answers.host)/fullchain.pem.")
            }
        }
    }

    /// nginx's configuration, as the package has it.
    private static func shipped() throws(CommandFailure) -> (nginx: String, snippets: [String: String]) {
        let folder = "/usr/share/goclaw-nodes/nginx"
        var snippets: [String: String] = [:]
        for name in ["gateway.conf", "http.conf", "kernel.conf", "site.conf"] {
            snippets[name] = try text(of: "\(folder)/snippets/\(name)")
        }
        return (try text(of: folder + "/production.conf"), snippets)
    }

    private static func text(of path: String) throws(CommandFailure) -> String {
        guard let bytes = contents(of: path) else {
            throw CommandFailure(
                .notFound, "\(path) is not there. Install the package goclaw-nodes, which has it.")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func tell(_ result: SetupRun.Result, _ answers: SetupAnswers, starts: Bool) throws {
        let address = "https://\(answers.host)/nodes"
        var lines: [String] = []
        if let password = result.password {
            lines += ["account: \(answers.administrator)", "password: \(password)"]
        }
        if !starts {
            lines.append("nothing was started: there is no systemd here, or --no-start was given")
        } else if result.isHealthy {
            lines.append("ready: \(address)")
        } else {
            lines.append("not ready: see above; nodesctl doctor says it again")
        }
        try Terminal.print(
            options.json
                ? JSONValue.object([
                    "url": .string(address), "username": .string(answers.administrator),
                    "password": result.password.map(JSONValue.string) ?? .null, "started": .bool(starts),
                    "healthy": .bool(starts && result.isHealthy),
                ]).text : lines.joined(separator: "\n"))
        if !result.isHealthy { throw ExitCode(ExitStatus.failure.rawValue) }
    }
}

extension SetupPlan {
    /// The steps as a person reads them before they are taken.
    var text: String {
        steps.map { step in
            switch step {
            case .folder(let path, _): "  make the folder \(path)"
            case .file(let file): "  write \(file.path)"
            case .run(let command, let why): "  \(why): \(command.text)"
            case .certificate(_, let make): "  make a certificate of our own, for now: \(make.text)"
            case .administrator(let name, let command): "  make the account \(name): \(command.text)"
            case .doctor(let command): "  wait until nothing is wrong: \(command.text)"
            }
        }
        .joined(separator: "\n")
    }
}
