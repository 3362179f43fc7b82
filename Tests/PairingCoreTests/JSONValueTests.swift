import Foundation
import PairingCore
import Testing

@Suite("JSON values")
struct JSONValueTests {
    @Test(
        "A value is written as compact JSON",
        arguments: [
            (JSONValue.null, "null"), (.bool(true), "true"), (.bool(false), "false"), (.integer(0), "0"),
            (.integer(.min), "-9223372036854775808"), (.integer(.max), "9223372036854775807"),
            (.number(1.5), "1.5"), (.number(.infinity), "null"), (.number(.nan), "null"),
            (.string(""), "\"\""),
            (.array([]), "[]"), (.object([:]), "{}"), (.array([.integer(1), .array([.null])]), "[1,[null]]"),
            (.object(["b": .integer(2), "a": .integer(1)]), #"{"a":1,"b":2}"#),
        ])
    func text(_ value: JSONValue, _ expected: String) {
        #expect(value.text == expected)
    }

    @Test(
        "A string is escaped as RFC 8259, section 7, wants",
        arguments: [
            ("\"", #""\"""#), ("\\", #""\\""#), ("\n\r\t", #""\n\r\t""#), ("\u{0}", #""\u0000""#),
            ("\u{1F}", #""\u001f""#), ("\u{8}", #""\u0008""#), ("/", #""/""#), ("\u{1F600}", "\"\u{1F600}\""),
        ])
    func escaping(_ text: String, _ expected: String) {
        #expect(JSONValue.string(text).text == expected)
        #expect(JSONValue.object([text: .null]).text == "{\(expected):null}")
    }

    @Test("Equal values have equal texts, however they were built")
    func determinism() {
        let names = (0..<200).map { "member-\($0)" }
        let forward = JSONValue.object(Dictionary(uniqueKeysWithValues: names.map { ($0, .string($0)) }))
        let backward = JSONValue.object(
            Dictionary(uniqueKeysWithValues: names.reversed().map { ($0, .string($0)) }))
        #expect(forward == backward)
        #expect(forward.text == backward.text)
    }

    @Test(
        "What another parser wrote comes back with the same meaning",
        arguments: [
            #"{"a":[1,-2,3.5,true,null,"x"],"b":{"c":"\u00e9\n"}}"#, "[]", "12345678901234567", "1e300",
            "-0.5",
            #""\ud83d\ude00""#,
        ])
    func roundTrip(_ text: String) throws {
        let value = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        #expect(try JSONDecoder().decode(JSONValue.self, from: Data(value.text.utf8)) == value)
        #expect(try JSONDecoder().decode(JSONValue.self, from: try JSONEncoder().encode(value)) == value)
    }

    @Test(
        "Numbers of every size are written so that JSON reads them",
        arguments: [1e20, 1e-20, Double.leastNonzeroMagnitude, .greatestFiniteMagnitude, -0.0, 0.1])
    func numbers(_ number: Double) throws {
        let text = JSONValue.number(number).text
        let back = try JSONDecoder().decode([Double].self, from: Data("[\(text)]".utf8))
        #expect(back == [number])
    }

    @Test("Whole numbers beyond 64 bits are kept as doubles")
    func beyondInteger() throws {
        let value = try JSONDecoder().decode(JSONValue.self, from: Data("[9223372036854775808]".utf8))
        #expect(value == .array([.number(9223372036854775808)]))
    }

    @Test("Cleaning reaches every string and name, and changes nothing else (I7)")
    func cleaned() {
        let hostile = JSONValue.object([
            "na\u{202E}me": .string("va\u{200B}l\u{0}ue"),
            "list": .array([.string("\u{1B}[31m"), .integer(1), .null, .object(["k\u{FEFF}": .bool(true)])]),
        ])
        let clean = JSONValue.object([
            "name": .string("value"),
            "list": .array([.string("[31m"), .integer(1), .null, .object(["k": .bool(true)])]),
        ])
        #expect(hostile.cleaned(maximumScalars: 100) == clean)
    }

    @Test("Of members whose names become one, the first by original name is kept, every time")
    func collision() {
        for _ in 0..<20 {
            let value = JSONValue.object(["a": .integer(1), "a\u{200B}": .integer(2), "\u{0}a": .integer(3)])
            #expect(value.cleaned(maximumScalars: 10) == .object(["a": .integer(3)]))
        }
    }

    @Test("Members and strings are reached by name")
    func access() {
        let value = JSONValue.object(["a": .string("x")])
        #expect(value["a"]?.string == "x")
        #expect(value["b"] == nil)
        #expect(value.string == nil)
        #expect(JSONValue.array([])["a"] == nil)
    }
}
