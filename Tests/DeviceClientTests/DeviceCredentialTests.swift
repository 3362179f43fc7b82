import Cryptography
import PairingCore
import Testing

@testable import DeviceClient

@Suite("What a device proves")
struct DeviceCredentialTests {
    /// RFC 8032 §7.1, test 1.
    private let seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"

    @Test(
        "The test vectors for device developers hold",
        arguments: [
            (
                ProofPurpose.pair, "https://nodes.example.org", "web", "tablet-reception-01",
                1_767_225_600_000,
                "z-dD9LnIyrHOzCbnMZoeyW-_217XpodN8pIn-AnfDuyiwKUiJlG0sPuBoZv7o9oTCWvJ63TIjyTlupZfH9HUCA"
            ),
            (
                .status, "http://127.0.0.1:8080", "mobile", "F81D4FAE-7DEC", 1_767_225_600_001,
                "uxI7a7dGa11qw1xmOl0JgcYNDYEdfSJy20xNKSYLKj2RvUBbyk6npsVni0t9NtX_eMbdfxAJn_mDZX4eArYQAg"
            ),
            (
                .connect, "https://nodes.example.org:8443", "iot", "pump:7@hall", 1_767_225_600_002,
                "YRIfwSWwNVVtGSsIbvqd6o3hElmmtHpHouJPQfeUUSCV9HLhlIYAKuwLKxTuReS7LA9sp2sCwwZdyemL-MK6DQ"
            ),
        ] as [(ProofPurpose, String, String, String, Int64, String)])
    func vectors(
        purpose: ProofPurpose, origin: String, channel: String, sender: String, time: Int64, signature: String
    ) throws {
        let key = try #require(
            Base64URL.decode(seed, count: 32).flatMap(Ed25519PrivateKey.init(rawRepresentation:)))
        let identity = DeviceIdentity(
            channel: try #require(ChannelID(channel)), senderID: try #require(SenderID(sender)),
            origin: try #require(Origin(origin)), credential: .key(key))
        let nonce = Base64URL.encode(UInt8(0)...31)
        let parameters = try identity.parameters(
            for: purpose, challenge: Challenge(nonce: nonce, time: Timestamp(milliseconds: time)))
        #expect(parameters["proof"]?["signature"] == .string(signature))
        #expect(parameters["proof"]?["signedAt"] == .integer(time))
        #expect(parameters["senderId"] == .string(sender))
        #expect(parameters["deviceToken"] == nil)
    }

    @Test("A token is sent as it is, and described without it (I9)")
    func token() throws {
        let token = try #require(DeviceToken(bytes: Array(repeating: 9, count: 32)))
        let identity = DeviceIdentity(
            channel: try #require(ChannelID("web")), senderID: try #require(SenderID("t1")),
            origin: try #require(Origin("http://localhost")), credential: .token(token),
            metadata: .object(["model": .string("T1")]))
        let parameters = try identity.parameters(for: .pair, challenge: nil)
        #expect(parameters["deviceToken"] == .string(token.text))
        #expect(parameters["metadata"]?["model"] == .string("T1"))
        #expect(parameters["proof"] == nil)
        #expect(!String(reflecting: identity).contains(token.text))
    }
}
