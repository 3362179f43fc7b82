import CLibCrypto

/// A public key of P-256, RSA (2,048 to 4,096 bits) or Ed25519: for ECDSA and RSASSA-PKCS1-v1_5 with SHA-256, and EdDSA.
public struct SignatureKey: Sendable {
    private let encoded: [UInt8]
    private let isEd25519: Bool
    /// What the encoding of an uncompressed point of P-256 begins with (RFC 5480 §2).
    private static let p256: [UInt8] =
        [0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01]
        + [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04]

    /// Accepts a `SubjectPublicKeyInfo` in DER.
    ///
    /// - Returns: `nil` for bytes that are none, a point that is not on the curve, or another kind.
    public init?(subjectPublicKeyInfo bytes: [UInt8]) {
        defer { ERR_clear_error() }
        guard let key = Self.parse(bytes) else { return nil }
        defer { EVP_PKEY_free(key) }
        switch EVP_PKEY_get_base_id(key) {
        case EVP_PKEY_ED25519:
            isEd25519 = true
            guard Ed25519PublicKey(rawRepresentation: Array(bytes.suffix(32))) != nil else { return nil }
        case EVP_PKEY_EC where bytes.starts(with: Self.p256): isEd25519 = false
        case EVP_PKEY_RSA where (2048...4096).contains(EVP_PKEY_get_bits(key)): isEd25519 = false
        default: return nil
        }
        encoded = bytes
    }

    /// Whether the key's owner signed `message`. Takes less than a millisecond; safe on any thread.
    public func isValidSignature(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        defer { ERR_clear_error() }
        guard (1...1024).contains(signature.count), let key = Self.parse(encoded) else { return false }
        defer { EVP_PKEY_free(key) }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        return EVP_DigestVerifyInit(context, nil, isEd25519 ? nil : EVP_sha256(), nil, key) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }

    private static func parse(_ bytes: [UInt8]) -> OpaquePointer? {
        guard bytes.count <= 2048 else { return nil }
        return bytes.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            guard let key = d2i_PUBKEY(nil, &cursor, buffer.count) else { return nil }
            // Nothing may follow it.
            guard cursor == buffer.baseAddress.map({ $0 + buffer.count }) else {
                EVP_PKEY_free(key)
                return nil
            }
            return key
        }
    }
}
