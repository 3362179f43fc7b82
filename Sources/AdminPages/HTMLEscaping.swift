import Mustache

/// Escapes text for HTML, in content and in quoted attributes.
///
/// The library's own escaping compares grapheme clusters, so a quotation mark that carries a combining
/// character, which a device may well send, passes it unescaped and ends an attribute. This one goes by
/// bytes: every `"` is a `"`, whatever follows it.
struct HTMLEscaping: MustacheContentType {
    /// The name templates ask for it by; ``PageTemplates`` writes that into every template.
    static let name = "ESCAPED_HTML"

    func escapeText(_ text: String) -> String {
        guard text.utf8.contains(where: { Self.replacement(for: $0) != nil }) else { return text }
        var escaped: [UInt8] = []
        escaped.reserveCapacity(text.utf8.count + 32)
        for byte in text.utf8 {
            if let replacement = Self.replacement(for: byte) {
                replacement.withUTF8Buffer { escaped += $0 }
            } else {
                escaped.append(byte)
            }
        }
        return String(decoding: escaped, as: UTF8.self)
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
