/// Checks UTF-8 (RFC 3629 §4) piece by piece and fails at the first byte that cannot be part of it.
struct UTF8Validator: Equatable {
    /// How many continuation bytes the current character still lacks.
    private var missing: UInt8 = 0
    /// What the next continuation byte may be; narrower after some first bytes, which shuts out overlong
    /// forms, surrogates and what lies beyond U+10FFFF.
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    /// Whether the text may end here.
    var isComplete: Bool { missing == 0 }

    /// Takes the next bytes.
    ///
    /// - Returns: false where they cannot be UTF-8; the validator is of no use afterwards.
    mutating func consume(_ bytes: some Sequence<UInt8>) -> Bool {
        for byte in bytes {
            if missing > 0 {
                guard (lowest...highest).contains(byte) else { return false }
                missing -= 1
                (lowest, highest) = (0x80, 0xBF)
            } else if byte >= 0x80 {
                guard begin(byte) else { return false }
            }
        }
        return true
    }

    private mutating func begin(_ byte: UInt8) -> Bool {
        switch byte {
        case 0xC2...0xDF: missing = 1
        case 0xE0: (missing, lowest) = (2, 0xA0)
        case 0xE1...0xEC, 0xEE...0xEF: missing = 2
        case 0xED: (missing, highest) = (2, 0x9F)
        case 0xF0: (missing, lowest) = (3, 0x90)
        case 0xF1...0xF3: missing = 3
        case 0xF4: (missing, highest) = (3, 0x8F)
        default: return false
        }
        return true
    }
}
