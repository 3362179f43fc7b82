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

    /// Reads a code as a person types or pastes it: in any case, with blanks and dashes of any kind anywhere,
    /// and in the full-width characters of East Asian keyboards.
    ///
    /// - Returns: `nil` where anything but eight characters of the alphabet is left.
    public init?(_ text: String) {
        guard let characters = typedCharacters(text), characters.count == Self.length,
            characters.allSatisfy(Self.alphabet.contains)
        else { return nil }
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

/// The ASCII characters of a code as a person types or pastes it, in upper case: without blanks and dashes of any kind,
/// and in full width as well.
///
/// - Returns: `nil` where there is anything else, or where it is longer than any code.
public func typedCharacters(_ text: String) -> [UInt8]? {
    guard text.utf8.count <= 128 else { return nil }
    var characters: [UInt8] = []
    for scalar in text.unicodeScalars where !isBetweenCharacters(scalar) {
        guard let character = asciiUppercased(scalar) else { return nil }
        characters.append(character)
    }
    return characters
}

/// Blanks, what has no width, and everything that keyboards and word processors make of a dash.
private func isBetweenCharacters(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\u{2212}", "\u{30FC}", "\u{FF70}": true
    default:
        scalar.properties.generalCategory == .dashPunctuation || scalar.properties.isWhitespace
            || scalar.properties.isDefaultIgnorableCodePoint
    }
}

/// The ASCII character in upper case that was typed, perhaps in full width (U+FF01 to U+FF5E). Unicode's own
/// upper case would make ASCII letters of some others, such as SS of a sharp s.
private func asciiUppercased(_ scalar: Unicode.Scalar) -> UInt8? {
    let isFullWidth = (0xFF01...0xFF5E).contains(scalar.value)
    guard let byte = UInt8(exactly: isFullWidth ? scalar.value - 0xFEE0 : scalar.value), byte < 128 else {
        return nil
    }
    return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) ? byte - 32 : byte
}
