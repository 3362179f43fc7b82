import Cryptography
import Testing

@Suite("Signatures of passkeys")
struct SignatureKeyTests {
    struct Vector: CustomTestStringConvertible, Sendable {
        let name: String
        let key: String
        let signature: String
        var testDescription: String { name }
    }

    private static let message = Array("what an authenticator signs".utf8)

    /// Made with another library than libcrypto's own calls that are tested here: Python's cryptography.
    static let vectors = [
        Vector(
            name: "ES256",
            key:
                "3059301306072a8648ce3d020106082a8648ce3d0301070342000441cdbae7e1a8901b02837bd71100b2c1f5e82b673e0b"
                + "90d1ce092229f390a74434f1c775b175036cd464ee4f99e5b25c23fd75266bdcfd1eb2f5187304c2812e",
            signature:
                "304402206f60a01be4d78e8abde2a0225801c77bb722ceefc2c5ce4b5c99871300feb51e02200b75e10e4bd07d06"
                + "db36b2bcda2dd90b22447abfbc7dc66a5454a66d572ae7c7"),
        Vector(
            name: "EdDSA",
            key: "302a300506032b6570032100802fc582948dc294a5d20b28b052c43c5138a53bea56278f2988d85aec2bda32",
            signature:
                "7ca2e17c7c32d2a98965fc3597dbdd91531927083e45eed9144d5f4ed4d923f4b697ecd18d8aed5907a88810340d"
                + "39cffb81772be4ed6327d954d9b311d1750c"),
        Vector(
            name: "RS256",
            key:
                "30820122300d06092a864886f70d01010105000382010f003082010a0282010100d4f381f4dd8e61ba06dc9300e6b71fe3"
                + "feffb56a2f294a3c3e2862bf9de02e85799ae2a6cf9e824d07a54c83678592e379b82ca1bb441baf684209e4dd1a076e"
                + "90b07b60bb472d26595d88602cc45b064abbf353364aecc0ad18a1e0b026a6a4d489872e6c64cc440488ca83fc625b8c"
                + "8f770ce368179d35869ed25cbbec001df32911a1a4dc0522f3a1c7ac98dd7bd1f4818f6a100305026153c0d98b5e46af"
                + "8142fde11ecb95a67229829f98f2b26ca23b2b69494e0da26910abd5978e16f4a36d66e41830c9518ef3e395e449576b"
                + "539790de695de4578860ae660f8583077d2c0298b888377d96575b96b2692b0a1a77d6b7963b5c0fd9a61b3aa578fa39"
                + "0203010001",
            signature:
                "28a6698f902d70258e24d241f73398fd49834e455011b03d87db0a591be18f3e2b8c5243c7bee8a6d1c02af79622"
                + "236ff32a08ed63904f6d1658d49a618bb74ef8ca74988c85ad81866cc07f0471de1e6d180f6ba46c838be344e99d5413"
                + "7ffe56cca762b6d52519f401d32852d21e235ce38dc3fc50b5c3ec9c3202a30f59d15afc28d99717fed0198766174832"
                + "3fc4dd4ad327665c4197395ae75b289ce9e40d4ce71e238227bdef9205050cc47eb4df17f0530c36606cf9c834a48692"
                + "0e67b3bce3ef91ac251b75c32b541ba75066f9e6563a4980dd8a4f1dc90a4de1574731665cc6244f2ca49ab3f8882c40"
                + "41828d5daf3bbf0f150d60ff8969e58104a4"),
    ]

    @Test("A signature is right for its key and message, and for no other", arguments: vectors)
    func signatures(_ vector: Vector) throws {
        let key = try #require(SignatureKey(subjectPublicKeyInfo: bytes(vector.key)))
        let signature = bytes(vector.signature)
        #expect(key.isValidSignature(signature, for: Self.message))
        #expect(!key.isValidSignature(signature, for: Self.message + [0]))
        #expect(!key.isValidSignature(signature, for: []))
        #expect(!key.isValidSignature([], for: Self.message))
        #expect(!key.isValidSignature(Array(repeating: 0, count: 2000), for: Self.message))
        for index in [0, signature.count / 2, signature.count - 1] {
            var wrong = signature
            wrong[index] ^= 1
            #expect(!key.isValidSignature(wrong, for: Self.message), "byte \(index)")
        }
        for other in Self.vectors where other.name != vector.name {
            #expect(!key.isValidSignature(bytes(other.signature), for: Self.message))
        }
    }

    @Test("A key that is cut, longer, off its curve, too short or of another kind is none")
    func keys() {
        for vector in Self.vectors {
            let good = bytes(vector.key)
            #expect(SignatureKey(subjectPublicKeyInfo: good + [0]) == nil)
            for length in 0..<good.count {
                #expect(SignatureKey(subjectPublicKeyInfo: Array(good.prefix(length))) == nil)
            }
        }
        var offCurve = bytes(Self.vectors[0].key)
        offCurve[offCurve.count - 1] ^= 1
        #expect(SignatureKey(subjectPublicKeyInfo: offCurve) == nil)
        let others = [
            "secp256k1":
                "3056301006072a8648ce3d020106052b8104000a03420004d3ef5ee642683153325ac4d9377d1e9b1e3d1e74ee735f635856"
                + "ab3ddffc83da5f2cae13c1573ccdaafdabfb1dac69247aa4e24b0a237fe7e706c5837950d559",
            "P-384":
                "3076301006072a8648ce3d020106052b8104002203620004151e90f3e8df034d1a4c41a553fe2eeeb26bdc0df7de7942cd1f"
                + "17f62e81da752429815899153eb2680bb51604b28267b7289b5bee98e99e47298e9da5b9d7b30ed86e969b7684a83f74"
                + "8f852a9d97f147589e425fd994cc313111580a3580c4",
            "RSA of 1,024 bits":
                "30819f300d06092a864886f70d010101050003818d0030818902818100aac700078534c0622e78702225a6fc55381d49d792"
                + "7e308a6dbed0b1245801ed53f6c25b3e802160805d362166298cc3a4271e56bfe41cfe36b16459d448e06bb2409b71b7"
                + "640790d41ebccd898677d48b94f44bbf4e242a390d5b4393c333bc17d0abb139c8bb173a9fecb0cae350d904e7df3314"
                + "9e960bf91a89b7b862839b0203010001",
        ]
        for (name, key) in others {
            #expect(SignatureKey(subjectPublicKeyInfo: bytes(key)) == nil, "\(name)")
        }
    }

    private func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = Array(hexadecimal.utf8)
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16) ?? 0
        }
    }
}
