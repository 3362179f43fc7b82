extension JSONReader {
    /// How deep the text nests and how many values it has, by its brackets and commas alone: exact for JSON, and
    /// for an error that is to name both the limit and what came.
    func extent() -> (depth: Int, values: Int) {
        var depth = 0
        var deepest = 0
        var values = 1
        var isInString = false
        var isEscaped = false
        var followsOpening = false
        for byte in bytes {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            if Self.isSpace(byte) { continue }
            let isClosing = byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}")
            if followsOpening, !isClosing { values += 1 }
            followsOpening = byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{")
            if followsOpening {
                depth += 1
                deepest = max(deepest, depth)
            } else if isClosing {
                depth -= 1
            } else if byte == UInt8(ascii: ",") {
                values += 1
            } else if byte == UInt8(ascii: "\"") {
                isInString = true
            }
        }
        return (deepest, values)
    }

    /// The part of an acceptable text without the space between its tokens.
    func compact(_ range: Range<Int>) -> String {
        guard excerptHasSpace else { return String(decoding: bytes[range], as: UTF8.self) }
        var output: [UInt8] = []
        output.reserveCapacity(range.count)
        var isInString = false
        var isEscaped = false
        for byte in bytes[range] {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
            } else if Self.isSpace(byte) {
                continue
            } else if byte == UInt8(ascii: "\"") {
                isInString = true
            }
            output.append(byte)
        }
        return String(decoding: output, as: UTF8.self)
    }
}
