import FoundationEssentials
import PairingCore
import Synchronization
import Testing

@testable import Agents

@Suite("Chat completions over HTTP")
struct OpenAIAgentTests {
    static let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

    private func ask(
        _ steps: [ScriptedServer.Step], timeout: Duration = .seconds(30)
    ) async throws -> (Result<AgentAnswer, AgentFailure>, parts: [String]) {
        let request = AgentRequest(
            key: "k", channel: try #require(ChannelID("web")), senderID: try #require(SenderID("t")),
            body: #""hi""#)
        let http = AgentHTTP()
        let parts = Mutex<[String]>([])
        let result = try await ScriptedServer.serving(steps) { server in
            var settings = OpenAIAgent.Settings(url: server.url, model: "m")
            settings.timeout = timeout
            let agent = OpenAIAgent(name: "support", settings: settings, http: http)
            return await Result { () async throws(AgentFailure) in
                try await agent.answer(request) { text in parts.withLock { $0.append(text) } }
            }
        }
        try await http.shutdown()
        return (result, parts.withLock { $0 })
    }

    @Test("A streamed answer is handed on part by part and returned whole")
    func streams() async throws {
        let (answer, parts) = try await ask([
            .send(Self.stream + ChatCompletionTests.delta("Hel")), .send(ChatCompletionTests.delta("lo")),
            .send(ChatCompletionTests.stop + ChatCompletionTests.done), .close,
        ])
        #expect(try answer.get() == .reply(#"{"text":"Hello","type":"text"}"#))
        #expect(parts.joined() == "Hello")
    }

    @Test("An answer whose connection stays open ends with its mark")
    func open() async throws {
        let (answer, _) = try await ask([
            .send(Self.stream + ChatCompletionTests.delta("Hi") + ChatCompletionTests.done), .hang,
        ])
        #expect(try answer.get() == .reply(#"{"text":"Hi","type":"text"}"#))
    }

    @Test("A plain document is an answer, whatever its type")
    func document() async throws {
        let body = #"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#
        let (answer, parts) = try await ask([
            .send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"), .close,
        ])
        #expect(try answer.get() == .reply(#"{"text":"Hi","type":"text"}"#))
        #expect(parts.isEmpty)
    }

    static let failures: [(name: String, steps: [ScriptedServer.Step], reason: AgentFailure.Reason)] = [
        (
            "too many requests",
            [.send("HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"), .close], .busy
        ),
        ("unavailable", [.send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), .close], .busy),
        ("a wrong key", [.send("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), .close], .refused),
        ("a broken server", [.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), .close], .unreachable),
        ("a redirect", [.send("HTTP/1.1 302 No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), .close], .refused),
        ("no HTTP", [.send("hello\r\n\r\n"), .close], .unreachable),
        ("a connection that closes at once", [.close], .unreachable),
        (
            "an answer that is cut off", [.send(stream + ChatCompletionTests.delta("Hel")), .close], .unreachable
        ),
        ("nothing for too long", [.hang], .timedOut),
        ("a stream that stops", [.send(stream + ChatCompletionTests.delta("Hel")), .hang], .timedOut),
        ("a body that never ends", [.send(stream), .repeatForEver(": ping\n\n")], .timedOut),
        (
            "ten megabytes in one line", [.send(stream + "data: " + String(repeating: "x", count: 10 << 20)), .hang],
            .invalidAnswer
        ),
    ]

    @Test("Every way in which a server fails is a failure of its kind", arguments: failures.indices)
    func failure(index: Int) async throws {
        let (name, steps, reason) = Self.failures[index]
        let (answer, _) = try await ask(steps, timeout: reason == .timedOut ? .milliseconds(300) : .seconds(30))
        guard case .failure(let failure) = answer else {
            Issue.record("\(name): \(answer)")
            return
        }
        #expect(failure.reason == reason, "\(name): \(failure)")
        if name == "too many requests" { #expect(failure.retryAfter == .seconds(7)) }
    }

    @Test("A server that is not there is unreachable, and the message names no secret")
    func nobody() async throws {
        let http = AgentHTTP()
        var settings = OpenAIAgent.Settings(url: "http://127.0.0.1:1/v1", model: "m")
        settings.key = "sk-secret"
        let agent = OpenAIAgent(name: "support", settings: settings, http: http)
        let request = AgentRequest(
            key: "k", channel: try #require(ChannelID("web")), senderID: try #require(SenderID("t")), body: "1")
        let failure = await #expect(throws: AgentFailure.self) { try await agent.answer(request) { _ in } }
        #expect(failure?.isRetryable == true)
        #expect(failure?.description.contains("sk-secret") == false)
        try await http.shutdown()
    }

    @Test("A Retry-After header is read as seconds or as a date, and bounded")
    func retryAfter() throws {
        let now = try #require(try? Date("Fri, 27 Nov 2026 02:00:00 GMT", strategy: .http))
        #expect(AgentFailure.delay("5", now: now) == .seconds(5))
        #expect(AgentFailure.delay("-5", now: now) == .zero)
        #expect(AgentFailure.delay("99999999", now: now) == .seconds(3600))
        #expect(AgentFailure.delay("Fri, 27 Nov 2026 02:00:30 GMT", now: now) == .seconds(30))
        #expect(AgentFailure.delay("soon", now: now) == nil)
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
}
