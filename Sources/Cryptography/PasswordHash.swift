import CLibCrypto

/// A password's scrypt hash with its salt and cost, as it is stored.
///
/// As text it is a PHC string, `$scrypt$ln=17,r=8,p=1$<salt>$<key>`, salt and key in base64 without
/// padding. The text is not the password but lets a thief guess offline: treat it as a secret. Making and
/// checking a hash is done by ``PasswordHasher``.
public struct PasswordHash: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    /// The cost this hash was made with.
    public let parameters: ScryptParameters
    let salt: [UInt8]
    let key: [UInt8]

    /// 16 bytes of salt, 32 bytes of key: what new hashes have.
    static let saltLength = 16
    static let keyLength = 32

    init(parameters: ScryptParameters, salt: [UInt8], key: [UInt8]) {
        self.parameters = parameters
        self.salt = salt
        self.key = key
    }

    /// Hashes the password's UTF-8 under a new random salt. Blocks for the whole cost.
    init(password: String, parameters: ScryptParameters) throws(CryptographyError) {
        let salt = try randomBytes(count: Self.saltLength)
        let key = try parameters.derive(
            password: Array(password.utf8), salt: salt, length: Self.keyLength)
        self.init(parameters: parameters, salt: salt, key: key)
    }

    /// Reads the text form.
    ///
    /// - Returns: `nil` for text of another form, parameters that ``ScryptParameters`` refuses, a salt that
    ///   is not 8 to 64 bytes long or a key that is not 16 to 64 bytes long.
    public init?(encoded: String) {
        let fields = encoded.split(separator: "$", omittingEmptySubsequences: false)
        guard fields.count == 5, fields[0].isEmpty, fields[1] == "scrypt",
            let parameters = Self.parameters(fields[2]),
            let salt = Self.decode(fields[3]), (8...64).contains(salt.count),
            let key = Self.decode(fields[4]), (16...64).contains(key.count)
        else { return nil }
        self.init(parameters: parameters, salt: salt, key: key)
        guard self.encoded == encoded else { return nil }
    }

    /// The text form.
    public var encoded: String {
        let cost = "ln=\(parameters.logN),r=\(parameters.r),p=\(parameters.p)"
        return "$scrypt$\(cost)$\(Self.encode(salt))$\(Self.encode(key))"
    }

    /// Whether a hash of another cost is wanted now: after the next successful check, hash the password again
    /// and store that.
    public func needsRehash(for wanted: ScryptParameters) -> Bool { parameters != wanted }

    /// Whether this is the password's hash. Blocks for the whole cost.
    func matches(_ password: String) throws(CryptographyError) -> Bool {
        let candidate = try parameters.derive(
            password: Array(password.utf8), salt: salt, length: key.count)
        return constantTimeEquals(candidate, key)
    }

    /// Names the type and nothing of the hash.
    public var description: String { "PasswordHash" }

    /// Empty, so that dumping the value shows nothing of the hash.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

extension PasswordHash {
    private static func parameters(_ text: Substring) -> ScryptParameters? {
        let values = text.split(separator: ",", omittingEmptySubsequences: false)
        guard values.count == 3,
            let logN = number(values[0], after: "ln="),
            let r = number(values[1], after: "r="),
            let p = number(values[2], after: "p=")
        else { return nil }
        return try? ScryptParameters(logN: logN, r: r, p: p)
    }

    private static func number(_ text: Substring, after prefix: String) -> Int? {
        text.hasPrefix(prefix) ? Int(text.dropFirst(prefix.count)) : nil
    }

    private static func encode(_ bytes: [UInt8]) -> String {
        // Four characters for every three bytes begun, and a NUL.
        var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
        return String(decoding: text.prefix { $0 != 0 && $0 != UInt8(ascii: "=") }, as: UTF8.self)
    }

    /// Lenient where `EVP_DecodeBlock` is; `init(encoded:)` refuses whatever does not encode back to itself.
    private static func decode(_ text: Substring) -> [UInt8]? {
        guard text.utf8.count <= 128, text.utf8.count % 4 != 1 else { return nil }
        let count = text.utf8.count * 3 / 4
        let padding = (4 - text.utf8.count % 4) % 4
        let padded = Array(text.utf8) + Array(repeating: UInt8(ascii: "="), count: padding)
        var bytes = [UInt8](repeating: 0, count: padded.count / 4 * 3)
        guard EVP_DecodeBlock(&bytes, padded, Int32(padded.count)) == bytes.count else { return nil }
        return Array(bytes.prefix(count))
    }
}
