/// Joins text that a server cut inside of a character, between one JSON document and the next.
///
/// Servers that write a model's tokens as they come do that: a token may end in the middle of a character, so that
/// neither document is UTF-8. Bytes that are not UTF-8 travel through the JSON reader as scalars of a private plane,
/// one for each, and become bytes again here.
struct SplitText {
    /// A byte's scalar is this one plus the byte, which is 0x80 or more.
    private static let base: UInt32 = 0x10FF00

    private var rest: [UInt8] = []
    private var hasEscapes = false

    /// The document as valid UTF-8.
    mutating func escape(_ document: [UInt8]) -> [UInt8] {
        if String(validating: document, as: UTF8.self) != nil { return document }
        hasEscapes = true
        var output: [UInt8] = []
        output.reserveCapacity(document.count + 16)
        var parser = UTF8.ForwardParser()
        var source = document.makeIterator()
        var position = 0
        while true {
            switch parser.parseScalar(from: &source) {
            case .emptyInput: return output
            case .valid(let scalar):
                output += scalar
                position += scalar.count
            case .error(let length):
                for byte in document[position..<position + length] {
                    if let scalar = Unicode.Scalar(Self.base + UInt32(byte)) { output += scalar.utf8 }
                }
                position += length
            }
        }
    }

    /// More of the text has come.
    ///
    /// - Returns: what is complete of it; a character of which the beginning has come waits for its end.
    mutating func append(_ text: String) -> String {
        guard hasEscapes else { return text }
        for scalar in text.unicodeScalars {
            if scalar.value >= Self.base + 0x80, scalar.value <= Self.base + 0xFF {
                rest.append(UInt8(scalar.value - Self.base))
            } else {
                rest += scalar.utf8
            }
        }
        let complete = rest.count - Self.incompleteSuffix(of: rest)
        defer { rest.removeFirst(complete) }
        return String(decoding: rest[..<complete], as: UTF8.self)
    }

    /// The text has ended.
    ///
    /// - Returns: U+FFFD where its last character is cut off for good.
    mutating func end() -> String {
        defer { rest = [] }
        return String(decoding: rest, as: UTF8.self)
    }

    /// How many bytes at the end are the beginning of a character.
    private static func incompleteSuffix(of bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let byte = bytes[bytes.count - length]
            if byte & 0xC0 == 0x80 { continue }
            let expected = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return expected > length ? length : 0
        }
        return 0
    }
}
