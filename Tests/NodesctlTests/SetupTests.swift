import FoundationEssentials
import PairingCore
import Testing

@testable import nodesctl

@Suite("nodesctl setup")
struct SetupTests {
    private let answers = SetupAnswers(
        host: "nodes.example.org", database: .local,
        certificate: .files(
            certificate: "/etc/goclaw-nodes/tls/fullchain.pem", key: "/etc/goclaw-nodes/tls/privkey.pem"),
        gateways: 2, kernels: 2, administrator: "admin")

    /// What the package has, which is what the repository has.
    private func shipped() throws -> String {
        try String(contentsOfFile: root + "/nginx/production.conf", encoding: .utf8)
    }

    private var root: String { #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } }

    private func steps(_ answers: SetupAnswers, starts: Bool = true) throws -> [SetupStep] {
        SetupPlan(answers, shipped: (try shipped(), ["site.conf": "root x;\n"]), starts: starts).steps
    }

    private func file(_ path: String, in steps: [SetupStep]) -> SetupFile? {
        for case .file(let file) in steps where file.path == path { return file }
        return nil
    }

    @Test("The host, certificate and numbers of the shipped nginx configuration give it back byte for byte")
    func shippedConfiguration() throws {
        #expect(SetupFiles.nginx(try shipped(), answers, SetupPlaces()) == (try shipped()))
    }

    @Test("nginx is told every server once, and of none that is not there", arguments: [1, 2, 5])
    func numbers(count: Int) throws {
        var answers = answers
        answers.gateways = count
        answers.kernels = 6 - count
        answers.host = "pair.example.net"
        answers.certificate = .files(certificate: "/tls/chain.pem", key: "/tls/key.pem")
        let text = SetupFiles.nginx(try shipped(), answers, SetupPlaces())
        var parser = NginxParser { _ throws(NginxParser.Problem) in [] }
        let sites = NginxSites(try parser.parse(text, named: "nginx.conf"))
        #expect(
            sites.sockets(of: "proxy_pass") == (0..<count).map { "/run/goclaw-nodes/gateway-\($0).sock" })
        #expect(
            sites.sockets(of: "fastcgi_pass") == (0..<6 - count).map { "/run/goclaw-nodes/kernel-\($0).sock" }
        )
        for (kind, number) in [("gateway", count), ("kernel", 6 - count)] {
            for index in 0..<6 {
                let locations = text.split(separator: "\n").filter {
                    $0.contains("location ~ ^/\(kind)/\(index)/(")
                }
                #expect(locations.count == (index < number ? 1 : 0), "\(kind) \(index)")
            }
        }
        #expect(
            !text.contains("example.org") && text.contains("return 308 https://pair.example.net$request_uri;")
        )
        #expect(
            text.contains("ssl_certificate /tls/chain.pem;")
                && text.contains("ssl_certificate_key /tls/key.pem;"))
    }

    @Test("The servers' file names the database, the origin and nothing that only setup needs")
    func configuration() throws {
        var answers = answers
        answers.database = .remote(
            servers: "postgresql://nodes:se\"cret@db.example.org/nodes",
            owner: "postgresql://owner@db.example.org/nodes")
        let file = try #require(file("/etc/goclaw-nodes/nodes.json", in: try steps(answers)))
        let json = try JSONValue(parsing: file.text.utf8)
        #expect(json["database"]?["url"] == .string("postgresql://nodes:se\"cret@db.example.org/nodes"))
        #expect(json["gateway"]?["public_origins"] == .array([.string("https://nodes.example.org")]))
        #expect(!file.text.contains("owner@"))
        #expect(file.mode == 0o640 && file.group == "goclaw-nodes")
    }

    @Test("No command line holds a connection string of a database elsewhere, which may hold a password")
    func secrets() throws {
        var answers = answers
        answers.database = .remote(
            servers: "postgresql://nodes:one@db.example.org/nodes",
            owner: "postgresql://owner:two@db.example.org/nodes")
        let plan = SetupPlan(answers, shipped: (try shipped(), [:]), starts: true)
        #expect(!plan.text.contains("one@") && !plan.text.contains("two@"))
        #expect(plan.text.contains("--grant-to nodes"))
    }

    @Test("Where the servers connect as the owner of the tables, nothing has to be granted")
    func ownersOwn() throws {
        var answers = answers
        let url = "postgresql://nodes@db.example.org/nodes"
        answers.database = .remote(servers: url, owner: url)
        #expect(!SetupPlan(answers, shipped: (try shipped(), [:]), starts: true).text.contains("--grant-to"))
    }

    @Test("Nothing is started where that was not wanted, and every server where it was")
    func starting() throws {
        func commands(_ starts: Bool) throws -> [[String]] {
            try steps(answers, starts: starts).compactMap { step in
                if case .run(let command, _) = step { command.words } else { nil }
            }
        }
        #expect(try !commands(false).contains { $0[0] == "systemctl" })
        #expect(
            try commands(true).contains(
                [
                    "systemctl", "enable", "--now", "goclaw-nodes.target", "goclaw-gateway@0",
                    "goclaw-gateway@1",
                    "goclaw-kernel@0", "goclaw-kernel@1",
                ]))
    }

    @Test(
        "What is no host name is refused with the name and an example",
        arguments: [
            "", "Nodes.example.org", "https://nodes.example.org", "nodes.example.org:443", "192.0.2.7",
            "-a.example",
            "a..b", "a b", "x;y", "nodes.example.org/", String(repeating: "a", count: 64) + ".org",
        ])
    func badHost(host: String) {
        var answers = answers
        answers.host = host
        #expect {
            try answers.check()
        } throws: { error in
            let failure = error as? CommandFailure
            return failure?.status == .usage && failure?.message.contains("nodes.example.org") == true
        }
    }

    @Test("A connection string without a role, or that is none, is refused without repeating it")
    func badDatabase() {
        for (servers, owner) in [
            ("db.example.org:secret", "x"),
            ("postgresql://db.example.org/nodes", "postgresql://o:secret@db.example.org/nodes"),
        ] {
            var answers = answers
            answers.database = .remote(servers: servers, owner: owner)
            #expect {
                try answers.check()
            } throws: { error in
                let failure = error as? CommandFailure
                return failure?.status == .usage && failure?.message.contains("secret") == false
            }
        }
    }

    @Test("A program is given its input and environment, and its output and status come back")
    func commands() throws {
        let echo = SystemCommand(
            words: ["sh", "-c", "cat; echo $WORD; echo bad >&2; exit 3"], input: "hello\n",
            environment: ["WORD": "world"])
        #expect(try echo.run() == .init(status: 3, output: "hello\nworld\nbad\n"))
        #expect(try SystemCommand(words: ["sh", "-c", "kill -9 $$"]).run().status == 137)
        #expect {
            try SystemCommand(words: ["no-such-program-of-ours"]).run()
        } throws: {
            ($0 as? CommandFailure)?.message.contains("no-such-program-of-ours cannot be run") == true
        }
        #expect(SystemCommand(words: ["a", "b c", "it's", ""]).text == "a 'b c' 'it'\\''s' ''")
    }

    @Test(
        "A file that somebody changed is left alone before anything is done, and kept beside the new one where told"
    )
    func replacing() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/setup-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/nodes.json"
        try "theirs".write(toFile: path, atomically: false, encoding: .utf8)
        var plan = SetupPlan(answers, shipped: ("", [:]), starts: false)
        plan.steps = [
            .folder(folder + "/made", mode: 0o755), .file(SetupFile(path: path, text: "ours", mode: 0o640)),
        ]
        await #expect {
            _ = try await SetupRun(replaces: false, say: { _ in })(plan)
        } throws: { error in
            (error as? CommandFailure)?.message.contains("--replace") == true
        }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "theirs")
        #expect(!FileManager.default.fileExists(atPath: folder + "/made"))
    }
}
