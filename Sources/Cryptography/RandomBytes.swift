import CLibCrypto

/// Bytes fit for keys, tokens and nonces, from libcrypto's generator (`RAND_bytes`), which the kernel
/// seeds. Safe on any thread.
///
/// - Parameter count: 0 or more.
/// - Throws: ``CryptographyError/operationFailed(_:reason:)`` when the generator could not be seeded.
///   There is no weaker fallback.
public func randomBytes(count: Int) throws(CryptographyError) -> [UInt8] {
    var succeeded = true
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
        // An empty buffer has no address, which RAND_bytes would take for an error.
        succeeded = count == 0 || RAND_bytes(output.baseAddress, Int32(count)) == 1
        initialized = succeeded ? count : 0
    }
    guard succeeded else { throw .last("RAND_bytes") }
    return bytes
}
