import Testing

@testable import ChannelKit

@Suite("What a channel gets and gives")
struct ValueTests {
    private struct Shape: Codable, Equatable {
        struct Side: Codable, Equatable { var length: Double }
        var name: String
        var sides: [Side]?
    }

    @Test(
        "JSON that does not fit is refused with its place and what was expected there",
        arguments: [
            ("", "The thing's name is missing."), ("[]", "The thing has another type than an object."),
            ("{", "The thing is not JSON of the expected form."),
            (#"{"name": null}"#, "The thing's name is null instead of a string."),
            (#"{"name": "x", "sides": {}}"#, "The thing's sides has another type than a list."),
            (
                #"{"name": "x", "sides": [{"length": true}]}"#,
                "The thing's sides[0].length has another type than a number."
            ),
            (#"{"name": "x", "sides": [{}]}"#, "The thing's sides[0].length is missing."),
        ])
    func refusals(text: String, message: String) {
        #expect(throws: Refusal.invalid("invalid_thing", message)) {
            try JSON(text: text, name: "thing").decode(Shape.self)
        }
    }

    @Test("What a device sent is quoted in a refusal up to a length")
    func excerpts() {
        #expect(excerpt("short") == "short")
        let long = String(repeating: "ä", count: 64)
        #expect(excerpt(long) == long)
        #expect(excerpt(long + "ä") == long + "…")
        // One character to the eye, of many scalars.
        #expect(excerpt("e" + String(repeating: "\u{301}", count: 9_000)).unicodeScalars.count == 65)
    }

    @Test(
        "However long the members' names, and however deep they are, a refusal is short and says what is wrong"
    )
    func longPaths() throws {
        let name = String(repeating: "n", count: 60_000)
        let wide = #"{"\#(name)": "x"}"#
        let refused = try #require(throws: Refusal.self) {
            try JSON(text: wide, name: "thing").decode([String: Int].self)
        }
        #expect(
            refused.message
                == "The thing's \(name.prefix(64))… has another type than a whole number.")
        struct Nest: Decodable {
            let inner: [String: Nest]
            init(from decoder: any Decoder) throws {
                inner = try decoder.singleValueContainer().decode([String: Nest].self)
            }
        }
        let deep = String(repeating: #"{"\#(name.prefix(1000))":"#, count: 20) + "1"
        let text = deep + String(repeating: "}", count: 20)
        let refusal = try #require(throws: Refusal.self) {
            try JSON(text: text, name: "thing").decode(Nest.self)
        }
        #expect(refusal.message.unicodeScalars.count < 512)
        #expect(refusal.message.hasSuffix("… has another type than an object."))
        struct Picky: Decodable {
            init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: Key.self)
                let said = try container.decode(String.self, forKey: .said)
                throw DecodingError.dataCorruptedError(
                    forKey: .said, in: container, debugDescription: "not \(said)")
            }
            enum Key: CodingKey { case said }
        }
        let echo = try #require(throws: Refusal.self) {
            try JSON(text: #"{"said": "\#(name)"}"#, name: "thing").decode(Picky.self)
        }
        #expect(echo.message.unicodeScalars.count < 256)
    }

    @Test("JSON nested beyond reason is refused, not followed")
    func depth() {
        let deep = #"{"name": "x", "sides": "# + String(repeating: "[", count: 100_000)
        #expect(throws: Refusal.self) { try JSON(text: deep, name: "thing").decode(Shape.self) }
    }

    @Test("A value becomes JSON with its members in order; one without a JSON form is refused")
    func encoding() throws {
        let shape = Shape(name: "a/b", sides: [.init(length: 1.5)])
        #expect(try JSON(encoding: shape).text == #"{"name":"a/b","sides":[{"length":1.5}]}"#)
        #expect(throws: Refusal.self) { try JSON(encoding: [Double.infinity]) }
    }

    @Test("An agent's message becomes a frame, its texts escaped")
    func frame() {
        let message = AgentMessage(
            number: 3, agent: "a\"b\\c\n", body: JSON(text: "[1]"), part: .init(index: 2, isLast: true))
        #expect(
            DeviceFrame(event: "message.part", message: message).payload.text
                == #"{"messageSeq":3,"agent":"a\"b\\c\u000a","message":[1],"part":2,"last":true}"#)
    }
}
