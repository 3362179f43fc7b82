import Foundation
import PairingCore
import Testing

@testable import NodesProtocol

/// What clients that people have were seen to send and to be sent, replayed: once as it was, and once with what a later
/// version of them may do to it: further members everywhere, and all in another order.
@Suite("Recorded conversations of OpenClaw's clients")
struct GoldenConversationTests {
    /// A socket of a client, as it was recorded.
    struct Connection: Sendable, CustomTestStringConvertible {
        let client: String
        let frames: [(isClients: Bool, frame: JSONValue)]
        var testDescription: String { "\(client), \(frames.count) frames" }

        /// Whether an administrator had approved the device by then.
        var isPaired: Bool { frames.contains { $0.frame["payload"]?["type"]?.string == "hello-ok" } }
        var sent: [JSONValue] { frames.filter(\.isClients).map(\.frame) }
        var received: [JSONValue] { frames.filter { !$0.isClients }.map(\.frame) }
    }

    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")

    static func document(_ name: String) throws -> JSONValue {
        try JSONValue(parsing: Data(contentsOf: folder.appending(path: name)))
    }

    static let connections: [Connection] = {
        let names = [
            "bamboo-claw", "bluelobster", "node", "openclaw-sdk", "openclaw-webchat-adapter", "opencat",
            "operator", "superred",
        ]
        return names.flatMap { name -> [Connection] in
            guard let document = try? document("\(name).json"),
                case .array(let sockets)? = document["connections"]
            else { return [Connection(client: name, frames: [])] }
            return sockets.map { socket in
                guard case .array(let frames) = socket else { return Connection(client: name, frames: []) }
                return Connection(
                    client: name,
                    frames: frames.compactMap { frame in
                        if let sent = frame["sent"] { return (true, sent) }
                        return frame["received"].map { (false, $0) }
                    })
            }
        }
    }()

    /// Plays the server for a codec: approves, answers, and says what an agent would.
    private struct Server {
        var dialect: OpenClawDialect
        let isPaired: Bool
        var requests: [DeviceRequest] = []
        var told: [JSONValue] = []
        private var number: Int64 = 0
        private let now = OpenClawDialectTests.now

        init(isPaired: Bool) throws {
            self.isPaired = isPaired
            let channel = try #require(ChannelID("openclaw"))
            dialect = OpenClawDialect(
                facts: OpenClawDialect.Facts(
                    channel: channel, agents: ["echo", "steps", "words"], maximumMessage: 1 << 19,
                    maximumBuffered: 1 << 20,
                    secretDevice: { secret in
                        guard let token = DeviceToken(bytes: Array(repeating: 1, count: 32)),
                            let senderID = SenderID("oc-\(secret.utf8.count)")
                        else { return nil }
                        return (token, senderID)
                    }, makeMessageID: { "made" }))
        }

        mutating func read(_ text: String) throws {
            let result: Result<RequestFrame, FrameRefusal>
            do throws(FrameRefusal) {
                result = .success(try RequestFrame(parsing: text.utf8))
            } catch {
                result = .failure(error)
            }
            try carryOut(dialect.read(result, now: now))
        }

        private mutating func carryOut(_ steps: [DialectStep]) throws {
            for step in steps {
                switch step {
                case .send(let text):
                    #expect(!text.contains(":null"))
                    told.append(try JSONValue(parsing: text.utf8))
                case .ping(let number): try carryOut(dialect.ponged(number))
                case .close: break
                case .ask(let id, let request):
                    requests.append(request)
                    for frame in answers(to: request, id) { try carryOut(dialect.write(frame, now: now)) }
                }
            }
        }

