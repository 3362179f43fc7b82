import Agents
import Foundation
import NodesConfiguration
import PairingCore
import Testing

@testable import NodesProcess

@Suite("Agents of the configuration")
struct ConfiguredAgentsTests {
    private func configuration(_ agents: String) async throws -> NodesConfiguration {
        let file = FileManager.default.temporaryDirectory.appending(
            component: "nodes-\(UUID().uuidString).json")
        try Data(agents.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try await NodesConfiguration.load(
            file: file.path(), environment: ["DATABASE_URL": "postgresql:///nodes"], for: .command)
    }

    /// What is said against agents; their names where nothing is.
    private func made(_ json: String, _ environment: [String: String] = [:]) async throws -> String {
        let http = AgentHTTP()
        let agents = ConfiguredAgents(
            try await configuration(json), environment: environment, http: http, clock: { .now })
        let said: String
        do {
            said = try agents.directory().names.joined(separator: ", ")
        } catch {
            said = error.description
        }
        try await http.shutdown()
        return said
    }

    private static let openai =
        #"{"agents": {"a": {"type": "openai", "url": "http://a", "model": "m", "key_env": "A_KEY"}}}"#
    private static let webhook =
        #"{"agents": {"a": {"type": "webhook", "url": "http://a", "key_env": "A_KEY"}}}"#

    @Test("An operator who configures an agent's address alone gets the agents' own defaults")
    func defaults() async throws {
        let configured = try #require(try await configuration(Self.openai).agents["a"])
        let own = OpenAIAgent.Settings(url: "http://a", model: "m")
        #expect(String(describing: OpenAIAgent.Settings(configured, key: nil)) == String(describing: own))
        #expect(LimitedAgent.Limits(configured) == LimitedAgent.Limits())
        let webhook = try #require(try await configuration(Self.webhook).agents["a"])
        #expect(AgentTimes(webhook) == WebhookAgent.Settings(url: "http://a", secret: []).times)
        #expect(AgentDirectory.builtIn == NodesConfiguration.defaultAgent)
    }

    @Test("Every agent that is configured is there, and the built-in one")
    func directory() async throws {
        #expect(try await made(Self.openai, ["A_KEY": "sk-1"]) == "a, echo")
        #expect(try await made("{}") == "echo")
    }

    @Test(
        "A key that is not there or is none is said with its setting, and not repeated",
        arguments: [
            (openai, [:], "agents.a.key_env: the variable A_KEY is not set, or empty"),
            (openai, ["A_KEY": ""], "agents.a.key_env: the variable A_KEY is not set, or empty"),
            (
                openai, ["A_KEY": "sk-secret\nX-Header: 1"],
                "agents.a.key_env: the variable A_KEY does not hold one line"
            ),
            (webhook, ["A_KEY": "sk-secret"], "agents.a: the secret is not of the form whsec_"),
        ])
    func variables(json: String, environment: [String: String], problem: String) async throws {
        let said = try await made(json, environment)
        #expect(said.contains(problem), "\(said)")
        #expect(!said.contains("sk-secret"))
    }

    @Test(
        "A key's file may be read by its group, and by nobody else",
        arguments: [
            (0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o660, false), (0o604, false),
        ])
    func modes(mode: Int, isFine: Bool) async throws {
        let said = try await madeWithFile("sk-secret\n", mode: mode)
        #expect((said == "a, echo") == isFine, "\(said)")
        if !isFine { #expect(said.contains("has the mode \(String(mode, radix: 8))")) }
    }

    @Test("A byte order mark is no part of a key")
    func byteOrderMark() async throws {
        #expect(try await madeWithFile("\u{FEFF}sk-secret\r\n", mode: 0o600) == "a, echo")
        #expect(try await made(Self.openai, ["A_KEY": "\u{FEFF}sk-secret"]) == "a, echo")
    }

    @Test(
        "A file that holds no key is refused, and its content not repeated",
        arguments: [
            "", "\n", "sk-secret\nsk-secret", "sk secret", "sk-secr\u{E9}t",
            String(repeating: "k", count: 17_000),
        ])
    func contents(text: String) async throws {
        let said = try await madeWithFile(text, mode: 0o600)
        #expect(said.hasPrefix("agents.a.key_file: /"))
        #expect(!said.contains("secr") && !said.contains("kkk"))
    }

    @Test("What is no file is refused, and does not keep the start waiting")
    func noFile() async throws {
        let folder = FileManager.default.temporaryDirectory
        let pipe = folder.appending(component: "nodes-\(UUID().uuidString)").path()
        #expect(mkfifo(pipe, 0o600) == 0)
        defer { try? FileManager.default.removeItem(atPath: pipe) }
        for (path, reason) in [
            (pipe, "is not a file"), (folder.path(), "is not a file"),
            ("/nowhere", "cannot be opened: No such file"),
        ] {
            let said = try await made(Self.withFile(path))
            #expect(said.contains("agents.a.key_file: \(path) \(reason)"), "\(said)")
        }
    }

    private static func withFile(_ path: String) -> String {
        openai.replacing(#""key_env": "A_KEY""#, with: #""key_file": "\#(path)""#)
    }

    private func madeWithFile(_ text: String, mode: Int) async throws -> String {
        let path = FileManager.default.temporaryDirectory.appending(component: "nodes-\(UUID().uuidString)")
            .path()
        try Data(text.utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await made(Self.withFile(path))
    }
}
