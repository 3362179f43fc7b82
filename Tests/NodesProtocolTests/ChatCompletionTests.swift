import NodesProtocol
import PairingCore
import Testing

@Suite("The chat completions interface")
struct ChatCompletionTests {
    @Test("Of a request its last message is taken, its agent and whether it is to be streamed")
    func requests() throws {
        let plain = try ChatCompletionRequest(
            parsing: #"{"messages":[{"role":"system","content":"x"},{"role":"user","content":"hi"}]}"#.utf8)
        #expect(plain == ChatCompletionRequest(model: nil, text: "hi", isStream: false))
        let parts = try ChatCompletionRequest(
            parsing: #"""
                {"model":"words","stream":true,"n":1.0,"tools":[],"temperature":0.5,"messages":[{"role":"user",
                "content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}
                """#.utf8)
        #expect(parts == ChatCompletionRequest(model: "words", text: "a\nb", isStream: true))
        let unnamed = try ChatCompletionRequest(
            parsing: #"{"model":"","stream":null,"messages":[{"role":"user","content":"hi"}]}"#.utf8)
        #expect(unnamed.model == nil && !unnamed.isStream)
    }

    @Test(
        "What can't be a message is refused by name",
        arguments: [
            (#"{"messages":"hi"}"#, "messages"), (#"{"messages":[]}"#, "messages"),
            (#"{"messages":["hi"]}"#, "messages"),
            (#"{"messages":[{"role":"tool","content":"x"}]}"#, "messages"),
            (#"{"messages":[{"role":"user","content":null}]}"#, "messages"),
            (#"{"messages":[{"role":"user","content":[{"type":"input_audio"}]}]}"#, "messages"),
            (#"{"model":7,"messages":[{"role":"user","content":"x"}]}"#, "model"),
            (#"{"stream":1,"messages":[{"role":"user","content":"x"}]}"#, "stream"),
            (#"{"n":2,"messages":[{"role":"user","content":"x"}]}"#, "n"),
        ])
    func badRequests(body: String, parameter: String) {
        #expect(throws: Refusal.self) { try ChatCompletionRequest(parsing: body.utf8) }
        do {
            _ = try ChatCompletionRequest(parsing: body.utf8)
        } catch {
            #expect(error.code == .invalidRequest && error.details["parameter"] == .string(parameter))
        }
    }

    @Test("A refusal is told as OpenAI's clients expect it")
    func refusals() {
        let refusal = Refusal(
            .resourceExhausted, "unanswered", "Wait.", retryable: true, retryAfter: .milliseconds(1200))
        #expect(refusal.chatCompletionsStatus == 429 && refusal.retryAfterSeconds == 2)
        #expect(
            refusal.chatCompletionsBody
                == #"{"error":{"code":"unanswered","message":"Wait.","param":null,"type":"rate_limit_error"}}"#
        )
    }

    @Test("A text with quotes and newlines is one event")
    func events() {
        let answer = ChatCompletionAnswer(id: "x", created: 1, model: "m")
        let piece = answer.piece("a\n\n\"b\"")
        #expect(piece.hasPrefix("data: {") && piece.hasSuffix("}\n\n"))
        #expect(piece.dropLast(2).contains("\n") == false)
    }

    @Test("A conversation is named as such, or by whom the client speaks for")
    func conversations() throws {
        let message = #""messages":[{"role":"user","content":"hi"}]"#
        for (members, name) in [
            (#""conversation":"kitchen","user":"u""#, "kitchen"), (#""user":"u""#, "u"), (#""user":"""#, ""),
        ] {
            let request = try ChatCompletionRequest(parsing: "{\(members),\(message)}".utf8)
            #expect(request.conversation.text == name)
        }
        #expect(throws: Refusal.self) {
            try ChatCompletionRequest(
                parsing: #"{"user":"\#(String(repeating: "x", count: 129))",\#(message)}"#.utf8)
        }
    }
}
