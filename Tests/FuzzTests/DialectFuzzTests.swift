import NodesProtocol
import PairingCore
import Testing

/// Whatever a client of another dialect sends, its codec keeps what it promises (I7, I10).
@Suite("Random input to codecs", .serialized)
struct DialectFuzzTests {
    static let now = Timestamp(milliseconds: 1)

    static func device(_ secret: String) -> (token: DeviceToken, senderID: SenderID)? {
        guard let token = DeviceToken(bytes: Array(repeating: 7, count: 32)), let senderID = SenderID("a")
        else {
            return nil
        }
        return (token, senderID)
    }

    static func codecs() throws -> [any Dialect] {
        let channel = try #require(ChannelID("web"))
        return [
            GoClawDialect(
                facts: GoClawDialect.Facts(
                    channel: channel, administratorsPrefix: "gcn_", secretDevice: device,
                    makeSecret: { String(repeating: "s", count: 43) }, makeMessageID: { "made" })),
            OpenClawDialect(
                facts: OpenClawDialect.Facts(
                    channel: channel, agents: ["a"], maximumMessage: 1, maximumBuffered: 1,
                    secretDevice: device,
                    makeMessageID: { "made" })),
        ]
    }

    @Test("Frames are answered or asked for, before and after connect, and what is sent is JSON")
    func frames() throws {
        let parameters = [
            ("connect", #"{"user_id":"u","sender_id":"\#(String(repeating: "s", count: 43))","token":""}"#),
            ("browser.pairing.status", #"{"sender_id":"x"}"#),
            (
                "chat.send",
                #"{"message":"hi","sessionKey":"agent:a:b","agent_key":"a","stream":true,"idempotencyKey":"k"}"#
            ),
            ("chat.abort", #"{"sessionKey":"s","runId":"made"}"#),
            ("agent.wait", #"{"runId":"k","timeoutMs":1}"#),
            ("chat.history", #"{"limit":5}"#),
            ("node.event", #"{"event":"agent.request","payloadJSON":"{}"}"#),
            ("device.pair.revoke", #"{"id":"x"}"#), ("device.pair.approve", #"{"code":"ABCD2345"}"#),
        ]
        let examples = parameters.map { #"{"type":"req","id":"1","method":"\#($0.0)","params":\#($0.1)}"# }
        let connect =
            #"{"type":"req","id":"0","method":"connect","params":{"user_id":"u","token":"\#(String(repeating: "t", count: 43))","minProtocol":3,"maxProtocol":4,"auth":{"token":"\#(String(repeating: "t", count: 43))"}}}"#
        let first = try RequestFrame(parsing: connect.utf8)
        let fresh = try Self.codecs()
        var connected = fresh
        for index in connected.indices {
            guard case .ask(let id, _)? = connected[index].read(.success(first), now: Self.now).first else {
                Issue.record("connect is not asked for")
                return
            }
            _ = connected[index].write(
                .response(
                    id: id, payload: .object(["status": .string("paired"), "sessionId": .string("s")])),
                now: Self.now)
        }
        fuzz("dialects", examples: examples) { _, bytes in
            let frame: Result<RequestFrame, FrameRefusal>
            do throws(FrameRefusal) {
                frame = .success(try RequestFrame(parsing: bytes))
            } catch {
                frame = .failure(error)
            }
            for var codec in fresh + connected {
                for step in codec.read(frame, now: Self.now) {
                    guard case .send(let text) = step else { continue }
                    #expect((try? JSONValue(parsing: text.utf8)) != nil)
                }
            }
        }
    }
}
