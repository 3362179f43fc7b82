import Cryptography
import Testing

@Suite("Ed25519")
struct Ed25519Tests {
    struct Vector: CustomTestStringConvertible, Sendable {
        let name: String
        let seed: String
        let publicKey: String
        let message: String
        let signature: String
        var testDescription: String { name }
    }

    /// RFC 8032 §7.1.
    static let vectors = [
        Vector(
            name: "TEST 1", seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", message: "",
            signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                + "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
        Vector(
            name: "TEST 2", seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", message: "72",
            signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
        Vector(
            name: "TEST 3", seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", message: "af82",
            signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
        Vector(
            name: "TEST SHA(abc)",
            seed: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            publicKey: "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            message: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            signature: "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
                + "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
    ]

    @Test("Signing gives RFC 8032's example signatures, and they verify", arguments: vectors)
    func examples(vector: Vector) throws {
        let key = try #require(Ed25519PrivateKey(rawRepresentation: bytes(vector.seed)))
        #expect(hexadecimal(key.publicKey.rawRepresentation) == vector.publicKey)
        #expect(hexadecimal(try key.sign(bytes(vector.message))) == vector.signature)
        let publicKey = try #require(Ed25519PublicKey(rawRepresentation: bytes(vector.publicKey)))
        #expect(publicKey.isValidSignature(bytes(vector.signature), for: bytes(vector.message)))
    }

    @Test("A device proof made by another implementation verifies")
    func deviceProofs() throws {
        let key = try #require(Ed25519PrivateKey(rawRepresentation: Array(0..<32)))
        let device = hexadecimal(sha256(key.publicKey.rawRepresentation))
        #expect(device == "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c")
        let nonce = "11111111-2222-4333-8444-555555555555"
        let second =
            "v2|\(device)|openclaw-ios|ui|operator|operator.read,operator.write|1737264000000|tok-123|\(nonce)"
        let third = "v3|\(device)|node-host|node|node||1737264000000||\(nonce)|ios|iphone"
        let proofs = [
            second: "51520160eaffdabdffe0eb10742913986912656e88fed916520bbc2f5669ba2b"
                + "8ba360bb648015fd77e45996eb099cd616d545c1ebb8e9f56ade96364c12ef02",
            third: "521418a6fed21006e5947993785349ca9d1b2499f1f7ad4d840960d53e003156"
                + "99549bbc90cfd1bbbd12b9a87fa0209f149b93356395fc8dc181277e997de001",
        ]
        for (message, signature) in proofs {
            #expect(key.publicKey.isValidSignature(bytes(signature), for: Array(message.utf8)))
        }
    }

    @Test("A changed message, signature or key does not verify")
    func tampering() throws {
        let key = try Ed25519PrivateKey()
        let other = try Ed25519PrivateKey()
        let message = Array("approve".utf8)
        let signature = try key.sign(message)
        #expect(key.publicKey.isValidSignature(signature, for: message))
        #expect(!other.publicKey.isValidSignature(signature, for: message))
        #expect(!key.publicKey.isValidSignature(signature, for: message + [0]))
        for position in signature.indices {
            var changed = signature
            changed[position] ^= 1
            #expect(!key.publicKey.isValidSignature(changed, for: message))
        }
        for length in [0, 1, 63] {
            #expect(!key.publicKey.isValidSignature(Array(signature.prefix(length)), for: message))
        }
        #expect(!key.publicKey.isValidSignature(signature + [0], for: message))
    }

    @Test("A signature whose S is not below the group order does not verify (RFC 8032 §5.1.7)")
    func malleability() throws {
        let key = try Ed25519PrivateKey()
        let message = Array("approve".utf8)
        var signature = try key.sign(message)
        let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
        var carry = 0
        for position in 0..<32 {
            let sum = Int(signature[32 + position]) + Int(order[position]) + carry
            signature[32 + position] = UInt8(sum & 255)
            carry = sum >> 8
        }
        #expect(!key.publicKey.isValidSignature(signature, for: message))
    }

    @Test("A key of another length than 32 bytes is refused", arguments: [0, 1, 31, 33, 64])
    func lengths(count: Int) throws {
        #expect(Ed25519PublicKey(rawRepresentation: Array(repeating: 9, count: count)) == nil)
        #expect(Ed25519PrivateKey(rawRepresentation: Array(repeating: 9, count: count)) == nil)
    }

    @Test(
        "A key of small order or in a non-canonical spelling is refused, whatever its sign bit",
        arguments: [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ])
    func weakKeys(hex: String) {
        var raw = bytes(hex)
        #expect(Ed25519PublicKey(rawRepresentation: raw) == nil)
        raw[31] |= 0x80
        #expect(Ed25519PublicKey(rawRepresentation: raw) == nil)
    }

    @Test("For bytes that are not a point on the curve no signature is valid")
    func offCurve() throws {
        // y = 2 has no x.
        let key = try #require(Ed25519PublicKey(rawRepresentation: [2] + Array(repeating: 0, count: 31)))
        #expect(!key.isValidSignature(Array(repeating: 0, count: 64), for: []))
    }

    @Test("A private key prints nothing of itself")
    func description() throws {
        let key = try #require(Ed25519PrivateKey(rawRepresentation: Array(repeating: 42, count: 32)))
        var dumped = ""
        dump(key, to: &dumped)
        #expect("\(key)" == "Ed25519PrivateKey")
        #expect(!dumped.contains("42"))
    }
}

/// The bytes of a hexadecimal literal of a test.
func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0 }
}
