import PairingCore
import Testing

@Suite("Reading JSON")
struct JSONReaderTests {
    @Test(
        "A value is read as what it is",
        arguments: [
            ("null", JSONValue.null), (" true ", .bool(true)), ("false", .bool(false)), ("0", .integer(0)),
            ("-0", .numeral("-0")), ("9223372036854775807", .integer(.max)),
            ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .numeral("9223372036854775808")), ("1.0", .number(1)),
            ("1e2", .numeral("1e2")), ("-1.5E-1", .numeral("-1.5E-1")), ("\"\"", .string("")),
            ("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", .string("a\"\\/\u{8}\u{C}\n\r\t")),
            ("\"\\u00e9\\uD83D\\ude00é😀\"", .string("é😀é😀")), ("[]", .array([])),
            ("[1, [2], {}]", .array([.integer(1), .array([.integer(2)]), .object([:])])),
            ("{\"a\":1,\"b\":{\"a\":null}}", .object(["a": .integer(1), "b": .object(["a": .null])])),
            ("\u{20}\t\r\n1\u{20}\t\r\n", .integer(1)),
        ])
    func accepted(text: String, value: JSONValue) throws {
        #expect(try JSONValue(parsing: text.utf8) == value)
    }

    @Test(
        "A number is written as it was spelt",
        arguments: [
            "0", "-0", "-0.0", "1.0", "1.50", "17", "9223372036854775808", "-9223372036854775809", "1e2",
            "1E+2",
            "0.1", "0.10000000000000000000000000001", "123456789012345678901234567890", "1.795726781500E+12",
        ])
    func spelling(text: String) throws {
        #expect(try JSONValue(parsing: text.utf8).text == text)
    }

    @Test(
        "A whole number is one in any spelling, exactly",
        arguments: [
            ("17", 17), ("17.0", 17), ("17.000", 17), ("1.7e1", 17),
            ("1.795726781500E+12", 1_795_726_781_500),
            ("170E-1", 17), ("-1.0", -1), ("-0", 0), ("0.0", 0), ("0e99999999999999999999", 0), ("-0.0E5", 0),
            ("9007199254740993.0", 9_007_199_254_740_993), ("9223372036854775807.0", .max),
            ("-9.223372036854775808e18", .min), ("1.5", nil), ("1e-1", nil), ("9223372036854775808", nil),
            ("1e19", nil), ("1e300", nil), ("1e-99999999999999999999", nil),
            ("17.00000000000000000000001", nil),
            ("\"17\"", nil), ("true", nil), ("[17]", nil), ("null", nil),
        ] as [(String, Int64?)])
    func wholeNumber(text: String, expected: Int64?) throws {
        #expect(try JSONValue(parsing: text.utf8).wholeNumber == expected)
    }

    @Test(
        "What is not exactly one JSON value is refused",
        arguments: [
            "", " ", "nul", "truee", "1 2", "01", "-", "+1", "1.", ".5", "1e", "1e+", "NaN", "Infinity",
            "0x1",
            "1e400", "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "\"\u{1}\"", "'a'", "[",
            "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,",
            "{\"a\":1,}",
            "{a:1}", "{1:1}", "{\"a\" 1}", "/*a*/1", "1//", "\u{FEFF}1", "]", "}",
        ])
    func refused(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: text.utf8) }
    }

    @Test(
        "Half of a surrogate pair is refused",
        arguments: ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\ud800x"])
    func surrogates(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: "\"\(text)\"".utf8) }
    }

    @Test(
        "NUL is found in a value and in a name (I7)",
        arguments: ["\"a\\u0000\"", "{\"\\u0000\":1}", "[{\"a\":\"\\u0000\"}]"])
    func nul(text: String) throws {
        #expect(try JSONValue(parsing: text.utf8).containsNUL)
    }

    @Test(
        "What is checked and not kept is judged by the same rules, and faulted at the same place",
        arguments: [
            "null", "true", "-0", "1e2", "9223372036854775808", "\"a\\u00e9é\"", "[1, [2], {}]",
            "{\"a\":1,\"b\":{\"a\":2}}",
            "{\"é\":1,\"e\u{301}\":2}", "{\"é\":1,\"\\u00e9\":2}", "{\"a\":1,\"a\":2}",
            "{\"a\":[{\"b\":1,\"b\":1}]}",
            "nul", "truee", "1 2", "01", "-", "1.", "1e", "1e400", "-1e400", "\"", "\"\\x\"", "\"\\u12g4\"",
            "\"\u{1}\"",
            "\"\\ud800\"", "\"\\u0000\"", "{\"\\u0000\":1}", "[1,]", "[1 2]", "{\"a\"", "{\"a\":1,}", "{1:1}",
            "[" + String(repeating: "0,", count: 65_534) + "0]",
            String(repeating: "[", count: 63) + String(repeating: "]", count: 63),
            String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
            String(repeating: "9", count: 400),
            "{" + (0..<20).map { "\"\($0)\":1," }.joined() + "\"7\":1}",
        ])
    func skimmed(text: String) {
        let whole = "{\"m\":\(text)}"
        let kept = JSONDocument(reading: whole.utf8)
        let skimmed = JSONDocument(reading: whole.utf8, excerpting: ["m"])
        switch (kept.result, skimmed.result) {
        case (.success, .success):
            #expect(skimmed.result == .success(.object([:])))
            #expect(skimmed.excerpt == text.filter { $0 != " " })
        case (.failure(let one), .failure(let other)): #expect(one == other)
        default: Issue.record("kept: \(kept.result), checked: \(skimmed.result)")
        }
        #expect(kept.offsetOfNUL == skimmed.offsetOfNUL)
    }

    @Test("A bare NUL is no JSON, and its absence is not mistaken for it")
    func bareNUL() throws {
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: "\"\0\"".utf8) }
        #expect(try !JSONValue(parsing: "{\"a\":[\"\\u0001\",1,null]}".utf8).containsNUL)
    }

    @Test(
        "Bytes that are not UTF-8 are refused (I7)", arguments: [[0x80], [0xC0, 0xAF], [0xED, 0xA0, 0x80]])
    func notUTF8(bytes: [UInt8]) {
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: [0x22] + bytes + [0x22]) }
    }

    @Test("A member named twice is refused, at its place")
    func twice() {
        #expect(throws: JSONSyntaxError(offset: 7, problem: "a member named twice in one object")) {
            try JSONValue(parsing: "{\"a\":1,\"\\u0061\":2}".utf8)
        }
    }

    @Test("A member is named twice only where the bytes of its names are the same")
    func equivalentNames() throws {
        let composed = "\"\u{e9}\":1"
        let decomposed = "\"e\u{301}\":2"
        #expect(
            try JSONValue(parsing: "{\(composed),\(decomposed)}".utf8)
                == .object(["\u{e9}": .integer(1)]))
        for text in ["{\(composed),\(composed)}", "{\(composed),\(decomposed),\(decomposed)}"] {
            #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: text.utf8) }
        }
    }

    @Test("Nesting is bounded, also where the text is nothing else")
    func depth() throws {
        let limits = JSONLimits(depth: 32)
        let deepest = String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
        _ = try JSONValue(parsing: deepest.utf8, limits: limits)
        #expect(throws: JSONSyntaxError.self) {
            try JSONValue(parsing: "[\(deepest)]".utf8, limits: limits)
        }
        #expect(throws: JSONSyntaxError.self) {
            try JSONValue(parsing: String(repeating: "[", count: 500_000).utf8)
        }
    }

    @Test("The number of values is bounded")
    func values() throws {
        let limits = JSONLimits(values: 10)
        _ = try JSONValue(parsing: "[1,2,3,4,5,6,7,8,9]".utf8, limits: limits)
        #expect(throws: JSONSyntaxError.self) {
            try JSONValue(parsing: "[1,2,3,4,5,6,7,8,9,10]".utf8, limits: limits)
        }
    }

    @Test(
        "What is beyond a limit is said with the limit",
        arguments: [
            ("[[[]]]", "3 levels of nesting, where 2 are accepted, the first too deep", 2),
            ("[{\"a]\":[]}]", "3 levels of nesting, where 2 are accepted, the first too deep", 7),
            (
                "[1,{},{\"a\":[]},\"a,\\\",\",[ ]]",
                "3 levels of nesting, where 2 are accepted, the first too deep", 11
            ),
            ("[1,{},[2, 3],\"a,\\\",\",[ ]]", "8 values, where 5 are accepted, the first too many", 10),
        ])
    func beyond(text: String, problem: String, offset: Int) {
        #expect(throws: JSONSyntaxError(offset: offset, problem: problem)) {
            try JSONValue(parsing: text.utf8, limits: JSONLimits(depth: 2, values: 5))
        }
    }

    @Test("What is written reads as the same value")
    func roundTrip() throws {
        let value = JSONValue.object([
            "a": .array([.null, .bool(true), .integer(-5), .number(0.1), .string("\u{1}\"\\é😀")]),
            "é": .object([:]),
        ])
        #expect(try JSONValue(parsing: value.text.utf8) == value)
    }
}
