import PairingCore
import Testing

@testable import Agents

/// One oddity: what the server sends and what becomes of it.
struct Oddity: Sendable, CustomTestStringConvertible {
    var name: String
    var steps: [ScriptedServer.Step]
    var outcome: Outcome

    var testDescription: String { name }

    init(_ name: String, _ outcome: Outcome, _ steps: ScriptedServer.Step...) {
        (self.name, self.outcome, self.steps) = (name, outcome, steps)
    }
}

/// What becomes of an oddity.
enum Outcome: Sendable {
    case text(String)
    case failure(AgentFailure.Reason, retryAfter: Duration? = nil, isRetryable: Bool = true)
}

/// What servers with the chat completions interface really send, over real connections.
@Suite("Oddities of streams")
struct StreamingOdditiesTests {
    static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    static let stop = #"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#

    static func delta(_ text: String) -> String {
        #"{"id":"c","choices":[{"index":0,"delta":{"content":"\#(text)"},"finish_reason":null}]}"#
    }

    static func events(_ data: String..., space: String = " ", end: String = "\n", mark: Bool = true)
        -> String
    {
        (data + (mark ? ["[DONE]"] : [])).map { "data:\(space)\($0)\(end)\(end)" }.joined()
    }

    /// The bytes as chunks of HTTP of that many, each a piece of its own.
    static func chunked(_ bytes: some Collection<UInt8>, of size: Int) -> ScriptedServer.Step {
        var output = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let piece = rest.prefix(size)
            output += Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + Array("\r\n".utf8)
            rest = rest.dropFirst(size)
        }
        return .bytes(output + Array("0\r\n\r\n".utf8))
    }

    static func document(_ body: String, status: String = "200 OK", fields: String = "")
        -> ScriptedServer.Step
    {
        .send("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)")
    }

    static func split(_ text: String, after count: Int) -> [UInt8] {
        func event(_ content: some Sequence<UInt8>) -> [UInt8] {
            Array(#"data: {"choices":[{"delta":{"content":""#.utf8) + content + Array("\"}}]}\n\n".utf8)
        }
        return event(text.utf8.prefix(count)) + event(text.utf8.dropFirst(count)) + Array(events(stop).utf8)
    }

    static let framing: [Oddity] = [
        Oddity(
            "lines that end with LF", .text("Hello"), .send(head + events(delta("Hel"), delta("lo"), stop)),
            .close),
        Oddity(
            "lines that end with CRLF", .text("Hello"),
            .send(head + events(delta("Hel"), delta("lo"), stop, end: "\r\n")), .close),
        Oddity(
            "lines that end with CR", .text("Hello"),
            .send(head + events(delta("Hel"), delta("lo"), stop, end: "\r")), .close),
        Oddity(
            "data: without a space", .text("Hello"),
            .send(head + events(delta("Hel"), delta("lo"), stop, space: "")), .close),
        Oddity(
            "comments that keep the connection alive", .text("Hello"),
            .send(head + ": PROCESSING\n\n:\n\n" + events(delta("Hel"), mark: false) + ": ping\n\n"),
            .send(events(delta("lo"), stop)), .close),
        Oddity("no [DONE]", .text("Hello"), .send(head + events(delta("Hello"), stop, mark: false)), .close),
        Oddity(
            "[DONE] and no reason for the end", .text("Hello"), .send(head + events(delta("Hello"))), .close),
        Oddity(
            "[DONE] and a connection that stays open", .text("Hello"),
            .send(head.replacing("Connection: close\r\n", with: "") + events(delta("Hello"), stop)), .hang),
        Oddity(
            "no empty line behind the last event", .text("Hello"),
            .send(head + events(delta("Hello"), mark: false) + "data: " + stop), .close),
        Oddity(
            "a byte-order mark", .text("Hello"), .send(head + "\u{FEFF}" + events(delta("Hello"), stop)),
            .close),
        Oddity(
            "names, identifiers and reconnection times", .text("Hello"),
            .send(head + "retry: 10\nevent: message\nid: 7\n" + events(delta("Hello"), stop)), .close),
        Oddity(
            "an event in several lines of data", .text("Hello"),
            .send(
                head + "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"Hello\"}}]}\n\n" + events(stop)),
            .close),
        Oddity(
            "events cut at every byte", .text("Grüße 🙂"),
            chunked(("\u{FEFF}" + events(delta("Grüße"), delta(" 🙂"), stop, end: "\r\n")).utf8, of: 1)),
        Oddity(
            "events cut at every seventh byte", .text("Grüße 🙂"),
            chunked(events(delta("Grüße 🙂"), stop).utf8, of: 7)),
        Oddity(
            "a character cut between two events, after 1 byte", .text("🙂!"),
            chunked(split("🙂!", after: 1), of: 1000)),
        Oddity("… after 2 bytes", .text("🙂!"), chunked(split("🙂!", after: 2), of: 1000)),
        Oddity(
            "… after 3 bytes, and everything cut at every byte", .text("🙂!"),
            chunked(split("🙂!", after: 3), of: 1)),
    ]

    static let contents: [Oddity] = [
        Oddity(
            "content that is null", .text("Hello"),
            .send(
                head
                    + events(
                        #"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#, delta("Hello"), stop)
            ),
            .close),
        Oddity(
            "a last chunk with the usage only", .text("Hello"),
            .send(head + events(delta("Hello"), stop, #"{"choices":[],"usage":{"total_tokens":3}}"#)), .close),
        Oddity(
            "a last chunk with the usage and no choices at all", .text("Hello"),
            .send(head + events(delta("Hello"), stop, #"{"usage":{"total_tokens":3}}"#)), .close),
        Oddity(
            "thoughts in reasoning_content, which are not the answer", .text("Hello"),
            .send(
                head
                    + events(
                        #"{"choices":[{"delta":{"reasoning_content":"Hm.","content":null}}]}"#,
                        delta("Hello"), stop)),
            .close),
        Oddity(
            "an error inside the stream", .failure(.invalidAnswer),
            .send(
                head + events(delta("Hel"), #"{"error":{"message":"out of memory","type":"server_error"}}"#)),
            .close),
        Oddity(
            "an error inside the stream that says it is too busy", .failure(.busy),
            .send(
                head
                    + events(delta("Hel"), #"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#)
            ),
            .close),
        Oddity(
            "an end by length", .text("Hel"),
            .send(head + events(delta("Hel"), #"{"choices":[{"delta":{},"finish_reason":"length"}]}"#)),
            .close),
        Oddity(
            "an end by length before any text", .failure(.refused, isRetryable: false),
            .send(head + events(#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#)), .close),
        Oddity(
            "an end by a filter", .text("Hel"),
            .send(
                head + events(delta("Hel"), #"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#)),
            .close),
        Oddity(
            "an end by a filter before any text", .failure(.refused, isRetryable: false),
            .send(head + events(#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#)), .close),
        Oddity(
            "a plain document though a stream was asked for", .text("Hello"),
            document(
                #"{"choices":[{"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}"#)),
        Oddity(
            "a plain document behind a mark, cut at every byte", .text("Hello"),
            chunked("\u{FEFF} {\"choices\":[{\"message\":{\"content\":\"Hello\"}}]}".utf8, of: 1)),
        Oddity(
            "a plain document with an error and a good status", .failure(.invalidAnswer),
            document(#"{"error":{"message":"no such model"}}"#)),
        Oddity("a page for people", .failure(.invalidAnswer), document("<html><body>Welcome!</body></html>")),
        Oddity("an event that is no JSON", .failure(.invalidAnswer), .send(head + events("<html>")), .close),
    ]

    static let failures: [Oddity] = [
        Oddity(
            "429 with Retry-After", .failure(.busy, retryAfter: .seconds(7)),
            document("", status: "429 Too Many Requests", fields: "Retry-After: 7\r\n")),
        Oddity(
            "503 with Retry-After", .failure(.busy, retryAfter: .seconds(30)),
            document("", status: "503 Service Unavailable", fields: "Retry-After: 30\r\n")),
        Oddity("503 without", .failure(.busy), document("", status: "503 Service Unavailable")),
        Oddity("500", .failure(.unreachable), document("oops", status: "500 Internal Server Error")),
        Oddity(
            "a wrong key", .failure(.refused, isRetryable: false),
            document(#"{"error":{"message":"bad key"}}"#, status: "401 Unauthorized")),
        Oddity(
            "a redirect, which a key must not follow", .failure(.refused, isRetryable: false),
            document("", status: "302 Found", fields: "Location: http://127.0.0.1:1/\r\n")),
        Oddity("no HTTP", .failure(.unreachable), .send("hello\r\n\r\n"), .close),
        Oddity("a connection that closes at once", .failure(.unreachable), .close),
        Oddity(
            "a connection that dies half way", .failure(.unreachable),
            .send(head + events(delta("Hel"), mark: false)),
            .close),
        Oddity(
            "a connection that dies inside of an event", .failure(.invalidAnswer),
            .send(head + events(delta("Hel"), mark: false) + #"data: {"choices":[{"del"#), .close),
        Oddity(
            "a connection that dies before the end it promised", .failure(.unreachable),
            .send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + events(delta("Hel"), mark: false)),
            .close),
        Oddity("nothing for too long", .failure(.timedOut), .hang),
        Oddity(
            "a stream that falls silent", .failure(.timedOut),
            .send(head + events(delta("Hel"), mark: false)), .hang),
        Oddity("a body that never ends", .failure(.timedOut), .send(head), .repeatForEver(": ping\n\n")),
        Oddity(
            "a text that never ends", .failure(.refused, isRetryable: false), .send(head),
            .repeatForEver(events(delta(String(repeating: "x", count: 10_000)), mark: false))),
        Oddity(
            "10 MB in one line", .failure(.invalidAnswer),
            .send(head + "data: " + String(repeating: "x", count: 10 << 20)), .hang),
        Oddity(
            "10 MB in one document", .failure(.refused, isRetryable: false),
            document(#"{"choices":""# + String(repeating: "x", count: 10 << 20) + "\"}")),
    ]

    @Test("Whatever the framing, the answer is read", arguments: framing)
    func read(oddity: Oddity) async throws { try await check(oddity) }

    @Test("Whatever the chunks hold, the answer is read or its failure told", arguments: contents)
    func readOrTold(oddity: Oddity) async throws { try await check(oddity) }

    @Test("Every way in which a server fails is a failure of its kind", arguments: failures)
    func told(oddity: Oddity) async throws { try await check(oddity) }

    private func check(_ oddity: Oddity) async throws {
        let asked = try await askChat([oddity.steps], try request()) { settings in
            if case .failure(.timedOut, _, _) = oddity.outcome {
                settings.times = AgentTimes(whole: .milliseconds(600), silence: .milliseconds(300))
            }
        }
        switch (asked.result, oddity.outcome) {
        case (.success, .text(let text)):
            #expect(asked.text == text)
            // The parts are the answer's text in order, with nothing left out and nothing twice.
            #expect(asked.parts.isEmpty || asked.parts.joined() == text)
        case (.failure(let failure), .failure(let reason, let retryAfter, let isRetryable)):
            #expect(failure.reason == reason, "\(failure)")
            #expect(failure.retryAfter == retryAfter)
            #expect(failure.isRetryable == isRetryable)
        default: Issue.record("\(asked.result)")
        }
    }
}
