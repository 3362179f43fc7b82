import PairingCore
import Testing

@Suite("Identifiers")
struct IdentifierTests {
    @Test(
        "A sender ID of letters, digits and ._:@- is taken as the device spelt it",
        arguments: [
            "a", "7", "tablet-reception-01", "Sensor.7:A@hall_2", "x" + String(repeating: "-", count: 127),
        ])
    func acceptsSenderID(_ text: String) throws {
        let senderID = try #require(SenderID(text))
        #expect(senderID.text == text)
        #expect(senderID.description == text)
    }

    @Test(
        "A sender ID outside its grammar is refused",
        arguments: [
            "", "-tablet", ".tablet", "_tablet", "a b", "a/b", "a|b", "a\u{0}b", "a\nb", "tablet\n",
            " tablet",
            "tablett\u{E4}", "\u{430}bc", "a\u{301}", "a=b", "a%20b", "<b>",
            "x" + String(repeating: "y", count: 128),
        ])
    func refusesSenderID(_ text: String) {
        #expect(SenderID(text) == nil)
    }

    @Test("Sender IDs that differ only in ASCII case are one (I1)")
    func senderIDsIgnoreCase() throws {
        let lower = try #require(SenderID("tablet-01"))
        let upper = try #require(SenderID("TABLET-01"))
        #expect(lower == upper)
        #expect(lower.key == upper.key)
        #expect(Set([lower, upper]).count == 1)
        #expect(lower != SenderID("tablet-02"))
    }

    @Test(
        "A channel is a short lower-case word",
        arguments: ["web", "a", "io-t_2", "a" + String(repeating: "9", count: 31)])
    func acceptsChannel(_ text: String) throws {
        #expect(try #require(ChannelID(text)).text == text)
    }

    @Test(
        "A channel outside its grammar is refused",
        arguments: [
            "", "Web", "1web", "-web", "_web", "we b", "web.", "w\u{E9}b", "web\u{0}", "../web", "web/x",
            "a" + String(repeating: "b", count: 32),
        ])
    func refusesChannel(_ text: String) {
        #expect(ChannelID(text) == nil)
    }

    @Test("A request ID is a UUID in either case, kept in lower case")
    func requestID() throws {
        let id = try #require(RequestID("0193F0C2-7A5B-4DEF-8A90-ABCDEF012345"))
        #expect(id.text == "0193f0c2-7a5b-4def-8a90-abcdef012345")
        #expect(id == RequestID("0193f0c2-7a5b-4def-8a90-abcdef012345"))
        #expect(InstanceID(id.text.uppercased())?.text == id.text)
    }

    @Test(
        "What is not 36 characters of a UUID is refused",
        arguments: [
            "", "0193f0c2", "0193f0c27a5b4def8a90abcdef012345", "{0193f0c2-7a5b-4def-8a90-abcdef01234}",
            "0193f0c2-7a5b-4def-8a90-abcdef01234g", "0193f0c2-7a5b-4def-8a90-abcdef0123456",
            "0193f0c2-7a5b-4def-8a900abcdef012345", "0193f0c2-7a5b-4def-8a90-abcdef01234\u{660}",
            "0193f0c2-7a5b-4def-8a90-abcdef01234' --",
        ])
    func refusesRequestID(_ text: String) {
        #expect(RequestID(text) == nil)
        #expect(InstanceID(text) == nil)
    }

    @Test("A generation is read from a form as a decimal number that is not negative")
    func generation() {
        #expect(Generation("0") == Generation(0))
        #expect(Generation("9223372036854775807")?.number == .max)
        for text in ["", "-1", "1.5", "0x10", "9223372036854775808", "1 ", "\u{661}"] {
            #expect(Generation(text) == nil, "\(text)")
        }
        #expect(Generation(2) < Generation(10))
        #expect(Epoch(2) < Epoch(10))
        #expect(SocketID(2) < SocketID(10))
    }
}
