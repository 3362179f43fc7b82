import PairingCore
import Testing

@Suite("Device text (I7)")
struct DeviceTextTests {
    @Test(
        "What is visible stays",
        arguments: [
            "Reception", "Empfang 1. Stock", "\u{53D7}\u{4ED8}", "\u{645}\u{631}\u{62D}\u{628}\u{627}",
            "\u{1F4F1} 7", "a & b <c> \"d\" 'e'", "e\u{301}",
        ])
    func kept(_ text: String) {
        #expect(Array(cleanDeviceText(text, maximumScalars: 64).unicodeScalars) == Array(text.unicodeScalars))
    }

    @Test(
        "Control, bidirectional, invisible, private and unassigned characters go",
        arguments: [
            // Control.
            UInt32(0x00), 0x01, 0x07, 0x08, 0x0B, 0x1B, 0x1F, 0x7F, 0x80, 0x85, 0x9F,
            // Bidirectional.
            0x200E, 0x200F, 0x061C, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069,
            // Of no width.
            0x00AD, 0x034F, 0x200B, 0x200C, 0x200D, 0x2060, 0x2061, 0x2064, 0x2065, 0xFEFF, 0x180E,
            // Variation selectors.
            0xFE00, 0xFE0F, 0x180B, 0x180F, 0xE0100, 0xE01EF,
            // Tags.
            0xE0001, 0xE0020, 0xE0041, 0xE007F,
            // Fillers.
            0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0,
            // Other format characters.
            0xFFF9, 0xFFFB, 0x1BCA0, 0x1D173, 0x110BD, 0x13430,
            // For private use.
            0xE000, 0xF8FF, 0xF0000, 0x10FFFD,
            // Unassigned, and no characters at all.
            0x0378, 0xFFFE, 0xFFFF, 0x1FFFE, 0xFDD0,
        ])
    func removed(_ value: UInt32) throws {
        let scalar = try #require(Unicode.Scalar(value))
        let text = "a\(String(Character(scalar)))b"
        #expect(cleanDeviceText(text, maximumScalars: 64) == "ab", "U+\(String(value, radix: 16))")
    }

    @Test(
        "Line breaks, tabs and every kind of space become a plain space",
        arguments: ["\t", "\n", "\r", "\u{2028}", "\u{2029}", "\u{A0}", "\u{2003}", "\u{3000}", "\u{1680}"])
    func spaces(_ space: String) {
        #expect(cleanDeviceText("a\(space)b", maximumScalars: 64) == "a b")
        #expect(cleanDeviceText("\(space)a b\(space)\(space)", maximumScalars: 64) == "a b")
        #expect(cleanDeviceText(space, maximumScalars: 64).isEmpty)
    }

    @Test("Text is cut by scalars that stay, and never ends in a space")
    func cut() {
        #expect(cleanDeviceText("abcdef", maximumScalars: 3) == "abc")
        #expect(cleanDeviceText("\u{202E}a\u{200B}b\u{202C}cd", maximumScalars: 3) == "abc")
        #expect(cleanDeviceText("ab cd", maximumScalars: 3) == "ab")
        #expect(cleanDeviceText("abc", maximumScalars: 0).isEmpty)
    }

    @Test(
        "A letter keeps as many marks as any script needs and no more",
        arguments: ["\u{30D}", "\u{20DD}", "\u{E49}", "\u{903}"])
    func marks(_ mark: String) {
        let stacked = { (count: Int) in "a" + String(repeating: mark, count: count) + "b" + mark }
        let cleaned = Array(cleanDeviceText(stacked(62), maximumScalars: 128).unicodeScalars)
        #expect(cleaned == Array(stacked(4).unicodeScalars))
        #expect(Array(cleanDeviceText(stacked(4), maximumScalars: 64).unicodeScalars) == cleaned)
        // Neither what is removed between them nor the limit lets more through.
        let woven = "a" + String(repeating: mark + "\u{200B}", count: 62)
        #expect(cleanDeviceText(woven, maximumScalars: 64).unicodeScalars.count == 5)
    }

    @Test(
        "What scripts stack stays",
        arguments: [
            "\u{1EC7}", "e\u{323}\u{302}", "\u{5E9}\u{5C1}\u{5B8}\u{591}", "\u{E01}\u{E35}\u{E48}",
            "\u{F62}\u{F90}\u{FB1}\u{F74}\u{F7E}",
        ])
    func stacked(_ text: String) {
        #expect(Array(cleanDeviceText(text, maximumScalars: 64).unicodeScalars) == Array(text.unicodeScalars))
    }

    @Test("Cleaning what is clean changes nothing")
    func idempotent() {
        let hostile = " \u{202E}\u{200B}gro\u{DF}e\u{E0041} \u{2028}\tTafel\u{0} \u{3164}"
        let once = cleanDeviceText(hostile, maximumScalars: 64)
        #expect(cleanDeviceText(once, maximumScalars: 64) == once)
    }
}
