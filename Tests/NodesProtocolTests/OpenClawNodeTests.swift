import PairingCore
import Testing

@testable import NodesProtocol

@Suite("Nodes of OpenClaw's dialect")
struct OpenClawNodeTests {
    private typealias Basics = OpenClawDialectTests
    private static let now = OpenClawDialectTests.now

    /// A node that is connected, and what it asked the server for.
    private func connected(role: String = "node") throws -> (OpenClawDialect, DeviceIdentity) {
        var dialect = try Basics.dialect()
        let steps = dialect.read(
            Basics.frame(
                "connect",
                [
                    "minProtocol": .integer(4), "maxProtocol": .integer(4), "device": Basics.device,
                    "role": .string(role), "commands": .array([.string("canvas.present")]),
                ]), now: Self.now)
        guard case .ask(let id, .enter(let claim, let identity))? = steps.first else {
            throw Basics.Unexpected(steps: steps)
        }
        #expect(claim.metadata["role"] == .string(role))
        #expect(claim.metadata["commands"] == .array([.string("canvas.present")]))
        _ = dialect.write(
            .response(id: id, payload: .object(["status": .string("paired"), "sessionId": .string("s")])),
            now: Self.now)
        return (dialect, identity)
    }

    @Test("One key is a node and an operator, each under a name of its own")
    func names() throws {
        let (_, node) = try connected()
        let (_, operatorIdentity) = try connected(role: "operator")
        #expect(operatorIdentity.senderID.text == String(repeating: "a", count: 64))
        #expect(node.senderID.text == operatorIdentity.senderID.text + ":node")
        #expect(OpenClawStatement.deviceID(of: node.senderID) == operatorIdentity.senderID.text)
    }

    @Test("An agent's command is an invocation, and its result the command's acknowledgement")
    func invocations() throws {
        var (dialect, _) = try connected()
        let steps = dialect.write(
            .channelEvent(
                "command",
                payload:
                    #"{"messageSeq":9,"agent":"a","message":{"type":"command","command":"canvas.present","#
                    + #""parameters":{"text":"hi"},"callId":"c-1","timeoutMs":5000}}"#, seq: 1), now: Self.now
        )
        let sent = try Basics.sent(steps)
        #expect(sent.first?["event"] == .string("node.invoke.request"))
        let payload = try #require(sent.first?["payload"])
        #expect(
            payload
                == .object([
                    "id": .string("canvas.present#c-1"), "nodeId": .string(String(repeating: "a", count: 64)),
                    "command": .string("canvas.present"), "paramsJSON": .string(#"{"text":"hi"}"#),
                    "timeoutMs": .integer(5000), "idempotencyKey": .string("canvas.present#c-1"),
                ]))
        #expect(steps.last == .ping(9))
        // Both spellings of a result; the one of a failure as well.
        for (facts, message) in [
            (
                ["ok": .bool(true), "payloadJSON": .string(#"{"shown":true}"#)],
                #"{"callId":"c-1","command":"canvas.present","ok":true,"result":{"shown":true},"type":"ack"}"#
            ),
            (
                ["ok": .bool(true), "payload": .integer(1)],
                #"{"callId":"c-1","command":"canvas.present","ok":true,"result":1,"type":"ack"}"#
            ),
            (
                [
                    "ok": .bool(false),
                    "error": .object(["code": .string("DENIED"), "message": .string("no screen")]),
                ],
                #"{"callId":"c-1","command":"canvas.present","detail":"no screen","ok":false,"type":"ack"}"#
            ),
        ] as [([String: JSONValue], String)] {
            let asked = dialect.read(
                Basics.frame(
                    "node.invoke.result",
                    facts.merging(["id": .string("canvas.present#c-1"), "nodeId": .string("x")]) { $1 },
                    id: "r"), now: Self.now)
            guard case .ask(let id, .send(let messageID, let said, nil, .main))? = asked.first else {
                throw Basics.Unexpected(steps: asked)
            }
            #expect(said == message && messageID == "result:canvas.present#c-1")
            let answered = dialect.write(
                .accepted(id: id, messageID: messageID, messageSeq: 4), now: Self.now)
            #expect(try Basics.sent(answered).map { $0["payload"] } == [.object(["ok": .bool(true)])])
            #expect(answered.count == 1, "a result is no run")
        }
        let nameless = dialect.read(
            Basics.frame("node.invoke.result", ["id": .string("x"), "ok": .bool(true)]), now: Self.now)
        #expect(try Basics.sent(nameless).first?["ok"] == .bool(false))
    }

    @Test(
        "A command has an identifier whether its agent gave it one or not, and an operator is invoked by nobody"
    )
    func others() throws {
        let frame = ServerFrame.channelEvent(
            "command", payload: #"{"messageSeq":9,"agent":"a","message":{"type":"command","command":"x"}}"#,
            seq: 1)
        var (node, _) = try connected()
        let sent = try Basics.sent(node.write(frame, now: Self.now))
        #expect(sent.first?["payload"]?["id"] == .string("x#9"))
        #expect(sent.first?["payload"]?["paramsJSON"] == nil)
        var (talker, _) = try connected(role: "operator")
        let told = try Basics.sent(talker.write(frame, now: Self.now))
        #expect(!told.contains { $0["event"] == .string("node.invoke.request") })
    }

    @Test("What nodes say is a message, what they only tell is taken")
    func events() throws {
        var (dialect, _) = try connected()
        for (event, payload, text) in [
            ("agent.request", #"{"message":"hi","sessionKey":"node-9"}"#, "hi"),
            ("voice.transcript", #"{"text":"hello"}"#, "hello"),
        ] {
            let steps = dialect.read(
                Basics.frame(
                    "node.event", ["event": .string(event), "payloadJSON": .string(payload)]), now: Self.now)
            guard case .ask(_, .send(_, let message, _, let conversation))? = steps.first else {
                throw Basics.Unexpected(steps: steps)
            }
            #expect(message == #"{"text":"\#(text)","type":"text"}"#)
            #expect(conversation.text == (event == "agent.request" ? "node-9" : ""))
        }
        for (method, parameters) in [
            ("node.event", ["event": .string("chat.subscribe"), "payloadJSON": .string("{")]),
            ("node.invoke.progress", ["id": .string("x#1")]),
        ] as [(String, [String: JSONValue])] {
            let steps = dialect.read(Basics.frame(method, parameters), now: Self.now)
            #expect(try Basics.sent(steps).first?["ok"] == .bool(true))
        }
    }

    @Test("A session's key is a conversation, letter for letter, but for the main one's two")
    func conversations() {
        #expect(OpenClawDialect.conversation("main") == .main)
        #expect(OpenClawDialect.conversation("agent:main:main") == .main)
        #expect(OpenClawDialect.conversation("agent:Main:main")?.text == "agent:Main:main")
        #expect(OpenClawDialect.conversation(String(repeating: "k", count: 129)) == nil)
    }
}
