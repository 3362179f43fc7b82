import PairingCore
import Testing

@testable import Agents

@Suite("Requests to chat completions")
struct ChatRequestTests {
    @Test("The prompt comes first, then the conversation, then the message as its text")
    func order() throws {
        let context = [
            AgentRequest.Turn(isFromDevice: true, body: #""hi""#),
            AgentRequest.Turn(isFromDevice: false, body: #"{"text":"hello","type":"text"}"#),
        ]
        let body = ChatRequest(model: "m", systemPrompt: "Be kind.", contextLimits: ContextLimits())
            .body(of: try request(#"{"text":"more"}"#, context: context))
        let value = try JSONValue(parsing: body.utf8)
        guard case .array(let messages)? = value["messages"] else {
            Issue.record("\(body)")
            return
        }
        #expect(messages.map { $0["role"]?.string } == ["system", "user", "assistant", "user"])
        #expect(messages.map { $0["content"]?.string } == ["Be kind.", "hi", "hello", "more"])
        #expect(value["stream"] == .bool(true))
    }

    @Test("A message without text goes along as its JSON")
    func json() {
        #expect(spokenText(of: #"{"readings":[1]}"#) == #"{"readings":[1]}"#)
    }

    @Test("The oldest of a conversation stay behind where there are too many, or too many bytes")
    func context() throws {
        var limits = ContextLimits()
        limits.messages = 3
        limits.bytes = 12
        let context = (1...5).map { AgentRequest.Turn(isFromDevice: true, body: #""t\#($0)""#) }
        let body = ChatRequest(model: "m", systemPrompt: "", contextLimits: limits)
            .body(of: try request(#""now""#, context: context))
        guard case .array(let messages)? = try JSONValue(parsing: body.utf8)["messages"] else { return }
        #expect(messages.map { $0["content"]?.string } == ["t3", "t4", "t5", "now"])
        limits.bytes = 9
        let less = ChatRequest(model: "m", systemPrompt: "", contextLimits: limits)
            .body(of: try request(#""now""#, context: context))
        #expect(!less.contains("t3") && less.contains("t4"))
    }

    @Test("A device has one name at the server, which does not tell its sender ID")
    func user() throws {
        let one = ChatRequest.user(try #require(SenderID("Tablet-1")))
        #expect(one == ChatRequest.user(try #require(SenderID("tablet-1"))))
        #expect(!one.lowercased().contains("tablet"))
    }
}
