import CLibCrypto

/// A private key for Ed25519 signatures (RFC 8032).
public struct Ed25519PrivateKey: Sendable, CustomStringConvertible, CustomReflectable {
    /// The 32-byte seed of RFC 8032 §5.1.5. Secret.
    public let rawRepresentation: [UInt8]

    /// The public half.
    public let publicKey: Ed25519PublicKey

    /// A new key from ``randomBytes(count:)``.
    ///
    /// - Throws: ``CryptographyError/operationFailed(_:reason:)`` when there is no randomness or no memory.
    public init() throws(CryptographyError) {
        guard let key = Self(rawRepresentation: try randomBytes(count: 32)) else {
            throw .last("EVP_PKEY_new_raw_private_key")
        }
        self = key
    }

    /// The key with this seed.
    ///
    /// - Returns: `nil` unless there are exactly 32 bytes.
    public init?(rawRepresentation: [UInt8]) {
        guard rawRepresentation.count == 32,
            let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, rawRepresentation, 32)
        else { return nil }
        defer { EVP_PKEY_free(key) }
        var raw = [UInt8](repeating: 0, count: 32)
        var count = raw.count
        guard EVP_PKEY_get_raw_public_key(key, &raw, &count) == 1,
            let publicKey = Ed25519PublicKey(rawRepresentation: raw)
        else { return nil }
        self.rawRepresentation = rawRepresentation
        self.publicKey = publicKey
    }

    /// The 64-byte signature over `message` (pure Ed25519, deterministic). Safe on any thread.
    ///
    /// - Throws: ``CryptographyError/operationFailed(_:reason:)`` when memory is exhausted.
    public func sign(_ message: [UInt8]) throws(CryptographyError) -> [UInt8] {
        guard let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, rawRepresentation, 32),
            let context = EVP_MD_CTX_new()
        else { throw .last("EVP_PKEY_new_raw_private_key") }
        defer {
            EVP_MD_CTX_free(context)
            EVP_PKEY_free(key)
        }
        var signature = [UInt8](repeating: 0, count: 64)
        var count = signature.count
        guard EVP_DigestSignInit(context, nil, nil, nil, key) == 1,
            EVP_DigestSign(context, &signature, &count, message, message.count) == 1
        else { throw .last("EVP_DigestSign") }
        return signature
    }

    /// Names the type and nothing of the secret.
    public var description: String { "Ed25519PrivateKey" }

    /// Empty, so that dumping the value shows nothing of the secret.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}
