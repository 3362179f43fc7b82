import PairingCore
import Synchronization
import Testing

@testable import Agents

@Suite("Tool calls")
struct ToolCallTests {
    private typealias Oddities = StreamingOdditiesTests

    private static func answer(_ events: String...) -> [ScriptedServer.Step] {
        [.send(Oddities.head + events.map { "data: \($0)\n\n" }.joined() + "data: [DONE]\n\n"), .close]
    }

    /// A piece of a stream with these tool calls.
    private static func piece(_ calls: String) -> String {
        #"{"choices":[{"index":0,"delta":{"tool_calls":\#(calls)}}]}"#
    }

    private static let light = piece(
        ##"[{"index":0,"id":"c1","function":{"name":"light_set","arguments":"{\"on\":true}"}}]"##)

    /// Asks with two tools, of which each call is noted.
    private func askWithTools(
        _ answers: [[ScriptedServer.Step]], result: String = #"{"ok":true}"#
    ) async throws -> (asked: Asked, calls: [AgentTools.Call]) {
        let calls = CallNotes()
        var request = try request()
        let schema = JSONValue.object(["type": .string("object")])
        request.tools = AgentTools([
            AgentTools.Tool(name: "light.set", summary: "Switches it.", parameters: schema),
            AgentTools.Tool(name: "reboot", summary: "", parameters: schema),
        ]) { call in
            calls.noted.withLock { $0.append(call) }
            return result
        }
        let asked = try await askChat(answers, request)
        return (asked, calls.noted.withLock { $0 })
    }

    private func messages(_ request: ScriptedServer.Request) throws -> [JSONValue] {
        guard case .array(let messages)? = try JSONValue(parsing: request.body.utf8)["messages"] else {
            return []
        }
        return messages
    }

    @Test("A call is carried out, and the model is asked again with its result; the answer is all it said")
    func carriesOut() async throws {
        let (asked, calls) = try await askWithTools([
            Self.answer(Oddities.delta("One moment."), Self.light),
            Self.answer(Oddities.delta("It is on."), Oddities.stop),
        ])
        #expect(asked.text == "One moment.\n\nIt is on.")
        #expect(asked.parts.joined() == "One moment.\n\nIt is on.")
        #expect(calls.map(\.name) == ["light.set"])
        #expect(calls.first?.arguments == .object(["on": .bool(true)]))
        #expect(calls.first?.key.utf8.count == 32)
        #expect(asked.requests.map { $0.header("Idempotency-Key") } == ["1.2.3", "1.2.3/1"])
        let second = try messages(try #require(asked.requests.last))
        #expect(second.map { $0["role"]?.string } == ["user", "assistant", "tool"])
        #expect(second.last?["tool_call_id"] == .string("c1"))
        #expect(second.last?["content"] == .string(#"{"ok":true}"#))
    }

    @Test("Tools are offered by names that the interface allows, and not at all where there are none")
    func offers() async throws {
        let (asked, _) = try await askWithTools([Self.answer(Oddities.delta("Hi"), Oddities.stop)])
        let body = try JSONValue(parsing: try #require(asked.requests.first).body.utf8)
        guard case .array(let tools)? = body["tools"] else {
            Issue.record("no tools in \(body.text)")
            return
        }
        #expect(tools.map { $0["function"]?["name"]?.string } == ["light_set", "reboot"])
        #expect(tools.map { $0["function"]?["description"]?.string } == ["Switches it.", nil])
        let without = try await askChat([Self.answer(Oddities.delta("Hi"), Oddities.stop)], try request())
        #expect(try JSONValue(parsing: without.requests[0].body.utf8)["tools"] == nil)
    }

    @Test("Names that the interface makes equal stay apart")
    func names() {
        let schema = JSONValue.object([:])
        let tools = ["a.b", "a:b", "a_b", String(repeating: "x", count: 80)].map {
            AgentTools.Tool(name: $0, summary: "", parameters: schema)
        }
        guard case .array(let offer) = ChatTools(AgentTools(tools) { _ in "" }).offer else { return }
        let names = offer.compactMap { $0["function"]?["name"]?.string }
        #expect(names == ["a_b", "a_b_2", "a_b_3", String(repeating: "x", count: 64)])
    }

    @Test("An agent that is asked again names the same call alike, and another call otherwise")
    func keys() async throws {
        let answers = [
            Self.answer(Self.light), Self.answer(Self.light),
            Self.answer(Oddities.delta("On."), Oddities.stop),
        ]
        let first = try await askWithTools(answers).calls.map(\.key)
        let again = try await askWithTools(answers).calls.map(\.key)
        #expect(first == again)
        #expect(Set(first).count == 2)
    }

    @Test("Several calls of one answer are carried out in their order")
    func several() async throws {
        let both = Self.piece(
            ##"[{"index":0,"id":"a","function":{"name":"reboot","arguments":""}},{"index":1,"id":"b","function":{"name":"light_set","arguments":"{}"}}]"##
        )
        let (asked, calls) = try await askWithTools([
            Self.answer(both), Self.answer(Oddities.delta("Done."), Oddities.stop),
        ])
        #expect(calls.map(\.name) == ["reboot", "light.set"])
        #expect(asked.text == "Done.")
        #expect(try messages(asked.requests[1]).compactMap { $0["tool_call_id"]?.string } == ["a", "b"])
    }

    @Test(
        "What is no call of an offered tool is told to the model, and nothing is carried out",
        arguments: [
            (
                ##"{"index":0,"id":"c","function":{"name":"explode","arguments":"{}"}}"##,
                "no tool of this name"
            ),
            (
                ##"{"index":0,"id":"c","function":{"name":"reboot","arguments":"{\"on\":"}}"##,
                "not a JSON object"
            ),
            (##"{"index":0,"id":"c","function":{"name":"reboot","arguments":"[1]"}}"##, "not a JSON object"),
        ])
    func mistakes(call: String, told: String) async throws {
        let (asked, calls) = try await askWithTools([
            Self.answer(Self.piece("[\(call)]")), Self.answer(Oddities.delta("Sorry."), Oddities.stop),
        ])
        #expect(calls.isEmpty)
        #expect(asked.text == "Sorry.")
        let result = try messages(asked.requests[1]).last?["content"]?.string
        #expect(result?.contains(told) == true)
    }

    @Test("A model that calls tools for ever is told to stop, and then given up")
    func forEver() async throws {
        let (asked, calls) = try await askWithTools([Self.answer(Self.light)])
        #expect(asked.reason == .refused)
        #expect(calls.count == AgentTools.maximumRounds)
        let choices = try asked.requests.map { try JSONValue(parsing: $0.body.utf8)["tool_choice"]?.string }
        #expect(choices == Array(repeating: nil, count: AgentTools.maximumRounds) + ["none"])
    }

    @Test(
        "A call is put together from whatever pieces it comes in",
        arguments: [
            [##"[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\":1}"}}]"##],
            [
                ##"[{"index":0,"id":"c","function":{"name":"f"}}]"##,
                ##"[{"index":0,"function":{"arguments":"{\"a\""}}]"##,
                ##"[{"index":0,"function":{"arguments":":1}"}}]"##,
            ],
            [
                ##"[{"id":"c","function":{"name":"f","arguments":"{\"a\":"}}]"##,
                ##"[{"function":{"arguments":"1}"}}]"##,
            ],
            [##"[{"id":"c","function":{"name":"f","arguments":{"a":1}}}]"##],
            [
                ##"[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\":"}}]"##,
                ##"[{"index":0,"id":"","function":{"name":"f","arguments":"1}"}}]"##,
            ],
        ])
    func pieces(pieces: [String]) throws {
        var calls = ChatToolCalls()
        for piece in pieces { try calls.take(try JSONValue(parsing: #"{"tool_calls":\#(piece)}"#.utf8)) }
        #expect(try calls.whole() == [ChatToolCalls.Call(id: "c", name: "f", arguments: #"{"a":1}"#)])
    }

    @Test("Calls without an index are told apart by their names, and get identifiers where they have none")
    func withoutIndex() throws {
        var calls = ChatToolCalls()
        let piece = #"[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"g"}}]"#
        try calls.take(try JSONValue(parsing: #"{"tool_calls":\#(piece)}"#.utf8))
        #expect(try calls.whole().map(\.name) == ["f", "g"])
        #expect(try calls.whole().map(\.id) == ["call_0", "call_1"])
    }

    @Test("Too many calls, too long ones and one without a name are refused")
    func bounds() throws {
        func take(_ piece: String) throws -> [ChatToolCalls.Call] {
            var calls = ChatToolCalls()
            try calls.take(try JSONValue(parsing: #"{"tool_calls":\#(piece)}"#.utf8))
            return try calls.whole()
        }
        let many = (0...ChatToolCalls.limits.calls).map { #"{"index":\#($0),"function":{"name":"f"}}"# }
        #expect(throws: AgentFailure.self) { try take("[\(many.joined(separator: ","))]") }
        let long = String(repeating: "x", count: ChatToolCalls.limits.bytes)
        #expect(throws: AgentFailure.self) {
            try take(#"[{"index":0,"function":{"name":"f","arguments":"\#(long)"}}]"#)
        }
        #expect(throws: AgentFailure.self) { try take(#"[{"index":0,"id":"c"}]"#) }
        #expect(throws: AgentFailure.self) {
            try take(#"[{"index":9223372036854775807,"function":{"name":"f"}}]"#)
        }
    }

    @Test("Calls count in an answer that comes as one document, too")
    func document() async throws {
        let body =
            ##"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c","function":{"name":"reboot","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"##
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        let (asked, calls) = try await askWithTools([
            [.send(head + body)], Self.answer(Oddities.delta("Again."), Oddities.stop),
        ])
        #expect(calls.map(\.name) == ["reboot"])
        #expect(asked.text == "Again.")
    }
}

/// What was carried out.
private final class CallNotes: Sendable {
    let noted = Mutex<[AgentTools.Call]>([])
}
