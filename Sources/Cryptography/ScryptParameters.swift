import CLibCrypto

/// The cost of one scrypt hash (RFC 7914).
public struct ScryptParameters: Hashable, Sendable {
    /// log2 of N, the CPU and memory cost: 1...20.
    public let logN: Int
    /// The block size: 1...32.
    public let r: Int
    /// The parallelization: 1...16.
    public let p: Int

    /// N = 2^17, r = 8, p = 1: the first choice of OWASP's Password Storage Cheat Sheet. One hash takes
    /// 128 MiB and about 0.3 s of one core.
    public static let owasp = ScryptParameters(checkedLogN: 17, r: 8, p: 1)

    /// The most memory any parameters may ask for, so that a hash read from a database cannot exhaust
    /// the machine: 512 MiB.
    public static let memoryLimit = 512 << 20

    /// - Throws: ``CryptographyError/invalidScryptParameters`` outside the ranges of the properties or when
    ///   ``memory`` would exceed ``memoryLimit``.
    public init(logN: Int, r: Int, p: Int) throws(CryptographyError) {
        guard (1...20).contains(logN), (1...32).contains(r), (1...16).contains(p) else {
            throw .invalidScryptParameters
        }
        self.init(checkedLogN: logN, r: r, p: p)
        guard memory <= Self.memoryLimit, logN < 16 * r else { throw .invalidScryptParameters }
    }

    private init(checkedLogN logN: Int, r: Int, p: Int) {
        self.logN = logN
        self.r = r
        self.p = p
    }

    /// The bytes one hash needs, given to `EVP_PBE_scrypt` as `maxmem`: 128·r·(N + p + 2).
    ///
    /// OpenSSL's own limit without one is 32 MiB, which would refuse ``owasp``.
    public var memory: Int { 128 * r * ((1 << logN) + p + 2) }

    /// Derives `length` bytes. Blocks the calling thread for the whole cost.
    func derive(password: [UInt8], salt: [UInt8], length: Int) throws(CryptographyError) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: length)
        let succeeded = EVP_PBE_scrypt(
            password.map(CChar.init(bitPattern:)), password.count, salt, salt.count,
            UInt64(1) << UInt64(logN), UInt64(r), UInt64(p), UInt64(memory), &key, length)
        guard succeeded == 1 else { throw .last("EVP_PBE_scrypt") }
        return key
    }
}
