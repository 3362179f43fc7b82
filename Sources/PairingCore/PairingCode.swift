/// What the device shows and the administrator compares. Not a credential.
///
/// Eight characters of an alphabet without I, O, 0 and 1, that is 40 bits.
public struct PairingCode: Sendable, Hashable, CustomStringConvertible {
    /// The characters a code is made of: 32 of them, so that a byte's low five bits pick one evenly.
    public static let alphabet = Array("ABCDEFGHJKLMNPQRSTUVWXYZ23456789".utf8)

    /// The number of characters.
    public static let length = 8

    /// The eight characters in upper case, without the dash.
    public let text: String

    /// Reads a code as a person types it: in any case, with spaces and dashes anywhere.
    ///
    /// - Returns: `nil` where anything but eight characters of the alphabet is left.
    public init?(_ text: String) {
        // Checked before upper-casing, which makes ASCII letters of some others, such as SS of a sharp s.
        guard text.utf8.count <= 64, text.utf8.allSatisfy({ $0 < 128 }) else { return nil }
        let characters = text.uppercased().utf8.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: " ") }
        guard characters.count == Self.length, characters.allSatisfy(Self.alphabet.contains) else {
            return nil
        }
        self.text = String(decoding: characters, as: UTF8.self)
    }

    /// Makes a code of random bytes.
    ///
    /// - Parameter randomBytes: at least ``length`` bytes of a cryptographic source; more are ignored.
    /// - Precondition: there are enough bytes; the caller chooses their number.
    public init(randomBytes: [UInt8]) {
        precondition(randomBytes.count >= Self.length, "a pairing code needs 8 random bytes")
        text = String(
            decoding: randomBytes.prefix(Self.length).map { Self.alphabet[Int($0 & 31)] }, as: UTF8.self)
    }

    /// The code as people see it: `XXXX-XXXX`.
    public var description: String { "\(text.prefix(4))-\(text.suffix(4))" }
}
