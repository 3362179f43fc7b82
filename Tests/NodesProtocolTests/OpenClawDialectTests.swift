import PairingCore
import Testing

@testable import NodesProtocol

@Suite("OpenClaw's dialect")
struct OpenClawDialectTests {
    static let now = Timestamp(milliseconds: 1_795_725_600_000)

    static func dialect() throws -> OpenClawDialect {
        let channel = try #require(ChannelID("openclaw"))
        return OpenClawDialect(
            facts: OpenClawDialect.Facts(
                channel: channel, agents: ["echo", "words"], maximumMessage: 1, maximumBuffered: 2,
                secretDevice: { _ in nil }, makeMessageID: { "made" }))
    }

    static let device: JSONValue = .object([
        "id": .string(String(repeating: "a", count: 64)),
        "publicKey": .string("A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"),
        "signature": .string(Base64URL.encode(Array(repeating: 7, count: 64)) + "=="),
        "signedAt": .integer(5),
        "nonce": .string("n"),
    ])

    static func frame(_ method: String, _ parameters: [String: JSONValue] = [:], id: String = "1") -> Result<
        RequestFrame, FrameRefusal
    > {
        var parameters = parameters
        let message = parameters.removeValue(forKey: "message").map(\.text)
        return .success(RequestFrame(id: id, method: method, parameters: parameters, message: message))
    }

    /// A dialect whose client is connected, and what it said to that.
    static func connected() throws -> OpenClawDialect {
        var dialect = try dialect()
        let steps = dialect.read(
            frame("connect", ["minProtocol": .integer(4), "maxProtocol": .integer(4), "device": device]),
            now: now)
        guard case .ask(let id, .enter)? = steps.first else { throw Unexpected(steps: steps) }
        _ = dialect.write(
            .response(id: id, payload: .object(["status": .string("paired"), "sessionId": .string("s")])),
            now: now)
        return dialect
    }

    struct Unexpected: Error { let steps: [DialectStep] }

    static func sent(_ steps: [DialectStep]) throws -> [JSONValue] {
        try steps.compactMap { step in
            guard case .send(let text) = step else { return nil }
            #expect(!text.contains(":null"))
            return try JSONValue(parsing: text.utf8)
        }
    }

