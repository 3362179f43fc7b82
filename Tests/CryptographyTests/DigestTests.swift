import Cryptography
import Testing

@Suite("Digests and random bytes")
struct DigestTests {
    @Test(
        "SHA-256 gives FIPS 180-4's example digests",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func sha256Examples(message: String, digest: String) {
        #expect(hexadecimal(sha256(Array(message.utf8))) == digest)
        #expect(hexadecimal(sha256(message.utf8)) == digest)
    }

    @Test("SHA-256 of a slice is of the slice alone")
    func slice() {
        #expect(sha256(Array("xxabcyy".utf8)[2..<5]) == sha256(Array("abc".utf8)))
    }

    @Test(
        "HMAC-SHA-256 gives RFC 4231's example codes",
        arguments: [
            (
                [UInt8](repeating: 0x0b, count: 20), "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                [UInt8](repeating: 0xaa, count: 131),
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
        ])
    func hmacExamples(key: [UInt8], message: String, code: String) {
        #expect(hexadecimal(hmacSHA256(key: key, message: message.utf8)) == code)
    }

    @Test("HMAC-SHA-256 takes an empty key and an empty message")
    func emptyHMAC() {
        #expect(
            hexadecimal(hmacSHA256(key: [], message: []))
                == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    @Test("Constant-time comparison agrees with ==")
    func comparison() {
        #expect(constantTimeEquals([], []))
        #expect(constantTimeEquals([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEquals([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEquals([1, 2, 3], [1, 2]))
    }

    @Test("Random bytes have the length asked for and don't repeat")
    func random() throws {
        #expect(try randomBytes(count: 0).isEmpty)
        let values = try (0..<1_000).map { _ in try randomBytes(count: 16) }
        #expect(values.allSatisfy { $0.count == 16 })
        #expect(Set(values).count == values.count)
    }

    @Test("Many threads may hash at once")
    func parallel() async {
        let expected = sha256("abc".utf8)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<64 {
                group.addTask { (0..<200).allSatisfy { _ in sha256("abc".utf8) == expected } }
            }
            for await same in group { #expect(same) }
        }
    }
}
