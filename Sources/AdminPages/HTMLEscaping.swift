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
        var text = text
        let special: (UInt8) -> [UInt8]? = { byte in
            switch byte {
            case UInt8(ascii: "&"): Array("&amp;".utf8)
            case UInt8(ascii: "<"): Array("&lt;".utf8)
            case UInt8(ascii: ">"): Array("&gt;".utf8)
            case UInt8(ascii: "\""): Array("&quot;".utf8)
            case UInt8(ascii: "'"): Array("&#39;".utf8)
            default: nil
            }
        }
        return text.withUTF8 { bytes in
            guard bytes.contains(where: { special($0) != nil }) else { return nil }
            var escaped: [UInt8] = []
            escaped.reserveCapacity(bytes.count + 32)
            for byte in bytes {
                if let replacement = special(byte) { escaped += replacement } else { escaped.append(byte) }
            }
            return String(decoding: escaped, as: UTF8.self)
        } ?? text
    }
}
