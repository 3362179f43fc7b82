import Testing

@testable import Agents

/// Whatever an agent's server sends, nothing traps, and how it is cut makes no difference.
@Suite("Random answers of agents", .serialized)
struct AgentAnswerTests {
    @Test("An answer is read as the same, whatever the pieces it comes in (I10)")
    func answers() {
        let delta = #"data: {"choices":[{"delta":{"content":"Grüße 🙂"}}]}"#
        let stop = #"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#
        let examples = [
            "\(delta)\n\n\(stop)\n\ndata: [DONE]\n\n", "\u{FEFF}\(delta)\r\n\r\n: ping\r\n\r\n\(stop)\r\r",
            "retry: 5\nid: 1\n\(delta)\n\ndata: {\"error\":{\"message\":\"no\"}}\n\n",
            #" {"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#,
            "data:\(#"{"choices":[{"delta":"#)\ndata:\(#"{"content":[{"type":"text","text":"x"}]}}]}"#)\n\n\(stop)",
        ]
        fuzz("agents' answers", examples: examples) { mutator, bytes in
            let whole = read([bytes])
            let cut = mutator.cut(bytes)
            #expect(read([Array(bytes[..<cut]), Array(bytes[cut...])]) == whole)
            #expect(read(bytes.map { [$0] }) == whole)
        }
    }

    private func read(_ pieces: [[UInt8]]) -> String {
        var answer = ChatAnswer()
        do throws(AgentFailure) {
            for piece in pieces { _ = try answer.append(piece) }
            return try answer.end()
        } catch {
            return error.description
        }
    }
}
