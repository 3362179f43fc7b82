import PairingCore
import Testing

/// What an authenticator and a browser say of a passkey, as bytes from strangers (I7).
@Suite("Passkeys as they arrive")
struct PasskeyTests {
    @Test(
        "CBOR is read as RFC 8949 writes it",
        arguments: [
            ([0x00], CBORValue.integer(0)), ([0x17], .integer(23)), ([0x18, 0x18], .integer(24)),
            ([0x19, 0x03, 0xE8], .integer(1000)), ([0x1A, 0x00, 0x0F, 0x42, 0x40], .integer(1_000_000)),
            ([0x1B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .integer(.max)),
            ([0x3B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .integer(.min)),
            ([0x20], .integer(-1)), ([0x39, 0x01, 0x00], .integer(-257)), ([0x40], .bytes([])),
            ([0x44, 1, 2, 3, 4], .bytes([1, 2, 3, 4])), ([0x60], .text("")),
            ([0x62, 0xC3, 0xBC], .text("ü")),
            ([0x83, 1, 2, 3], .array([.integer(1), .integer(2), .integer(3)])), ([0xA0], .map([:])),
            ([0xA2, 0x61, 0x61, 0xF5, 0x20, 0xF6], .map([.text("a"): .bool(true), .integer(-1): .null])),
            ([0xF4], .bool(false)),
        ] as [([UInt8], CBORValue)])
    func goodCBOR(_ bytes: [UInt8], _ value: CBORValue) {
        #expect(CBORValue(bytes) == value)
        #expect(CBORValue(bytes + [0]) == nil)
        for length in 0..<bytes.count { #expect(CBORValue(bytes.prefix(length)) == nil) }
    }

    @Test(
        "Hostile CBOR is refused, whatever it promises",
        arguments: [
            ("nothing", []), ("a longer form than needed", [0x18, 0x17]),
            ("a longer form of a length", [0x58, 0x01, 0]), ("two bytes for one", [0x19, 0x00, 0xFF]),
            ("more than 63 bits", [0x1B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            ("less than 63 bits", [0x3B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            ("more bytes than there are", [0x5B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0]),
            ("more text than there is", [0x7B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            ("a list of 2^63", [0x9B, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            ("a map of 2^32", [0xBA, 0xFF, 0xFF, 0xFF, 0xFF, 0]),
            ("a length left open", [0x5F, 0x41, 0, 0xFF]), ("a list left open", [0x9F, 0xFF]),
            ("a map left open", [0xBF, 0xFF]), ("an end of nothing", [0xFF]), ("a tag", [0xC0, 0x60]),
            ("floating point", [0xFB, 0, 0, 0, 0, 0, 0, 0, 0]), ("half of floating point", [0xF9, 0, 0]),
            ("undefined", [0xF7]), ("a simple value", [0xF8, 0x20]),
            ("text that is not UTF-8", [0x61, 0xFF]),
            ("half a surrogate", [0x63, 0xED, 0xA0, 0x80]), ("a key twice", [0xA2, 1, 1, 1, 2]),
            ("a list as a key", [0xA1, 0x80, 1]), ("bytes as a key", [0xA1, 0x40, 1]),
            ("true as a key", [0xA1, 0xF5, 1]), ("a reserved length", [0x1C]),
            ("lists in lists", Array(repeating: 0x81, count: 100) + [0]),
            ("maps in maps", Array(repeating: [0xA1, 0x00] as [UInt8], count: 100).flatMap { $0 } + [0]),
            ("too many values", [0x99, 0x02, 0x01] + Array(repeating: 0, count: 513)),
            ("too long", [0x5A, 0x00, 0x01, 0x00, 0x00] + Array(repeating: 0, count: 65_536)),
        ] as [(String, [UInt8])])
    func badCBOR(_ name: String, _ bytes: [UInt8]) {
        #expect(CBORValue(bytes) == nil, "\(name)")
    }

    private static let coordinate = [UInt8](repeating: 7, count: 32)
    private static let modulus = [UInt8](repeating: 0xFF, count: 256)
    private static let es256: [CBORValue: CBORValue] = [
        .integer(1): .integer(2), .integer(3): .integer(-7), .integer(-1): .integer(1),
        .integer(-2): .bytes(coordinate), .integer(-3): .bytes(coordinate),
    ]
    private static let ed25519: [CBORValue: CBORValue] = [
        .integer(1): .integer(1), .integer(3): .integer(-8), .integer(-1): .integer(6),
        .integer(-2): .bytes(coordinate),
    ]
    private static let rs256: [CBORValue: CBORValue] = [
        .integer(1): .integer(3), .integer(3): .integer(-257), .integer(-1): .bytes(modulus),
        .integer(-2): .bytes([1, 0, 1]),
    ]

    @Test("A key of COSE is one of three kinds, whole")
    func keys() {
        #expect(
            PasskeyPublicKey(cose: .map(Self.es256)) == .es256(x: Self.coordinate, y: Self.coordinate))
        #expect(PasskeyPublicKey(cose: .map(Self.ed25519)) == .ed25519(Self.coordinate))
        #expect(
            PasskeyPublicKey(cose: .map(Self.rs256)) == .rs256(modulus: Self.modulus, exponent: [1, 0, 1]))
        for good in [Self.es256, Self.ed25519, Self.rs256] {
            for member in good.keys {
                var bad = good
                bad[member] = nil
                #expect(PasskeyPublicKey(cose: .map(bad)) == nil, "without \(member)")
                for value in [.integer(0), .bytes([]), .text("x"), .bytes(Self.coordinate + [0]), .null]
                    as [CBORValue]
                {
                    bad[member] = value
                    #expect(PasskeyPublicKey(cose: .map(bad)) == nil, "\(member) as \(value)")
                }
            }
        }
        for exponent in [[3], [1], [0, 1, 0, 1], [255, 255, 255, 255]] as [[UInt8]] {
            var bad = Self.rs256
            bad[.integer(-2)] = .bytes(exponent)
            #expect(PasskeyPublicKey(cose: .map(bad)) == nil)
        }
        #expect(PasskeyPublicKey(cose: .array([])) == nil && PasskeyPublicKey(cose: .null) == nil)
    }

    private static func data(
        flags: UInt8, count: [UInt8] = [0, 0, 0, 5], rest: [UInt8] = []
    ) -> [UInt8] {
        Array(repeating: 9, count: 32) + [flags] + count + rest
    }

    @Test("An authenticator's data is read to its last byte")
    func authenticatorData() throws {
        let signed = try #require(AuthenticatorData(Self.data(flags: 0x05)))
        #expect(signed.isUserPresent && signed.isUserVerified && signed.signCount == 5 && signed.made == nil)
        #expect(try #require(AuthenticatorData(Self.data(flags: 0x01))).isUserVerified == false)
        #expect(try #require(AuthenticatorData(Self.data(flags: 0x04))).isUserPresent == false)
        let identifier = [UInt8](repeating: 3, count: 16)
        let made: [UInt8] = Array(repeating: 0, count: 16) + [0, 16] + identifier + [0xA0]
        let registered = try #require(AuthenticatorData(Self.data(flags: 0x45, rest: made)))
        #expect(registered.made?.credentialID == identifier && registered.made?.key == .map([:]))
        #expect(AuthenticatorData(Self.data(flags: 0xC5, rest: made + [0xA0])) != nil)
        #expect(AuthenticatorData(Self.data(flags: 0x1D)) != nil)
        let bad: [(String, [UInt8])] = [
            ("nothing", []), ("too short", Array(Self.data(flags: 0x05).prefix(36))),
            ("more than said", Self.data(flags: 0x05, rest: [0])),
            ("backed up though it can't be", Self.data(flags: 0x15)),
            ("a passkey that is not there", Self.data(flags: 0x45)),
            ("no identifier", Self.data(flags: 0x45, rest: Array(repeating: 0, count: 18) + [0xA0])),
            (
                "an identifier without end",
                Self.data(flags: 0x45, rest: Array(repeating: 0, count: 16) + [255, 255, 1])
            ),
            ("no key", Self.data(flags: 0x45, rest: Array(made.dropLast()))),
            ("a key without end", Self.data(flags: 0x45, rest: Array(made.dropLast()) + [0xBF])),
            ("bytes after the key", Self.data(flags: 0x45, rest: made + [0])),
            ("extensions that are not there", Self.data(flags: 0x85)),
            ("extensions that are no map", Self.data(flags: 0x85, rest: [0x01])),
            ("too long", Self.data(flags: 0x85, rest: Array(repeating: 0, count: 70_000))),
        ]
        for (name, bytes) in bad { #expect(AuthenticatorData(bytes) == nil, "\(name)") }
    }

    private static let challenge = Base64URL.encode(Array(repeating: 4, count: 32))

    private static func client(
        type: String = #""webauthn.get""#, challenge: String = "\"\(challenge)\"",
        origin: String = #""https://nodes.example.org""#, more: String = ""
    ) -> [UInt8] {
        Array(#"{"type":\#(type),"challenge":\#(challenge),"origin":\#(origin)\#(more)}"#.utf8)
    }

    @Test(
        "A browser's words are taken for a purpose, a challenge and an origin, and in no frame of another site"
    )
    func clientData() throws {
        let read = try #require(PasskeyClientData(Self.client(more: #","crossOrigin":false,"other":[1]"#)))
        #expect(read.purpose == .get && read.challenge == Array(repeating: 4, count: 32))
        #expect(read.origin.host == "nodes.example.org")
        #expect(
            PasskeyClientData(Self.client(origin: #""http://localhost:8080""#))?.origin.host == "localhost")
        let bad: [(String, [UInt8])] = [
            ("nothing", []), ("no object", Array("[]".utf8)),
            ("another purpose", Self.client(type: #""payment.get""#)),
            ("a purpose that is no text", Self.client(type: "1")),
            ("a short challenge", Self.client(challenge: #""AAAA""#)),
            ("a challenge with padding", Self.client(challenge: "\"\(Self.challenge)=\"")),
            ("no challenge", Self.client(challenge: "null")), ("no origin", Self.client(origin: "null")),
            ("an origin with a path", Self.client(origin: #""https://nodes.example.org/x""#)),
            ("an app", Self.client(origin: #""android:apk-key-hash:abc""#)),
            ("a frame of another site", Self.client(more: #","crossOrigin":true"#)),
            ("a frame, said another way", Self.client(more: #","crossOrigin":"no""#)),
            ("a top that is another", Self.client(more: #","topOrigin":"https://evil.example""#)),
            ("a type twice", Self.client(more: #","type":"webauthn.create""#)),
            ("too long", Self.client(more: #","x":"\#(String(repeating: "x", count: 5000))""#)),
            ("not UTF-8", Self.client(more: ",\"x\":\"") + [0xFF, 0x22, 0x7D]),
        ]
        for (name, bytes) in bad { #expect(PasskeyClientData(bytes) == nil, "\(name)") }
    }
}
