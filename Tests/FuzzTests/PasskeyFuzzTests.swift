import Cryptography
import PairingCore
import Testing

/// What comes from an authenticator through a browser, damaged (I7, I10).
@Suite("Random passkeys", .serialized)
struct PasskeyFuzzTests {
    private static let key: [UInt8] =
        [0xA5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20] + Array(repeating: 7, count: 32)
        + [0x22, 0x58, 0x20] + Array(repeating: 8, count: 32)
    private static let data: [UInt8] =
        Array(repeating: 9, count: 32) + [0x45, 0, 0, 0, 1] + Array(repeating: 0, count: 16) + [0, 16]
        + Array(repeating: 3, count: 16) + key

    @Test("CBOR that is accepted is within its bounds, and so is what is made of it")
    func attestation() {
        let attestation: [UInt8] =
            [0xA3, 0x63] + Array("fmt".utf8) + [0x64] + Array("none".utf8) + [0x67] + Array("attStmt".utf8)
            + [0xA0]
            + [0x68] + Array("authData".utf8) + [0x58, UInt8(Self.data.count)] + Self.data
        fuzz("attestation", examples: [attestation, Self.key, [0x82, 0xA0, 0x80], [0x3B, 0x7F]]) { _, bytes in
            var reader = CBORReader(bytes)
            let value = reader.value()
            #expect(reader.position <= bytes.count && bytes.count <= 70_000)
            #expect(CBORValue(bytes) == (reader.isAtEnd ? value : nil))
            if let key = value.flatMap({ PasskeyPublicKey(cose: $0) }) {
                _ = SignatureKey(subjectPublicKeyInfo: key.subjectPublicKeyInfo)
            }
            if let data = value?["authData"]?.bytes { _ = AuthenticatorData(data) }
        }
    }

    @Test("An authenticator's data names an identifier and a key, or nothing")
    func authenticatorData() {
        fuzz("authenticator data", examples: [Self.data, Array(Self.data.prefix(37))]) { _, bytes in
            guard let data = AuthenticatorData(bytes) else { return }
            #expect(data.hostHash.count == 32)
            if let made = data.made {
                #expect((1...AuthenticatorData.maximumIdentifierLength).contains(made.credentialID.count))
            }
        }
    }

    @Test("A browser's words name a challenge and an origin, or nothing")
    func clientData() {
        let challenge = Base64URL.encode(Array(repeating: 4, count: 32))
        let example =
            #"{"type":"webauthn.get","challenge":"\#(challenge)","origin":"http://localhost:8080","crossOrigin":false}"#
        fuzz("client data", examples: [example]) { _, bytes in
            guard let data = PasskeyClientData(bytes) else { return }
            #expect(data.challenge.count == 32 && !data.origin.host.isEmpty)
        }
    }

    @Test("Bytes that are no key of a kind that is taken are none, and no signature is right by chance")
    func keys() {
        guard let key = CBORValue(Self.key).flatMap({ PasskeyPublicKey(cose: $0) }) else { return }
        fuzz("public key", examples: [key.subjectPublicKeyInfo]) { _, bytes in
            guard let key = SignatureKey(subjectPublicKeyInfo: bytes) else { return }
            #expect(!key.isValidSignature(bytes, for: bytes))
        }
    }
}
