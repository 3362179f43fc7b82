import PairingCore
import Testing

@testable import NodesConfiguration

@Suite("Values of settings")
struct ValueTests {
    @Test(
        "An origin is kept in the one spelling that browsers send",
        arguments: [
            ("https://nodes.example.org", "https://nodes.example.org"),
            ("HTTPS://Nodes.Example.ORG/", "https://nodes.example.org"),
            ("https://nodes.example.org:443", "https://nodes.example.org"),
            ("http://nodes.example.org:443", "http://nodes.example.org:443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"), ("http://[::1]:80", "http://[::1]"),
            ("http://[FE80::1]:8080", "http://[fe80::1]:8080"),
        ])
    func origins(given: String, kept: String) {
        #expect(PublicOrigin.normalised(given) == kept)
    }

    @Test(
        "What is not an origin is refused",
        arguments: [
            "", "null", "*", "nodes.example.org", "ws://nodes.example.org", "https://", "https:///",
            "https://nodes.example.org/path", "https://user@nodes.example.org", "https://a b",
            "https://nodes.example.org:", "https://nodes.example.org:0", "https://nodes.example.org:65536",
            "https://nodes.example.org:+1", "https://*.example.org", "https://bücher.example", "https://[]",
            "https://a?b", "https://a#b", "https://a//", "https://.a",
        ])
    func notOrigins(given: String) {
        #expect(PublicOrigin.normalised(given) == nil)
    }

    @Test("Durations and sizes are read with their units and written as short as possible")
    func quantities() {
        #expect(Quantities.duration("500ms") == .milliseconds(500))
        #expect(Quantities.duration("90s") == .seconds(90))
        #expect(Quantities.duration("30d") == .seconds(30 * 86400))
        #expect(Quantities.duration("٣s") == nil)
        #expect(Quantities.text(.seconds(5400)) == "90m")
        #expect(Quantities.text(.zero) == "0ms")
        #expect(Quantities.size("64KiB") == 65536)
        #expect(Quantities.size("1000") == 1000)
        #expect(Quantities.size("1 KiB") == nil)
        #expect(Quantities.text(bytes: 65536) == "64KiB")
    }

    @Test(
        "JSON is read as RFC 8259 says",
        arguments: [
            (#"{"a": [1, -2.5e1, true, null, "x"]}"#, #"{"a":[1,-25.0,true,null,"x"]}"#),
            (#" "\u00e9\ud83d\ude00\n\/" "#, #""é😀\n/""#), ("[]", "[]"), ("{}", "{}"),
            ("9223372036854775807", "9223372036854775807"), ("-0", "0"),
        ])
    func json(text: String, written: String) throws {
        #expect(try JSONText.parse(Array(text.utf8)).text == written)
    }

    @Test(
        "What is not JSON is refused",
        arguments: [
            "", "{", "[1,]", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{a:1}", "01", "1.", ".5", "1e", "+1", "NaN",
            "1e999", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\t\"",
            "\"a",
            "tru", "1 2", "[1] x", "// c\n1", "{\"a\":1,\"a\":2}", "\u{FEFF}{}", "\"\\u+123\"",
        ])
    func notJSON(text: String) {
        #expect(throws: JSONText.Failure.self) { try JSONText.parse(Array(text.utf8)) }
    }

    @Test("Nesting without end is refused before it exhausts the stack")
    func nesting() {
        #expect(throws: JSONText.Failure.self) {
            try JSONText.parse(Array(repeating: UInt8(ascii: "["), count: 100_000))
        }
    }

    @Test("Broken UTF-8 is refused")
    func brokenUTF8() {
        #expect(throws: JSONText.Failure.self) { try JSONText.parse([0x22, 0xC3, 0x22]) }
    }
}
