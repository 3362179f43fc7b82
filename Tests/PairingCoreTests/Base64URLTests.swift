import PairingCore
import Testing

@Suite("Base64url")
struct Base64URLTests {
    @Test(
        "The vectors of RFC 4648, section 10, without padding",
        arguments: [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ])
    func vectors(_ plain: String, _ encoded: String) {
        #expect(Base64URL.encode(plain.utf8) == encoded)
        #expect(Base64URL.decode(encoded, count: plain.utf8.count) == Array(plain.utf8))
    }

    @Test("The alphabet is the URL-safe one")
    func alphabet() {
        #expect(Base64URL.encode([0xFB, 0xEF, 0xFF]) == "--__")
        #expect(Base64URL.decode("--__", count: 3) == [0xFB, 0xEF, 0xFF])
        #expect(Base64URL.decode("++//", count: 3) == nil)
    }

    @Test("What was encoded is decoded again", arguments: [1, 2, 3, 16, 31, 32, 33, 64])
    func roundTrip(_ count: Int) {
        for seed in 0..<64 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ seed &* 101) }
            #expect(Base64URL.decode(Base64URL.encode(bytes), count: count) == bytes)
        }
    }

    @Test(
        "Another spelling of the same bytes is refused",
        arguments: ["Zg==", "Zg=", "Zh", " Zg", "Zg\n", "Z\u{1D5C0}", "ZgA", "Z"])
    func canonicalOnly(_ text: String) {
        #expect(Base64URL.decode(text, count: 1) == nil)
    }

    @Test("Exactly one of all last characters decodes to the same 32 bytes")
    func lastCharacter() throws {
        let key = Array(repeating: UInt8(0xA5), count: 32)
        let spelling = Base64URL.encode(key)
        let accepted = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".filter {
            Base64URL.decode(spelling.dropLast() + String($0), count: 32) == key
        }
        #expect(accepted.count == 1)
    }

    @Test("Keys and tokens have 32 bytes")
    func lengths() {
        let exact = Base64URL.encode(Array(repeating: 7, count: 32))
        #expect(PublicKey(exact)?.text == exact)
        #expect(DeviceToken(exact)?.text == exact)
        for count in [0, 31, 33, 64] {
            let bytes = Array(repeating: UInt8(7), count: count)
            #expect(PublicKey(bytes: bytes) == nil)
            #expect(DeviceToken(bytes: bytes) == nil)
            #expect(PublicKey(Base64URL.encode(bytes)) == nil)
            #expect(DeviceToken(Base64URL.encode(bytes)) == nil)
        }
    }

    @Test("A token never shows itself (I9)")
    func hiddenToken() throws {
        let token = try #require(DeviceToken(bytes: Array(repeating: 7, count: 32)))
        let shown =
            "\(token) \(String(reflecting: token)) \(ClaimedCredential.token(token)) \(Evidence.token(token))"
        #expect(!shown.contains(token.text))
        #expect(!shown.contains("7, 7"))
        var dumped = ""
        dump(ClaimedCredential.token(token), to: &dumped)
        #expect(!dumped.contains("7"))
    }
}
