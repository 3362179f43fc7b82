import PairingCore
import Testing

@testable import Agents

@Suite("The directory of agents")
struct AgentDirectoryTests {
    private func directory() throws -> AgentDirectory {
        try AgentDirectory(
            [EchoAgent(name: "support"), EchoAgent(name: "sales"), EchoAgent(name: "sensors")],
            defaults: [try #require(ChannelID("web")): "support"])
    }

    @Test("An agent is found by its name, and the built-in one is always there")
    func names() throws {
        let directory = try directory()
        #expect(directory.names == ["echo", "sales", "sensors", "support"])
        for name in directory.names { #expect(try directory.agent(named: name).name == name) }
    }

    @Test("A channel's devices have its agent, those of another channel the built-in one")
    func defaults() throws {
        let directory = try directory()
        #expect(directory.defaultAgent(for: try #require(ChannelID("web"))).name == "support")
        #expect(directory.defaultAgent(for: try #require(ChannelID("iot"))).name == "echo")
    }

    @Test("A configured agent of the built-in one's name replaces it")
    func replaced() async throws {
        let limited = LimitedAgent(EchoAgent(name: "echo"))
        let directory = try AgentDirectory([limited])
        #expect(try directory.agent(named: "echo") is LimitedAgent)
        #expect(directory.defaultAgent(for: try #require(ChannelID("web"))) is LimitedAgent)
        #expect(directory.reports.map(\.name) == ["echo"])
    }

    @Test(
        "A name that is not configured is refused with the closest that are",
        arguments: [
            ("suport", ["support"]), ("Support", ["support"]), ("sale", ["sales"]),
            ("", []), ("weather-station", []),
        ])
    func unknown(name: String, closest: [String]) throws {
        let directory = try directory()
        let error = #expect(throws: AgentDirectory.UnknownAgent.self) { try directory.agent(named: name) }
        #expect(error?.closest == closest)
        #expect(error?.description.contains("“\(name)”") == true)
        for name in closest { #expect(error?.description.contains(name) == true) }
    }

    @Test("A default that is no agent is refused")
    func unknownDefault() throws {
        let channel = try #require(ChannelID("web"))
        #expect(throws: AgentDirectory.UnknownAgent.self) {
            try AgentDirectory([EchoAgent(name: "support")], defaults: [channel: "sales"])
        }
    }

    @Test("The built-in agent answers a message with itself")
    func echo() async throws {
        let request = AgentRequest(
            key: "k", channel: try #require(ChannelID("web")), senderID: try #require(SenderID("t")),
            body: #"{"b":1.50}"#)
        #expect(try await EchoAgent().answer(request) { _ in } == .reply(#"{"b":1.50}"#))
    }
}
