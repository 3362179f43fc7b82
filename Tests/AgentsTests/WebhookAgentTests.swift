import PairingCore
import Testing

@testable import Agents

@Suite("Web hooks to agents")
struct WebhookAgentTests {
    @Test("The signature is the one of the published example of Standard Webhooks")
    func signature() throws {
        let secret = try #require(WebhookAgent.Settings.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        #expect(
            WebhookAgent.signature(
                of: #"{"test": 2432232314}"#, id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: "1614265330",
                secret: secret) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    @Test(
        "A secret of another form is refused",
        arguments: ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_%%%%"])
    func secrets(text: String) { #expect(WebhookAgent.Settings.secret(text) == nil) }

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
}
