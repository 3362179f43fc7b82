import Foundation
import PairingCore
import Testing

@testable import NodesProtocol

@Suite("GoClaw's dialect")
struct GoClawDialectTests {
    static let now = Timestamp(milliseconds: 1_795_725_600_000)
    static let secret = String(repeating: "s", count: 43)

    static func dialect() throws -> GoClawDialect {
        GoClawDialect(
            facts: GoClawDialect.Facts(
                channel: try #require(ChannelID("web")), administratorsPrefix: "gcn_",
                secretDevice: { secret in
                    guard let token = DeviceToken(bytes: Array(secret.utf8.prefix(32))),
                        let senderID = SenderID("web-public")
                    else { return nil }
                    return (token, senderID)
                }, makeSecret: { secret }, makeMessageID: { "made" }))
    }

    static func frame(_ text: String) -> Result<RequestFrame, FrameRefusal> {
        do throws(FrameRefusal) {
            return .success(try RequestFrame(parsing: text.utf8))
        } catch {
            return .failure(error)
        }
    }

    static func request(_ method: String, _ parameters: String = "{}", id: String = "1") -> Result<
        RequestFrame, FrameRefusal
    > {
        frame(#"{"type":"req","id":"\#(id)","method":"\#(method)","params":\#(parameters)}"#)
    }

    /// A dialect whose client is connected.
    static func connected(_ parameters: String? = nil) throws -> GoClawDialect {
        var dialect = try dialect()
        _ = dialect.read(
            request("connect", parameters ?? #"{"user_id":"u","sender_id":"\#(secret)"}"#), now: now)
        _ = dialect.write(
            .response(
                id: "1", payload: .object(["status": .string("paired"), "scope": .string("decide")])),
            now: now)
        return dialect
    }

    static func sent(_ steps: [DialectStep]) throws -> [JSONValue] {
        try steps.compactMap { step in
            guard case .send(let text) = step else { return nil }
            return try JSONValue(parsing: text.utf8)
        }
    }

    // MARK: Recorded frames

    static let recorded = URL(filePath: #filePath).deletingLastPathComponent().appending(
        path: "GoClaw/recorded.jsonl")

    @Test(
        "Recorded conversations go on as they were recorded, whatever keys are added and in whatever order",
        arguments: [false, true])
    func golden(varied: Bool) throws {
        var stage = Stage(dialect: try Self.dialect())
        let lines = try String(contentsOf: Self.recorded, encoding: .utf8).split(separator: "\n").map(
            String.init)
        #expect(lines.count > 80)
        for (index, line) in lines.enumerated() where !line.hasPrefix("#") && !line.hasPrefix("?") {
            let isVaried = varied && index + 1 < lines.count && lines[index + 1].hasPrefix("? ")
            try stage.play(isVaried ? "<" + lines[index + 1].dropFirst() : line)
        }
        #expect(stage.steps == [])
    }

    /// Plays a recording line by line.
    struct Stage {
        var dialect: GoClawDialect
        /// What has to come of what was played last.
        var steps: [DialectStep] = []
        private var asked = ""

        init(dialect: GoClawDialect) { self.dialect = dialect }

        mutating func play(_ line: String) throws {
            let line = line.replacing("$secret", with: secret)
            let words = line.split(separator: " ", maxSplits: 2).map(String.init)
            let rest = line.split(separator: " ", maxSplits: 1).last.map(String.init) ?? ""
            switch words[0] {
            case "<": happens(dialect.read(frame(rest), now: now), line)
            case "answer":
                happens(
                    dialect.write(.response(id: asked, payload: try JSONValue(parsing: rest.utf8)), now: now),
                    line)
            case "accepted":
                happens(
                    dialect.write(.accepted(id: asked, messageID: words[1], messageSeq: 1), now: now), line)
            case "event":
                happens(dialect.write(.channelEvent(words[1], payload: words[2], seq: 1), now: now), line)
            case "pong": happens(dialect.ponged(Int64(words[1]) ?? 0), line)
            case "close":
                let end = dialect.closing(.pairingRevoked, "revoked")
                #expect(end.code.rawValue == UInt16(words[1]))
                #expect(
                    try JSONValue(parsing: (end.lastWords ?? "").utf8) == JSONValue(parsing: words[2].utf8))
            case ">":
                guard case .send(let text)? = take(line) else { return }
                #expect(try JSONValue(parsing: text.utf8) == JSONValue(parsing: rest.utf8))
            case "ping": #expect(take(line) == .ping(Int64(words[1]) ?? 0))
            case "ask":
                guard case .ask(let id, let request)? = take(line) else { return }
                asked = id
                let name = "\(request)".prefix { $0 != "(" }
                #expect(words[1] == name)
                if words.count > 2 { #expect(request == .acknowledge(messageSeq: Int64(words[2]) ?? 0)) }
            default: Issue.record("a line that is none: \(line)")
            }
        }

        private mutating func happens(_ new: [DialectStep], _ line: String) {
            #expect(steps == [], "before \(line)")
            steps = new
        }

        private mutating func take(_ line: String) -> DialectStep? {
            guard !steps.isEmpty else {
                Issue.record("nothing more came, expected \(line)")
                return nil
            }
            return steps.removeFirst()
        }
    }

    // MARK: Choice

    @Test(
        "The first frame tells which dialect a client speaks",
        arguments: [
            (#""method":"connect","params":{"user_id":"u"}"#, DialectName.goclaw),
            (#""method":"connect","params":{"token":"x","user_id":""}"#, .goclaw),
            (#""method":"browser.pairing.status","params":{}"#, .goclaw),
            (#""method":"connect","params":{"minProtocol":3,"client":{},"user_id":"u"}"#, .openclaw),
            (#""method":"connect","params":{"token":"gcn_x"}"#, .nodes),
            (#""method":"connect","params":{}"#, .nodes),
            (#""method":"connect","params":{"user_id":"u","channel":"web","senderId":"a"}"#, .nodes),
            (#""method":"connect","params":{"channel":null,"locale":"en"}"#, .goclaw),
            (#""method":"device.pair.request","params":{"user_id":"u"}"#, .nodes),
            (#""method":"chat.send","params":{}"#, .nodes), (#""method":"health""#, nil),
        ] as [(String, DialectName?)])
    func choice(text: String, dialect: DialectName?) throws {
        #expect(try RequestFrame(parsing: #"{"type":"req","id":"1",\#(text)}"#.utf8).dialect == dialect)
    }

    @Test("A client of a dialect that is left out is told which")
    func leftOut() throws {
        let connect = try RequestFrame(
            parsing: #"{"type":"req","id":"1","method":"connect","params":{"user_id":"u"}}"#.utf8)
        #expect(connect.choice(among: [.nodes, .goclaw]) == .spoken(.goclaw))
        #expect(connect.choice(among: [.nodes, .openclaw]) == .notServed(.goclaw))
        #expect(connect.choice(among: [.openclaw]) == .notServed(.goclaw))
        let health = try RequestFrame(parsing: #"{"type":"req","id":"1","method":"health"}"#.utf8)
        #expect(health.choice(among: [.goclaw]) == .undecided)
    }

    // MARK: Pairing

    @Test("I11: a repeat on the same socket asks with the same secret")
    func repeats() throws {
        var dialect = try Self.dialect()
        let asked = [1, 2].map { _ in
            dialect.read(Self.request("connect", #"{"user_id":"u"}"#), now: Self.now)
        }.flatMap(\.self).compactMap { if case .ask(_, let request) = $0 { request } else { nil } }
        #expect(asked.count == 2 && asked.first == asked.last)
        guard case .pair(let claim)? = asked.first else {
            Issue.record("\(asked)")
            return
        }
        #expect(claim.displayName == "u" && claim.senderID.text == "web-public")
    }

    @Test("What administrators see of a device proves nothing, nor does a short token")
    func publicIdentifiers() throws {
        for (method, parameters) in [
            ("connect", #"{"user_id":"u","sender_id":"web-0011223344556677"}"#),
            ("browser.pairing.status", #"{"sender_id":"web-0011223344556677"}"#),
            ("connect", #"{"user_id":"u","token":"short"}"#),
        ] {
            var dialect = try Self.dialect()
            let steps = dialect.read(Self.request(method, parameters), now: Self.now)
            #expect(try Self.sent(steps).first?["error"]?["code"] == .string("UNAUTHORIZED"))
            #expect(steps.count == 1)
        }
    }

    @Test(
        "A refusal says why nobody is connected",
        arguments: [
            (Refusal(.notPaired, "revoked", "r"), "TENANT_ACCESS_REVOKED", "revoked"),
            (Refusal(.alreadyExists, "token_revoked", "r"), "TENANT_ACCESS_REVOKED", "revoked"),
            (Refusal(.notPaired, "denied", "r"), "UNAUTHORIZED", "denied"),
            (Refusal(.notPaired, "expired", "r"), "UNAUTHORIZED", "expired"),
            (Refusal(.notPaired, "unknown", "r"), "UNAUTHORIZED", "unknown"),
            (
                Refusal(.unavailable, "database_unavailable", "r", retryable: true), "UNAVAILABLE",
                "database_unavailable"
            ),
        ])
    func refusals(refusal: Refusal, code: String, reason: String) throws {
        var dialect = try Self.dialect()
        _ = dialect.read(
            Self.request("connect", #"{"user_id":"u","sender_id":"\#(Self.secret)"}"#), now: Self.now)
        let error = try Self.sent(dialect.write(.failure(id: "1", refusal), now: Self.now)).first?["error"]
        #expect(error?["code"] == .string(code) && error?["details"]?["reason"] == .string(reason))
        // Nothing is told of such a socket's end but its code.
        #expect(dialect.closing(.pairingRevoked, "x") == DialectEnd(.pairingRevoked, "x"))
    }

    @Test("What ended is said in a word that clients know, and beside it as it was")
    func endings() throws {
        for status in ["denied", "revoked", "expired"] {
            let told = GoClawDialect.status(.object(["status": .string(status)]))
            #expect(told["status"] == .string("expired") && told["approved"] == .bool(false))
            #expect(told["reason"] == (status == "expired" ? nil : .string(status)))
        }
    }

    @Test("I4: what comes before the client's connect is neither told nor acknowledged")
    func waiting() throws {
        var dialect = try Self.dialect()
        _ = dialect.read(Self.request("connect", #"{"user_id":"u"}"#), now: Self.now)
        _ = dialect.write(
            .response(id: "1", payload: .object(["status": .string("pending_pairing")])), now: Self.now)
        let early = dialect.write(
            .channelEvent("message", payload: #"{"messageSeq":1,"agent":"a","message":"x"}"#, seq: 1),
            now: Self.now)
        #expect(early == [])
        let pong = dialect.ponged(1)
        #expect(pong == [])
    }

    // MARK: Runs

    @Test("A message that nothing is heard of is asked after, and its request is answered however it ended")
    func quiet() throws {
        for (status, code) in [
            ("expired", "AGENT_TIMEOUT"), ("undeliverable", "INTERNAL"), ("delivered", "ALREADY_EXISTS"),
        ] {
            var dialect = try Self.connected()
            _ = dialect.read(Self.request("chat.send", #"{"message":"hi"}"#, id: "9"), now: Self.now)
            _ = dialect.write(.accepted(id: "2", messageID: "made", messageSeq: 1), now: Self.now)
            let early = dialect.ticked(now: Timestamp(milliseconds: Self.now.milliseconds + 14_000))
            #expect(early == [])
            let late = Timestamp(milliseconds: Self.now.milliseconds + 15_000)
            let asked = dialect.ticked(now: late)
            #expect(asked == [.ask(id: "3", .messageStatus(messageID: "made"))])
            let again = dialect.ticked(now: late)
            #expect(again == [])
            let told = try Self.sent(
                dialect.write(.response(id: "3", payload: .object(["status": .string(status)])), now: late))
            #expect(told.first?["payload"]?["type"] == .string("run.failed"))
            #expect(told.last?["id"] == .string("9") && told.last?["error"]?["code"] == .string(code))
        }
    }

    @Test("The same message again waits for the same answer, and both requests get it")
    func repeatedMessage() throws {
        var dialect = try Self.connected()
        for (index, id) in ["8", "9"].enumerated() {
            _ = dialect.read(
                Self.request("chat.send", #"{"message":"hi","messageId":"m"}"#, id: id), now: Self.now)
            _ = dialect.write(.accepted(id: "\(index + 2)", messageID: "m", messageSeq: 1), now: Self.now)
        }
        let told = try Self.sent(
            dialect.write(
                .channelEvent(
                    "message", payload: #"{"messageSeq":1,"agent":"a","message":"x","inReplyTo":"m"}"#, seq: 1
                ),
                now: Self.now))
        #expect(told.compactMap { $0["id"]?.string } == ["8", "9"])
    }

    @Test("One ping is under way at a time, and a pong that answers none acknowledges nothing")
    func pongs() {
        var acknowledgement = PongAcknowledgement()
        let pings = [1, 2, 3].map { acknowledgement.sent($0) }
        #expect(pings == [1, nil, nil])
        let stray = [3, 0, -1].map { acknowledgement.ponged($0) == nil }
        #expect(stray == [true, true, true])
        let first = acknowledgement.ponged(1)
        #expect(first?.acknowledged == 1 && first?.next == 3)
        let again = acknowledgement.ponged(1)
        #expect(again == nil)
        let second = acknowledgement.ponged(3)
        #expect(second?.acknowledged == 3 && second?.next == nil)
        let later = [2, 4].map { acknowledgement.sent($0) }
        #expect(later == [nil, 4])
    }

    // MARK: Administrators

    @Test("An administrator's program decides with GoClaw's spellings")
    func administration() throws {
        var dialect = try Self.connected(#"{"user_id":"u","token":"gcn_x"}"#)
        let code = try #require(PairingCode("GD9W7JB6"))
        let tablet = try #require(SenderID("tablet"))
        let web = try #require(ChannelID("web"))
        for (method, parameters, expected) in [
            ("device.pair.list", "{}", DeviceRequest.list(PairingListing())),
            ("device.pair.approve", #"{"code":"gd9w-7jb6","approvedBy":"x"}"#, .approveCode(code)),
            ("device.pair.deny", #"{"code":"GD9W7JB6","reason":"no"}"#, .denyCode(code, reason: "no")),
            ("device.pair.revoke", #"{"senderId":"tablet","channel":"browser"}"#, .revoke(web, tablet, nil)),
            ("device.pair.revoke", #"{"id":"tablet"}"#, .revoke(nil, tablet, nil)),
        ] {
            let steps = dialect.read(Self.request(method, parameters), now: Self.now)
            guard case .ask(_, let request)? = steps.first else {
                Issue.record("\(method): \(steps)")
                continue
            }
            #expect(request == expected)
        }
        for (method, parameters, code) in [
            ("device.pair.approve", "{}", "INVALID_REQUEST"),
            ("device.pair.approve", #"{"code":"x"}"#, "NOT_FOUND"),
            ("device.pair.revoke", #"{"id":"/"}"#, "INVALID_REQUEST"), ("chat.send", "{}", "UNAUTHORIZED"),
        ] {
            let steps = dialect.read(Self.request(method, parameters), now: Self.now)
            #expect(try Self.sent(steps).first?["error"]?["code"] == .string(code))
        }
    }
}