    @Test("A statement is spelt as OpenClaw's published vectors have it, the newest version first")
    func statements() throws {
        let phone = try #require(
            OpenClawStatement(
                deviceID: "dev-1", clientID: "openclaw-macos", clientMode: "ui", role: "operator",
                scopes: ["operator.admin", "operator.read"], signedAt: 1_700_000_000_000, token: "tok-123",
                nonce: "nonce-abc", platform: "  IOS\u{FEFF}", deviceFamily: "iPhone"))
        let plain =
            "dev-1|openclaw-macos|ui|operator|operator.admin,operator.read|1700000000000|tok-123|nonce-abc"
        #expect(phone.texts == ["v3|\(plain)|ios|iphone", "v2|\(plain)"])
        // Two statements must never have one text.
        #expect(
            OpenClawStatement(
                deviceID: "a|b", clientID: "", clientMode: "", role: "", scopes: [], signedAt: 0, token: "",
                nonce: "", platform: "", deviceFamily: "") == nil)
        #expect(
            OpenClawStatement(
                deviceID: "a", clientID: "", clientMode: "", role: "", scopes: ["x,y"], signedAt: 0,
                token: "",
                nonce: "", platform: "", deviceFamily: "") == nil)
    }

    @Test("Versions 3 and 4 are spoken, the greater one where both are")
    func versions() throws {
        for (least, most, version) in [(3, 3, 3), (3, 4, 4), (4, 9, 4), (1, 3, 3)] as [(Int64, Int64, Int64)]
        {
            var dialect = try Self.dialect()
            let steps = dialect.read(
                Self.frame(
                    "connect",
                    ["minProtocol": .integer(least), "maxProtocol": .integer(most), "device": Self.device]),
                now: Self.now)
            guard case .ask(let id, .enter)? = steps.first else { throw Unexpected(steps: steps) }
            let hello = dialect.write(
                .response(
                    id: id, payload: .object(["status": .string("paired"), "sessionId": .string("s")])),
                now: Self.now)
            #expect(try Self.sent(hello).first?["payload"]?["protocol"] == .integer(version))
        }
        var old = try Self.dialect()
        let steps = old.read(
            Self.frame("connect", ["minProtocol": .integer(5), "maxProtocol": .integer(6)]), now: Self.now)
        guard case .close(.protocolError, "protocol mismatch")? = steps.last else {
            throw Unexpected(steps: steps)
        }
    }

    @Test("A run is told in both families of events, and numbered")
    func runs() throws {
        var dialect = try Self.connected()
        let asked = dialect.read(
            Self.frame(
                "agent",
                [
                    "message": .string("hi"), "sessionKey": .string("agent:words:x"),
                    "idempotencyKey": .string("r"),
                ], id: "9"), now: Self.now)
        #expect(
            asked == [
                .ask(
                    id: "2",
                    .send(
                        messageID: "r", message: #"{"text":"hi","type":"text"}"#, agent: "words",
                        conversation: ConversationName(stored: "agent:words:x")))
            ])
        let accepted = dialect.write(.accepted(id: "2", messageID: "r", messageSeq: 1), now: Self.now)
        #expect(try Self.sent(accepted).first?["payload"]?["status"] == .string("accepted"))
        let part = dialect.write(
            .channelEvent("message.part", payload: #"{"inReplyTo":"r","part":0,"text":"he"}"#, seq: 1),
            now: Self.now)
        #expect(
            try Self.sent(part).map { $0["event"] } == [.string("chat"), .string("agent")])
        let end = dialect.write(
            .channelEvent(
                "message", payload: #"{"messageSeq":7,"agent":"a","message":{"text":"hey"},"inReplyTo":"r"}"#,
                seq: 2), now: Self.now)
        let told = try Self.sent(end)
        #expect(told.last?["id"] == .string("9") && told.last?["payload"]?["status"] == .string("ok"))
        #expect(end.last == .ping(7))
        let numbers = try (Self.sent(accepted) + Self.sent(part) + told).compactMap { $0["seq"]?.wholeNumber }
        #expect(numbers == Array(1...Int64(numbers.count)))
        // What was sent is acknowledged by the pong that follows it, and by no other.
        let early = dialect.ponged(8)
        #expect(early == [])
        let acknowledged = dialect.ponged(7)
        #expect(acknowledged == [.ask(id: "3", .acknowledge(messageSeq: 7))])
    }

    @Test("An agent that begins anew replaces what it had said")
    func retries() throws {
        var runs = OpenClawRuns()
        _ = runs.begin("r", sessionKey: "s", agentRequest: nil, at: 1)
        _ = runs.part("r", number: 0, "Hel", at: 2)
        let again = runs.part("r", number: 0, "Other", at: 3)
        guard case .event("chat", let text)? = again.first else { throw Unexpected(steps: []) }
        let payload = try JSONValue(parsing: text.utf8)
        #expect(payload["replace"] == .bool(true) && payload["deltaText"] == .string("Other"))
        let failed = runs.fail("r", "refused", at: 4)
        #expect(failed.count == 2)
        let late = runs.message("r", "late", at: 5)
        #expect(!late.isEmpty)
    }

    @Test(
        "A long answer is told in ever greater pieces, none of it twice in what is new, and no text is kept")
    func longAnswers() throws {
        var runs = OpenClawRuns()
        _ = runs.begin("r", sessionKey: "s", agentRequest: nil, at: 1)
        var told = ""
        var bytes = 0
        for number in 0..<5000 {
            for event in runs.part("r", number: Int64(number), "wörd ", at: 2) {
                guard case .event(let name, let text) = event else { continue }
                bytes += text.utf8.count
                let payload = try JSONValue(parsing: text.utf8)
                if name == "chat" { told += try #require(payload["deltaText"]?.string) }
            }
        }
        let whole = String(repeating: "wörd ", count: 5000)
        #expect(whole.hasPrefix(told) && told.utf8.count > whole.utf8.count * 9 / 10)
        #expect(bytes < whole.utf8.count * 150)
        let end = runs.message("r", whole, at: 3)
        guard case .event("agent", let text)? = end.first else { throw Unexpected(steps: []) }
        let payload = try JSONValue(parsing: text.utf8)
        #expect(payload["data"]?["delta"]?.string == String(whole.dropFirst(told.count)))
        #expect(runs.run("r")?.text == "")
    }

    @Test("Who waits for a run hears of its end, or that it took too long")
    func waits() {
        var runs = OpenClawRuns()
        _ = runs.begin("r", sessionKey: "s", agentRequest: nil, at: 1)
        let first = runs.wait(for: "r", "w1", until: 100)
        let second = runs.wait(for: "r", "w2", until: 10)
        #expect(first == [] && second == [])
        let late = runs.takeLate(at: 10)
        #expect(late == [.answer("w2", ["runId": .string("r"), "status": .string("timeout")])])
        let ended = runs.message("r", "x", at: 20)
        guard case .answer("w1", let payload)? = ended.last else {
            Issue.record("\(ended)")
            return
        }
        #expect(payload["status"] == .string("ok") && payload["endedAt"] == .integer(20))
    }

    @Test("Nothing is answered before connect, and what a device may not call is refused in OpenClaw's words")
    func refusals() throws {
        var stranger = try Self.dialect()
        let early = stranger.read(Self.frame("chat.send", ["message": .string("x")]), now: Self.now)
        #expect(try Self.sent(early).first?["ok"] == .bool(false))
        let ping = stranger.read(
            .failure(FrameRefusal(id: nil, refusal: Refusal(.invalidRequest, "bad_id", ""))), now: Self.now)
        #expect(ping == [])
        var dialect = try Self.connected()
        let refused = dialect.read(Self.frame("config.set"), now: Self.now)
        #expect(try Self.sent(refused).first?["error"]?["details"]?["code"] == .string("MISSING_SCOPE"))
        let files = dialect.read(
            Self.frame("chat.send", ["message": .string("x"), "attachments": .array([.integer(1)])]),
            now: Self.now)
        #expect(try Self.sent(files).first?["ok"] == .bool(false))
    }

    @Test("A refusal's reason fits a close frame, whole characters of it")
    func reasons() {
        let text = OpenClawFrames.reason(String(repeating: "é", count: 100))
        #expect(text.utf8.count == 122 && text.count == 61)
    }
}
