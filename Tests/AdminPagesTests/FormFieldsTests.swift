import Testing

@testable import AdminPages

@Suite("Forms and queries are read strictly")
struct FormFieldsTests {
    @Test(
        "A well-formed text gives its fields",
        arguments: [
            ("", nil), ("a=1", "1"), ("b=2&a=x+y", "x y"), ("a=%2B%26%3D", "+&="), ("a=%c3%A9", "é"),
            ("a", ""),
            ("a=", ""), ("&&a=1&", "1"), ("a=1=2", "1=2"), ("%61=1", "1"),
        ] as [(String, String?)])
    func wellFormed(text: String, value: String?) throws {
        #expect(try FormFields(text.utf8)["a"] == value)
    }

    @Test(
        "What a browser never sends is refused, with the field's name",
        arguments: [
            ("a=%", "a"), ("b=1&a=%4", "a"), ("a=%4g", "a"), ("a=%00", "a"), ("a=\u{0}", "a"), ("a=%ff", "a"),
            ("a=%C0%80", "a"), ("%=1", "%"), ("a=%ED%A0%80", "a"),
        ])
    func malformed(text: String, field: String) {
        #expect(throws: FormFault.malformed(field: field)) { try FormFields(text.utf8) }
    }

    @Test("Bytes that are not UTF-8 are refused")
    func notUnicode() {
        #expect(throws: FormFault.malformed(field: "a")) { try FormFields([0x61, 0x3D, 0xFF]) }
    }

    @Test("A field that comes twice is refused, however it is spelt", arguments: ["a=1&a=1", "a=1&%61=2"])
    func repeated(text: String) {
        #expect(throws: FormFault.repeated(field: "a")) { try FormFields(text.utf8) }
    }

    @Test("Count and size are bounded")
    func bounded() throws {
        let fields = (1...16).map { "f\($0)=x" }.joined(separator: "&")
        #expect(try FormFields(fields.utf8)["f16"] == "x")
        #expect(throws: FormFault.tooMany(most: 16)) { try FormFields((fields + "&f17=x").utf8) }
        let longest = "a=" + String(repeating: "x", count: FormFields.maximumBytes - 2)
        #expect(try FormFields(longest.utf8)["a"]?.utf8.count == FormFields.maximumBytes - 2)
        #expect(throws: FormFault.tooLong(bytes: FormFields.maximumBytes + 1)) {
            try FormFields((longest + "x").utf8)
        }
    }

    @Test(
        "What was percent-encoded is decoded to the same", arguments: ["", "a b", "ä/?&=%+", "x.y_z~-", "日本"])
    func roundTrip(text: String) {
        #expect(percentDecoded(percentEncoded(text).utf8, plusIsSpace: true) == text)
    }
}
