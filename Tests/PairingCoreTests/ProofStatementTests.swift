import PairingCore
import Testing

@Suite("Proof statements")
struct ProofStatementTests {
    private let key: PublicKey
    private let origin: Origin
    private let channel: ChannelID
    private let senderID: SenderID

    init() throws {
        key = try #require(PublicKey(bytes: (0..<32).map { UInt8($0) }))
        origin = try #require(Origin("https://nodes.example.org"))
        channel = try #require(ChannelID("web"))
        senderID = try #require(SenderID("Tablet-01"))
    }

    @Test("A device signs purpose, origin, channel, sender, key, time and nonce, in this order")
    func text() {
        let statement = ProofStatement(
            purpose: .connect, origin: origin, channel: channel, senderID: senderID, key: key,
            signedAt: Timestamp(milliseconds: 1_700_000_000_123), nonce: "bm9uY2U")
        #expect(
            statement.text
                == "nodes-v1|connect|https://nodes.example.org|web|Tablet-01|"
                + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8|1700000000123|bm9uY2U")
    }

    @Test("Each field changes the text")
    func distinct() {
        func text(
            _ purpose: ProofPurpose = .pair, origin: Origin? = nil, channel: ChannelID? = nil,
            senderID: SenderID? = nil, key: PublicKey? = nil, at: Int64 = 1, nonce: String = "n"
        ) -> String {
            ProofStatement(
                purpose: purpose, origin: origin ?? self.origin, channel: channel ?? self.channel,
                senderID: senderID ?? self.senderID, key: key ?? self.key,
                signedAt: Timestamp(milliseconds: at), nonce: nonce
            ).text
        }
        let texts = [
            text(), text(.status), text(.connect),
            text(origin: Origin("http://nodes.example.org")),
            text(channel: ChannelID("iot")),
            // Spelt as the device sent it, although it names the same device.
            text(senderID: SenderID("tablet-01")),
            text(key: PublicKey(bytes: Array(repeating: 1, count: 32))), text(at: 2), text(nonce: "m"),
        ]
        #expect(Set(texts).count == texts.count)
    }

    @Test("No field can hold the separator")
    func separator() {
        #expect(Origin("https://a|b") == nil)
        #expect(ChannelID("a|b") == nil)
        #expect(SenderID("a|b") == nil)
        #expect(!key.text.contains("|"))
    }
}
