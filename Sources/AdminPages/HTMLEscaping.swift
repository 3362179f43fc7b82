/// Escapes text for HTML, in content and in quoted attributes.
///
/// It goes by bytes: every `"` is a `"`, whatever follows it. By characters, a quotation mark that carries a combining
/// character, which a device may well send, would pass unescaped and end an attribute.
enum HTMLEscaping {
    /// Appends the text, escaped.
    static func append(_ text: String, to output: inout [UInt8]) {
        var text = text
        text.withUTF8 { bytes in
            var start = 0
            for index in bytes.indices {
                guard let replacement = replacement(for: bytes[index]) else { continue }
                output += bytes[start..<index]
                replacement.withUTF8Buffer { output += $0 }
                start = index + 1
            }
            output += bytes[start...]
        }
    }

    private static func replacement(for byte: UInt8) -> StaticString? {
        switch byte {
        case UInt8(ascii: "&"): "&amp;"
        case UInt8(ascii: "<"): "&lt;"
        case UInt8(ascii: ">"): "&gt;"
        case UInt8(ascii: "\""): "&quot;"
        case UInt8(ascii: "'"): "&#39;"
        default: nil
        }
    }
}
