import PairingCore
import Synchronization
import Testing

@testable import Agents

/// How a request to a scripted server ended.
struct Asked {
    var result: Result<AgentAnswer, AgentFailure>
    /// The parts that were handed on before that.
    var parts: [String]
    /// What the server was asked.
    var requests: [ScriptedServer.Request]

    /// The answer's text where it is one.
    var text: String? {
        guard case .success(.reply(let body)) = result else { return nil }
        return (try? JSONValue(parsing: body.utf8))?["text"]?.string
    }

    /// What kind of failure it is, where it is one.
    var reason: AgentFailure.Reason? {
        guard case .failure(let failure) = result else { return nil }
        return failure.reason
    }
}

/// A request as every test may make it.
func request(_ body: String = #""hi""#, key: String = "1.2.3", context: [AgentRequest.Turn] = []) throws
    -> AgentRequest
{
    AgentRequest(
        key: key, channel: try #require(ChannelID("web")), senderID: try #require(SenderID("Tablet-1")),
        body: body,
        context: context)
}

/// Asks an agent behind a server that answers so.
///
/// - Parameter make: the agent; the server's address and the way there are given.
func ask(
    _ answers: [[ScriptedServer.Step]], _ request: AgentRequest,
    _ make: (String, AgentHTTP) -> any Agent
) async throws -> Asked {
    let http = AgentHTTP()
    let parts = Mutex<[String]>([])
    let (result, requests) = try await ScriptedServer.serving(answers) { server in
        let agent = make(server.url, http)
        let result = await Result { () async throws(AgentFailure) in
            try await agent.answer(request) { text in parts.withLock { $0.append(text) } }
        }
        return (result, server.requests)
    }
    try await http.shutdown()
    return Asked(result: result, parts: parts.withLock { $0 }, requests: requests)
}

/// Asks an agent with the chat completions interface.
func askChat(
    _ answers: [[ScriptedServer.Step]], _ request: AgentRequest,
    _ adjust: (inout OpenAIAgent.Settings) -> Void = { _ in }
) async throws -> Asked {
    try await ask(answers, request) { url, http in
        var settings = OpenAIAgent.Settings(url: url, model: "m")
        adjust(&settings)
        return OpenAIAgent(name: "support", settings: settings, http: http)
    }
}

extension Result where Failure == AgentFailure, Success: Sendable {
    /// What an asynchronous body returns or throws.
    init(_ body: () async throws(AgentFailure) -> Success) async {
        do throws(AgentFailure) {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }

    /// What a body returns or throws.
    init(_ body: () throws(AgentFailure) -> Success) {
        do throws(AgentFailure) {
            self = .success(try body())
        } catch {
            self = .failure(error)
        }
    }
}