        private mutating func answers(to request: DeviceRequest, _ id: String) -> [ServerFrame] {
            switch request {
            case .enter where isPaired:
                return [
                    .response(
                        id: id,
                        payload: .object(["status": .string("paired"), "sessionId": .string("0-1-2")]))
                ]
            case .enter:
                return [
                    .response(
                        id: id,
                        payload: .object([
                            "status": .string("pending_pairing"), "requestId": .string("r"),
                            "code": .string("ABCD-EFGH"), "expiresInMs": .integer(5),
                        ]))
                ]
            case .send(let messageID, _, _, let conversation):
                number += 1
                let name = JSONValue.string(messageID).text
                let place = conversation.isMain ? "" : #","conversation":"\#(conversation.text)""#
                return [
                    .accepted(id: id, messageID: messageID, messageSeq: number),
                    .channelEvent(
                        "message.part", payload: #"{"inReplyTo":\#(name),"agent":"a","part":0,"text":"he"}"#,
                        seq: 1),
                    .channelEvent(
                        "message",
                        payload:
                            #"{"messageSeq":\#(number),"agent":"a","message":{"text":"hello"},"inReplyTo":\#(name)\#(place)}"#,
                        seq: 2),
                ]
            case .history(_, _, let conversation):
                let page = MessageHistory.Page(
                    lines: [
                        .init(sequence: 1, agent: nil, messageID: "m", body: #"{"text":"hello"}"#, at: now),
                        .init(sequence: 1, agent: "a", messageID: "m", body: #"{"text":"hello"}"#, at: now),
                    ], next: nil)
                return [.response(id: id, payload: page.payload(of: conversation))]
            case .agents:
                let names: [JSONValue] = [.string("echo"), .string("words")]
                return [.response(id: id, payload: .object(["agents": .array(names)]))]
            default: return []
            }
        }
    }

    private static func play(_ connection: Connection, _ spell: (JSONValue) -> String) throws -> Server {
        var server = try Server(isPaired: connection.isPaired)
        for frame in connection.sent { try server.read(spell(frame)) }
        return server
    }

    /// The names of a value's members at all depths.
    private static func paths(_ value: JSONValue, _ prefix: String = "") -> Set<String> {
        switch value {
        case .object(let members):
            members.reduce(into: []) { paths, member in
                paths.insert("\(prefix).\(member.key)")
                paths.formUnion(Self.paths(member.value, "\(prefix).\(member.key)"))
            }
        case .array(let values):
            values.reduce(into: []) { $0.formUnion(paths($1, prefix + "[]")) }
        default: []
        }
    }

    /// What kind of event it is; `nil` for those that the server sends for reasons of its own.
    private static func kind(_ frame: JSONValue) -> String? {
        guard let name = frame["event"]?.string, let payload = frame["payload"] else { return nil }
        switch name {
        case "chat": return "chat \(payload["state"]?.string ?? "-")"
        case "agent":
            return "agent \(payload["stream"]?.string ?? "-") \(payload["data"]?["phase"]?.string ?? "-")"
        default: return nil
        }
    }

    @Test("Each is answered with what it was seen to be answered with", arguments: connections)
    func replayed(_ connection: Connection) throws {
        try #require(!connection.sent.isEmpty, "the recording is there")
        let server = try Self.play(connection, \.text)
        for answer in connection.received where answer["type"] == .string("res") {
            let id = answer["id"]?.string
            // A request may be answered twice: by the run that begins, and by its end.
            let ours = server.told.filter { $0["id"]?.string == id && $0["ok"] == answer["ok"] }
            let expected = Self.paths(answer)
            #expect(
                ours.contains { Self.paths($0).isSuperset(of: expected) },
                "\(answer.text.prefix(300)) is answered \(ours.map { $0.text.prefix(300) })")
        }
        let kinds = Set(server.told.compactMap(Self.kind))
        let missing = Set(connection.received.compactMap(Self.kind)).subtracting(kinds)
        #expect(missing.isEmpty)
        let names = Set(connection.sent.compactMap { $0["method"]?.string })
        #expect(names.contains("connect"))
        if connection.isPaired { #expect(server.requests.count > 1) }
    }

    @Test("Further members everywhere, and another order of all, change nothing", arguments: connections)
    func perturbed(_ connection: Connection) throws {
        let plain = try Self.play(connection, \.text)
        let later = try Self.play(connection, Self.spelledLater)
        #expect(later.requests == plain.requests)
        #expect(later.told.map { Self.paths($0) } == plain.told.map { Self.paths($0) })
    }

    @Test("OpenAI's client: its requests are read the same with further members, in another order")
    func openAI() throws {
        guard case .array(let bodies)? = try Self.document("openai.json")["bodies"] else {
            Issue.record("no recording")
            return
        }
        #expect(bodies.count >= 3)
        for body in bodies {
            let plain = try ChatCompletionRequest(parsing: body.text.utf8)
            #expect(plain.text == "hello")
            #expect(try ChatCompletionRequest(parsing: Self.spelledLater(body).utf8) == plain)
        }
    }

    /// Each object with one more member and its members the other way round, and space between all.
    private static func spelledLater(_ value: JSONValue) -> String {
        switch value {
        case .object(let members):
            let told = members.sorted { $0.key > $1.key }.map {
                // What a node says of a command goes on to the agent as it is.
                "\(JSONValue.string($0.key).text) : \($0.key == "payload" ? $0.value.text : spelledLater($0.value))"
            }
            return "{ \((told + [#""xLater": {"deep": [1, null]}"#]).joined(separator: " , ")) }"
        case .array(let values): return "[ \(values.map(spelledLater).joined(separator: ", ")) ]"
        default: return value.text
        }
    }
}
