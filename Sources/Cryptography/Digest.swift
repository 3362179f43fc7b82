import CLibCrypto

/// SHA-256 (FIPS 180-4) of the bytes: 32 bytes. Safe on any thread.
public func sha256(_ bytes: some Collection<UInt8>) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { output, count in
        let succeeded = withContiguousBytes(of: bytes) { input in
            EVP_Digest(input.baseAddress, input.count, output.baseAddress, nil, SHA256.algorithm, nil)
        }
        // Fails only when memory is exhausted, where Swift's own allocations end the process too.
        precondition(succeeded == 1, "EVP_Digest")
        count = 32
    }
}

/// HMAC-SHA-256 (RFC 2104) of a message under a key of any length: 32 bytes. Safe on any thread.
public func hmacSHA256(key: some Collection<UInt8>, message: some Collection<UInt8>) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { output, count in
        let result = withContiguousBytes(of: key) { key in
            withContiguousBytes(of: message) { message in
                HMAC(
                    SHA256.algorithm, key.baseAddress, Int32(key.count),
                    message.baseAddress, message.count, output.baseAddress, nil)
            }
        }
        // Fails only when memory is exhausted, where Swift's own allocations end the process too.
        precondition(result != nil, "HMAC")
        count = 32
    }
}

/// HMAC-SHA-1 (RFC 2104) of a message under a key: 20 bytes. For one-time codes (RFC 4226), whose devices know nothing
/// else; its weakness as a digest does not reach HMAC. Safe on any thread.
public func hmacSHA1(key: some Collection<UInt8>, message: some Collection<UInt8>) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 20) { output, count in
        let result = withContiguousBytes(of: key) { key in
            withContiguousBytes(of: message) { message in
                HMAC(
                    EVP_sha1(), key.baseAddress, Int32(key.count), message.baseAddress, message.count,
                    output.baseAddress, nil)
            }
        }
        // Fails only when memory is exhausted, where Swift's own allocations end the process too.
        precondition(result != nil, "HMAC")
        count = 20
    }
}

/// Compares without telling by its duration where the first difference is (`CRYPTO_memcmp`).
///
/// The lengths are not secret: arrays of different length are unequal at once.
public func constantTimeEquals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
}

/// The bytes in lowercase hexadecimal, two digits each.
public func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
        decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

private enum SHA256 {
    /// Fetched once: `EVP_sha256()` makes OpenSSL 3 look the algorithm up at every use.
    ///
    /// Unsafe to share in the compiler's eyes only: an `EVP_MD` is immutable once fetched, may be used by
    /// any number of threads (openssl-threads(7)), and this one is never freed.
    nonisolated(unsafe) static let algorithm: OpaquePointer = {
        guard let algorithm = EVP_MD_fetch(nil, "SHA256", nil) else {
            preconditionFailure("libcrypto has no SHA-256: its default provider is missing or disabled")
        }
        return algorithm
    }()
}

/// Calls `body` with the collection's own storage where it has one, else with a copy.
func withContiguousBytes<Result>(
    of bytes: some Collection<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) -> Result
) -> Result {
    bytes.withContiguousStorageIfAvailable(body) ?? Array(bytes).withUnsafeBufferPointer(body)
}
