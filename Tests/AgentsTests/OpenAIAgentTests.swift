import FoundationEssentials
import PairingCore
import Testing

@testable import Agents

@Suite("Chat completions over HTTP")
struct OpenAIAgentTests {
    private typealias Oddities = StreamingOdditiesTests

    private static let answer: [ScriptedServer.Step] = [
        .send(Oddities.head + Oddities.events(Oddities.delta("Hello"), Oddities.stop)), .close,
    ]

    @Test("A streamed answer is handed on part by part and returned whole")
    func streams() async throws {
        let asked = try await askChat([Self.answer], try request())
        #expect(try asked.result.get() == .reply(#"{"text":"Hello","type":"text"}"#))
        #expect(asked.parts == ["Hello"])
    }

    @Test("A part is handed on while the rest is still to come")
    func parts() async throws {
        let http = AgentHTTP()
        let (seen, sink) = AsyncStream.makeStream(of: String.self)
        let request = try request()
        try await ScriptedServer.serving([
            [.send(Oddities.head + Oddities.events(Oddities.delta("Hel"), mark: false)), .hang]
        ]) { server in
            let agent = OpenAIAgent(
                name: "support", settings: OpenAIAgent.Settings(url: server.url, model: "m"), http: http)
            let task = Task { try await agent.answer(request) { sink.yield($0) } }
            var parts = seen.makeAsyncIterator()
            #expect(await parts.next() == "Hel")
            // Whoever does not wait for the rest ends the request.
            task.cancel()
            let failure = await #expect(throws: AgentFailure.self) { try await task.value }
            #expect(failure?.reason == .cancelled)
        }
        try await http.shutdown()
    }

    @Test("An answer that is read to its end leaves its connection for the next one")
    func connections() async throws {
        let body = Oddities.events(Oddities.delta("Hello"), Oddities.stop).utf8
        let http = AgentHTTP()
        let request = try request()
        try await ScriptedServer.serving([[Oddities.chunked(body, of: 1000)]]) { server in
            let agent = OpenAIAgent(
                name: "support", settings: OpenAIAgent.Settings(url: server.url, model: "m"), http: http)
            for _ in 0..<5 { _ = try await agent.answer(request) { _ in } }
            #expect(server.requests.count == 5)
            #expect(server.connections == 1)
        }
        try await http.shutdown()
    }

    @Test("The request names the model, the user and what tells a repeat from another, and asks for a stream")
    func asks() async throws {
        let asked = try await askChat([Self.answer], try request(#"{"text":"hi"}"#, key: "web.Tablet-1.3.7"))
        {
            $0.key = "sk-secret"
            $0.systemPrompt = "Be kind."
        }
        let sent = try #require(asked.requests.first)
        #expect(sent.head.hasPrefix("POST /v1/chat/completions HTTP/1.1\r\n"))
        #expect(sent.header("Idempotency-Key") == "web.Tablet-1.3.7")
        #expect(sent.header("Authorization") == "Bearer sk-secret")
        #expect(sent.header("Content-Type") == "application/json")
        let body = try JSONValue(parsing: sent.body.utf8)
        #expect(body["stream"] == .bool(true))
        #expect(body["model"]?.string == "m")
        #expect(body["user"]?.string == ChatRequest.user(try request().senderID))
        #expect(body["user"]?.string?.contains("Tablet") == false)
        #expect(
            body["messages"]
                == .array([
                    .object(["role": .string("system"), "content": .string("Be kind.")]),
                    .object(["role": .string("user"), "content": .string("hi")]),
                ]))
    }

    @Test("A server that is not there is unreachable, and the message names no secret")
    func nobody() async throws {
        let http = AgentHTTP()
        var settings = OpenAIAgent.Settings(url: "http://127.0.0.1:1/v1", model: "m")
        settings.key = "sk-secret"
        let agent = OpenAIAgent(name: "support", settings: settings, http: http)
        let request = try request()
        let failure = await #expect(throws: AgentFailure.self) { try await agent.answer(request) { _ in } }
        #expect(failure?.isRetryable == true)
        #expect(failure?.description.contains("sk-secret") == false)
        try await http.shutdown()
    }

    @Test("A key that the server's complaint repeats is not in the failure")
    func leak() async throws {
        let complaint = #"{"error":{"message":"Incorrect API key provided: sk-secret."}}"#
        let asked = try await askChat(
            [[Oddities.document(complaint, status: "401 No"), .close]], try request()
        ) {
            $0.key = "sk-secret"
        }
        guard case .failure(let failure) = asked.result else {
            Issue.record("\(asked.result)")
            return
        }
        #expect(failure.message.contains("Incorrect API key provided"))
        #expect(!failure.message.contains("sk-secret"))
    }

    @Test("A Retry-After header is read as seconds or as a date, and bounded")
    func retryAfter() throws {
        let now = try #require(AgentFailure.httpDate("Fri, 27 Nov 2026 02:00:00 GMT"))
        #expect(now == Date(timeIntervalSince1970: 1_795_744_800))
        #expect(AgentFailure.delay("5", now: now) == .seconds(5))
        #expect(AgentFailure.delay("-5", now: now) == .zero)
        #expect(AgentFailure.delay("99999999", now: now) == .seconds(3600))
        #expect(AgentFailure.delay("Fri, 27 Nov 2026 02:00:30 GMT", now: now) == .seconds(30))
        #expect(AgentFailure.delay("soon", now: now) == nil)
    }
}
