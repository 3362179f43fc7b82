import CLibCrypto

/// Encryption of what has to be read back later: AES-256-GCM (NIST SP 800-38D) with a random nonce.
///
/// Safe on any thread. One key may seal 2^32 times.
public enum SealedBytes {
    private static let nonceLength = 12
    private static let tagLength = 16

    /// Encrypts under a key of 32 bytes.
    ///
    /// - Parameter context: what the bytes belong to; they are opened with the same only.
    /// - Returns: nonce, ciphertext and tag.
    /// - Throws: a ``CryptographyError`` where libcrypto refuses, also for a key of another length.
    public static func seal(
        _ bytes: [UInt8], key: [UInt8], context: [UInt8]
    ) throws(CryptographyError) -> [UInt8] {
        let nonce = try randomBytes(count: nonceLength)
        let cipher = try Cipher(key: key, nonce: nonce, encrypts: true)
        try cipher.add(context)
        let output = try cipher.update(bytes)
        try cipher.finish()
        return nonce + output + (try cipher.tag(count: tagLength))
    }

    /// Decrypts what ``seal(_:key:context:)`` returned.
    ///
    /// - Returns: `nil` where the key or the context is another one, or the bytes were changed.
    /// - Throws: a ``CryptographyError`` where libcrypto refuses for another reason.
    public static func open(
        _ sealed: [UInt8], key: [UInt8], context: [UInt8]
    ) throws(CryptographyError) -> [UInt8]? {
        guard sealed.count >= nonceLength + tagLength else { return nil }
        let cipher = try Cipher(key: key, nonce: Array(sealed.prefix(nonceLength)), encrypts: false)
        try cipher.add(context)
        let output = try cipher.update(Array(sealed.dropFirst(nonceLength).dropLast(tagLength)))
        return cipher.isGenuine(tag: Array(sealed.suffix(tagLength))) ? output : nil
    }
}

/// One use of the cipher. Not shared between threads.
private final class Cipher {
    private let context: OpaquePointer

    init(key: [UInt8], nonce: [UInt8], encrypts: Bool) throws(CryptographyError) {
        guard key.count == 32 else {
            throw .operationFailed("AES-256-GCM", reason: "the key has \(key.count) bytes; expected 32")
        }
        guard let context = EVP_CIPHER_CTX_new() else { throw .last("EVP_CIPHER_CTX_new") }
        self.context = context
        guard EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nil, key, nonce, encrypts ? 1 : 0) == 1 else {
            throw .last("EVP_CipherInit_ex")
        }
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    /// Takes in what is authenticated but not encrypted.
    func add(_ bytes: [UInt8]) throws(CryptographyError) {
        var count: Int32 = 0
        guard EVP_CipherUpdate(context, nil, &count, bytes, Int32(bytes.count)) == 1 else {
            throw .last("EVP_CipherUpdate")
        }
    }

    func update(_ bytes: [UInt8]) throws(CryptographyError) -> [UInt8] {
        var succeeded = false
        let output = [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, count in
            var written: Int32 = 0
            succeeded =
                bytes.isEmpty
                || EVP_CipherUpdate(context, buffer.baseAddress, &written, bytes, Int32(bytes.count)) == 1
            count = succeeded ? Int(written) : 0
        }
        guard succeeded else { throw .last("EVP_CipherUpdate") }
        return output
    }

    func finish() throws(CryptographyError) {
        var rest = [UInt8](repeating: 0, count: 16)
        var count: Int32 = 0
        guard EVP_CipherFinal_ex(context, &rest, &count) == 1 else { throw .last("EVP_CipherFinal_ex") }
    }

    func tag(count: Int) throws(CryptographyError) -> [UInt8] {
        var tag = [UInt8](repeating: 0, count: count)
        guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(count), &tag) == 1 else {
            throw .last("EVP_CIPHER_CTX_ctrl")
        }
        return tag
    }

    func isGenuine(tag: [UInt8]) -> Bool {
        var tag = tag
        guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1,
            (try? finish()) != nil
        else {
            // Otherwise this thread's next error would be blamed for it.
            ERR_clear_error()
            return false
        }
        return true
    }
}
