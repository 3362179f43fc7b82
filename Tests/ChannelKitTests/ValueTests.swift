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
