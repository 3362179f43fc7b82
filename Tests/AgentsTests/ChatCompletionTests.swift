import Testing

@testable import Agents

/// What servers with the chat completions interface really send.
@Suite("Chat completions")
struct ChatCompletionTests {
    enum Outcome {
        case text(String)
        case failure(AgentFailure.Reason)
    }

    static func delta(_ text: String) -> String {
        #"data: {"choices":[{"index":0,"delta":{"content":"\#(text)"},"finish_reason":null}]}"# + "\n\n"
    }

    static let stop = #"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"# + "\n\n"
    static let done = "data: [DONE]\n\n"

    static let streams: [(name: String, text: String, outcome: Outcome)] = [
        ("deltas, a reason and the mark", delta("Hel") + delta("lo") + stop + done, .text("Hello")),
        ("no mark", delta("Hello") + stop, .text("Hello")),
        ("no reason", delta("Hello") + done, .text("Hello")),
        ("neither", delta("Hello"), .failure(.unreachable)),
        ("nothing at all", "", .failure(.unreachable)),
        (
            "a role first and no content",
            #"data: {"choices":[{"delta":{"role":"assistant","content":null}}]}"# + "\n\n" + delta("Hi")
                + stop,
            .text("Hi")
        ),
        (
            "usage in a last chunk without choices",
            delta("Hi") + stop + #"data: {"choices":[],"usage":{"total_tokens":3}}"# + "\n\n" + done,
            .text("Hi")
        ),
        (
            "thoughts beside the text",
            #"data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}"# + "\n\n" + delta("Hi") + stop,
            .text("Hi")
        ),
        (
            "content in parts",
            #"data: {"choices":[{"delta":{"content":[{"type":"text","text":"Hi"}]}}]}"# + "\n\n" + stop,
            .text("Hi")
        ),
        (
            "the whole message in the stream",
            #"data: {"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"# + "\n\n" + done,
            .text("Hi")
        ),
        (
            "an error inside the stream",
            delta("Hel") + #"data: {"error":{"message":"overloaded","type":"overloaded_error"}}"# + "\n\n",
            .failure(.busy)
        ),
        ("an error as text", #"data: {"error":"model not loaded"}"# + "\n\n", .failure(.invalidAnswer)),
        (
            "a null beside the choices",
            #"data: {"error":null,"choices":[{"delta":{"content":"Hi"}}]}"# + "\n\n" + stop, .text("Hi")
        ),
        (
            "an end by length",
            delta("Hel") + #"data: {"choices":[{"delta":{},"finish_reason":"length"}]}"# + "\n\n",
            .text("Hel")
        ),
        (
            "an end by a filter, with nothing said",
            #"data: {"choices":[{"delta":{},"finish_reason":"content_filter"}]}"# + "\n\n", .failure(.refused)
        ),
        ("garbage", "data: <html>\n\n", .failure(.invalidAnswer)),
        ("text after the mark", delta("Hi") + done + delta("!"), .text("Hi")),
        ("an empty event", "data:\n\n" + delta("Hi") + stop, .text("Hi")),
    ]

    @Test("Every oddity of a stream is survived", arguments: streams.indices)
    func stream(index: Int) {
        let (name, text, outcome) = Self.streams[index]
        for size in [1, 3, 7, 1000] {
            let read = Result { () throws(AgentFailure) in
                var completion = ChatCompletion()
                let bytes = Array(text.utf8)
                for start in stride(from: 0, to: bytes.count, by: size) {
                    _ = try completion.append(bytes[start..<min(start + size, bytes.count)])
                }
                return try completion.end()
            }
            switch (read, outcome) {
            case (.success(let text), .text(let expected)): #expect(text == expected, "\(name)")
            case (.failure(let failure), .failure(let expected)):
                #expect(failure.reason == expected, "\(name)")
            default: Issue.record("\(name) in pieces of \(size): \(read)")
            }
        }
    }

    @Test("A character that is cut between two events is joined")
    func splitCharacter() throws {
        let character = Array("🙂".utf8)
        var completion = ChatCompletion()
        var parts: [String] = []
        for piece in [character[..<2], character[2...]] {
            let event =
                Array(#"data: {"choices":[{"delta":{"content":"a"#.utf8) + piece + Array(#""}}]}"#.utf8) + [
                    10, 10,
                ]
            parts.append(try completion.append(event))
        }
        _ = try completion.append(Self.stop.utf8)
        // The second piece begins with an "a" of its own: what was cut before it stays cut.
        #expect(parts[0] == "a")
        var joined = ChatCompletion()
        let first = Array(#"data: {"choices":[{"delta":{"content":""#.utf8)
        let last = Array(#""}}]}"#.utf8) + [10, 10]
        #expect(try joined.append(first + character[..<2] + last) == "")
        #expect(try joined.append(first + character[2...] + last) == "🙂")
        _ = try joined.append(Self.stop.utf8)
        #expect(try joined.end() == "🙂")
    }

    @Test("A character that is never completed becomes a replacement character")
    func cutCharacter() throws {
        var completion = ChatCompletion()
        let event =
            Array(#"data: {"choices":[{"delta":{"content":"x"#.utf8) + [0xF0, 0x9F] + Array(#""}}]}"#.utf8)
            + [10, 10]
        #expect(try completion.append(event) == "x")
        _ = try completion.append(Self.stop.utf8)
        #expect(try completion.end() == "x\u{FFFD}")
    }

    @Test("A plain document is read though a stream was asked for")
    func document() throws {
        var completion = ChatCompletion()
        let text = #"{"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}"#
        #expect(try completion.document(Array(text.utf8)) == "Hi")
    }

    @Test(
        "A document that is no answer is refused with what it says",
        arguments: [#"{"error":{"message":"no such model"}}"#, #"{"choices":[]}"#, "[]", "{"])
    func badDocument(text: String) {
        #expect(throws: AgentFailure.self) {
            var completion = ChatCompletion()
            return try completion.document(Array(text.utf8))
        }
    }

    @Test("An answer is bounded, though it has hardly any text")
    func comments() {
        let failure = #expect(throws: AgentFailure.self) {
            var answer = ChatAnswer(maximumBytes: 1000)
            for _ in 0..<1000 { _ = try answer.append(": ping\n\n".utf8) }
        }
        #expect(failure?.reason == .refused)
    }

    @Test("An answer's text is bounded")
    func bound() {
        let failure = #expect(throws: AgentFailure.self) {
            var completion = ChatCompletion()
            let delta = Self.delta(String(repeating: "x", count: 1000))
            for _ in 0..<1000 { _ = try completion.append(delta.utf8) }
        }
        #expect(failure?.reason == .refused)
    }

    @Test(
        "What an error says is shown in one line of bounded length",
        arguments: [
            (#"{"error":{"message":"bad\nkey"}}"#, "bad key"), (#"{"error":"busy"}"#, "busy"),
            (#"{"message":"no"}"#, "no"),
        ])
    func complaints(text: String, expected: String) {
        #expect(ChatCompletion.complaint(Array(text.utf8)) == expected)
    }
}
