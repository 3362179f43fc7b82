import PairingCore
import Testing

@testable import Agents

@Suite("Web hooks to agents")
struct WebhookAgentTests {
    @Test("The signature is the one of the published example of Standard Webhooks")
    func signature() throws {
        let secret = try #require(StandardWebhook.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        #expect(
            StandardWebhook.signature(
                of: #"{"test": 2432232314}"#, id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: "1614265330",
                secret: secret) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    @Test(
        "A secret of another form is refused",
        arguments: ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_%%%%"])
    func secrets(text: String) { #expect(StandardWebhook.secret(text) == nil) }

    @Test("The body is JSON that holds the message as it was sent")
    func body() throws {
        let request = AgentRequest(
            key: "k", channel: try #require(ChannelID("iot")), senderID: try #require(SenderID("s-1")),
            body: #"{"b":1.50,"a":2}"#)
        let body = WebhookAgent.body(of: request, at: Timestamp(milliseconds: 1_800_000_000_123))
        #expect(body.contains(#""message":{"b":1.50,"a":2}"#))
        let value = try JSONValue(parsing: body.utf8)
        #expect(value["type"]?.string == "message.received")
        #expect(value["timestamp"]?.string == "2027-01-15T08:00:00Z")
        #expect(value["data"]?["senderId"]?.string == "s-1")
        #expect(value["data"]?["channel"]?.string == "iot")
    }

    private static let secret = Array(repeating: UInt8(7), count: 32)

    private func askHook(_ steps: [ScriptedServer.Step]) async throws -> Asked {
        try await ask([steps], try request(#"{"b":1.50}"#, key: "web.1/2/3")) { url, http in
            WebhookAgent(
                name: "hook", settings: WebhookAgent.Settings(url: url, secret: Self.secret), http: http,
                clock: { Timestamp(milliseconds: 1_800_000_000_123) })
        }
    }

    @Test("A message is posted with an identifier, a time and a signature of both and the body")
    func posts() async throws {
        let asked = try await askHook([StreamingOdditiesTests.document(#"{"a":1}"#)])
        #expect(try asked.result.get() == .reply(#"{"a":1}"#))
        let sent = try #require(asked.requests.first)
        #expect(sent.head.hasPrefix("POST /v1 HTTP/1.1\r\n"))
        #expect(sent.header("webhook-id") == "web~1/2/3")
        #expect(sent.header("webhook-timestamp") == "1800000000")
        #expect(
            sent.header("webhook-signature")
                == StandardWebhook.signature(
                    of: sent.body, id: "web~1/2/3", timestamp: "1800000000", secret: Self.secret))
        #expect(sent.body.contains(#""message":{"b":1.50}"#))
    }

    @Test("202 and 204 promise an answer for later", arguments: ["202 Accepted", "204 No Content"])
    func later(status: String) async throws {
        let length = status.hasPrefix("204") ? "" : "Content-Length: 0\r\n"
        let asked = try await askHook([.send("HTTP/1.1 \(status)\r\n\(length)\r\n"), .close])
        #expect(try asked.result.get() == .accepted)
    }

    @Test(
        "What is no answer is a failure of its kind",
        arguments: [
            (StreamingOdditiesTests.document("thanks"), AgentFailure.Reason.invalidAnswer),
            (StreamingOdditiesTests.document(""), .invalidAnswer),
            (StreamingOdditiesTests.document("\"" + String(repeating: "x", count: 300_000) + "\""), .refused),
            (StreamingOdditiesTests.document("", status: "410 Gone"), .refused),
            (StreamingOdditiesTests.document("", status: "429 No"), .busy),
            (StreamingOdditiesTests.document("", status: "502 No"), .unreachable),
            (.close, .unreachable),
        ])
    func failures(step: ScriptedServer.Step, reason: AgentFailure.Reason) async throws {
        let asked = try await askHook([step, .close])
        #expect(asked.reason == reason)
    }
}
