import Agents
import PairingCore
import Testing

@testable import PairingKernel

@Suite("What gateways say of their agents")
struct AgentsReportTests {
    private struct FailingAgent: Agent {
        let name = "support"

        func answer(
            _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
        ) async throws(AgentFailure) -> AgentAnswer {
            throw AgentFailure(.refused, "It says:\u{202E} \u{1B}[31mno")
        }
    }

    private func directory() async throws -> AgentDirectory {
        let directory = try AgentDirectory([LimitedAgent(FailingAgent()), LimitedAgent(EchoAgent())])
        let request = AgentRequest(
            key: "k", channel: try #require(ChannelID("web")), senderID: try #require(SenderID("t")),
            body: "1")
        for name in directory.names { _ = try? await directory.agent(named: name).answer(request) { _ in } }
        return directory
    }

    @Test("It says what each agent did, in words that are fit to be shown (I7)")
    func says() async throws {
        let report = AgentsReport(try await directory())
        #expect(report.agents.map(\.name) == ["echo", "support"])
        #expect(report.agents.map(\.answers) == [1, 0])
        #expect(report.agents.map(\.failures) == [0, 1])
        #expect(report.agents[0].median != nil && report.agents[1].median == nil)
        let failure = try #require(report.agents[1].lastFailure)
        #expect(failure.reason == "refused")
        #expect(!failure.message.unicodeScalars.contains { $0 == "\u{202E}" || $0 == "\u{1B}" })
    }

    @Test("What was written is what is read, and members may be added")
    func travels() async throws {
        let report = AgentsReport(try await directory())
        let text = report.json.text.replacing("{", with: #"{"new":null,"#)
        let json = try JSONValue(parsing: text.utf8)
        let read = try #require(AgentsReport(json: json))
        #expect(read == report)
        #expect(AgentsReport(json: .null) == nil)
        #expect(AgentsReport(json: .array([.object(["name": .string("a")])])) == nil)
    }

    @Test(
        "A percentile is what that share of the answers took at most",
        arguments: [(1, 50, 1), (2, 50, 1), (3, 50, 2), (100, 50, 50), (100, 99, 99), (10, 99, 10)])
    func percentiles(count: Int, percent: Int, expected: Int64) {
        let sorted = (1...count).map { Duration.milliseconds($0) }
        #expect(AgentsReport.Agent.percentile(percent, of: sorted) == expected)
        #expect(AgentsReport.Agent.percentile(percent, of: []) == nil)
    }
}
