/// A public key of a passkey: one of the three kinds that are asked for.
public enum PasskeyPublicKey: Sendable, Equatable {
    /// ECDSA on P-256 with SHA-256: the point's coordinates, 32 bytes each.
    case es256(x: [UInt8], y: [UInt8])
    /// Ed25519: 32 bytes.
    case ed25519([UInt8])
    /// RSASSA-PKCS1-v1_5 with SHA-256: the modulus, of 2,048 to 4,096 bits, and the exponent.
    case rs256(modulus: [UInt8], exponent: [UInt8])

    /// The numbers of COSE's algorithms, in the order in which they are preferred.
    public static let algorithms: [Int64] = [-8, -7, -257]

    /// Reads a key of COSE (RFC 9052 §7, RFC 9053 §7, RFC 8230 §4).
    ///
    /// - Returns: `nil` for one of another kind, or whose parts have other sizes.
    public init?(cose key: CBORValue) {
        switch (key[1]?.integer, key[3]?.integer) {
        case (2, -7):
            guard key[-1]?.integer == 1, let x = key[-2]?.bytes, let y = key[-3]?.bytes, x.count == 32,
                y.count == 32
            else { return nil }
            self = .es256(x: x, y: y)
        case (1, -8):
            guard key[-1]?.integer == 6, let x = key[-2]?.bytes, x.count == 32 else { return nil }
            self = .ed25519(x)
        case (3, -257):
            guard let modulus = key[-1]?.bytes, let exponent = key[-2]?.bytes,
                (256...512).contains(modulus.count), modulus[0] & 0x80 != 0,
                modulus[modulus.count - 1] & 1 == 1,
                // 65,537, which all of them use.
                exponent == [1, 0, 1]
            else { return nil }
            self = .rs256(modulus: modulus, exponent: exponent)
        default: return nil
        }
    }

    /// The key as a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), which is how it is stored.
    public var subjectPublicKeyInfo: [UInt8] {
        switch self {
        case .es256(let x, let y):
            DER.sequence(
                DER.sequence(
                    [0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01]
                        + [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07])
                    + DER.bits([4] + x + y))
        case .ed25519(let key):
            DER.sequence(DER.sequence([0x06, 0x03, 0x2B, 0x65, 0x70]) + DER.bits(key))
        case .rs256(let modulus, let exponent):
            DER.sequence(
                DER.sequence(
                    [0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01] + [0x05, 0x00])
                    + DER.bits(DER.sequence(DER.integer(modulus) + DER.integer(exponent))))
        }
    }
}

/// What of DER (X.690) a public key is written with.
private enum DER {
    static func sequence(_ content: [UInt8]) -> [UInt8] { [0x30] + length(content.count) + content }

    static func bits(_ content: [UInt8]) -> [UInt8] { [0x03] + length(content.count + 1) + [0] + content }

    /// A number that is not negative.
    static func integer(_ bytes: [UInt8]) -> [UInt8] {
        let content = (bytes.first ?? 0) & 0x80 == 0 ? bytes : [0] + bytes
        return [0x02] + length(content.count) + content
    }

    private static func length(_ count: Int) -> [UInt8] {
        count < 128
            ? [UInt8(count)]
            : count < 256 ? [0x81, UInt8(count)] : [0x82, UInt8(count >> 8), UInt8(count & 0xFF)]
    }
}
