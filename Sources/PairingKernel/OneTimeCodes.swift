import Cryptography
import PairingCore

/// One-time codes of a shared secret (RFC 6238, with the parameters that every app knows: SHA-1, six digits, a step of
/// 30 seconds).
enum OneTimeCodes {
    /// The bytes of a secret: as many as the digest has (RFC 4226 §4, R6).
    static let secretLength = 20
    private static let step: Int64 = 30

    /// The step of a moment.
    static func step(at now: Timestamp) -> Int64 { now.milliseconds / 1000 / step }

    /// The code of a step.
    static func code(of secret: [UInt8], step: Int64) -> String {
        let counter = (0..<8).map { UInt8(truncatingIfNeeded: step >> (56 - 8 * $0)) }
        let digest = hmacSHA1(key: secret, message: counter)
        // RFC 4226 §5.3: four bytes from where the last one's low half says, without the sign.
        let offset = Int(digest[19] & 15)
        let number = digest[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
        let text = String(number % 1_000_000)
        return String(repeating: "0", count: 6 - text.count) + text
    }

    /// The step that a typed code is of: this one, the one before, whose code may have been typed for a while, or the
    /// next one of a clock that is fast (RFC 6238 §5.2).
    ///
    /// - Returns: `nil` where it is of none of these.
    static func step(of code: [UInt8], secret: [UInt8], now: Timestamp) -> Int64? {
        let current = step(at: now)
        var found: Int64?
        // All of them, whatever the first says: how long it takes tells nothing.
        for step in [current - 1, current, current + 1]
        where constantTimeEquals(Array(self.code(of: secret, step: step).utf8), code) {
            found = step
        }
        return found
    }

    /// What apps read from a QR code (the Key Uri Format of Google Authenticator).
    static func uri(secret: [UInt8], username: String, issuer: String) -> String {
        let issuer = percentEncoded(issuer)
        return
            "otpauth://totp/\(issuer):\(percentEncoded(username))?secret=\(Base32.encode(secret))&issuer=\(issuer)"
    }

    private static func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "_"):
                String(UnicodeScalar(byte))
            default: "%" + hexadecimal([byte]).uppercased()
            }
        }.joined()
    }
}

/// The keys that follow from the contents of `session.key_file`.
struct AccountKeys: Sendable {
    private let secrets: [UInt8]
    private let recovery: [UInt8]

    /// - Parameter bytes: at least 32 bytes that nobody else knows.
    init(_ bytes: [UInt8]) {
        secrets = hmacSHA256(key: bytes, message: Array("totp-secrets-v1".utf8))
        recovery = hmacSHA256(key: bytes, message: Array("recovery-codes-v1".utf8))
    }

    func seal(_ secret: [UInt8], of username: String) throws -> [UInt8] {
        try SealedBytes.seal(secret, key: secrets, context: Array(username.utf8))
    }

    /// - Returns: `nil` where it was sealed under another key, or for another account.
    func open(_ sealed: [UInt8], of username: String) throws -> [UInt8]? {
        try SealedBytes.open(sealed, key: secrets, context: Array(username.utf8))
    }

    /// The recovery codes that belong to a sealed secret, which has a nonce of its own; always the same, so that the
    /// page which shows them can be loaded again.
    func recoveryCodes(of sealed: [UInt8]) -> [RecoveryCode] {
        (UInt8(0)..<10).map { number in
            RecoveryCode(
                characters: Base32.encode(hmacSHA256(key: recovery, message: sealed + [number]).prefix(10)))
        }
    }
}

/// What signs in once in place of a one-time code: 80 bits.
struct RecoveryCode: Equatable {
    private static let length = 16
    /// In base32.
    private let characters: String

    fileprivate init(characters: String) { self.characters = characters }

    /// Reads one as it is typed.
    init?(typed characters: [UInt8]) {
        guard characters.count == Self.length else { return nil }
        // The alphabet has no 0, 1 and 8, so it is plain what was meant.
        self.characters = String(
            decoding: characters.map { byte in
                switch byte {
                case UInt8(ascii: "0"): UInt8(ascii: "O")
                case UInt8(ascii: "1"): UInt8(ascii: "I")
                case UInt8(ascii: "8"): UInt8(ascii: "B")
                default: byte
                }
            }, as: UTF8.self)
    }

    /// What is stored of it.
    var hash: [UInt8] { sha256(Array(characters.utf8)) }

    /// As people see it, in four groups.
    var text: String {
        stride(from: 0, to: Self.length, by: 4).map { String(characters.dropFirst($0).prefix(4)) }
            .joined(separator: "-")
    }
}
