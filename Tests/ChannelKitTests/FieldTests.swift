import ChannelKit
import Testing

@Suite("What channel authors ran into, in Swift")
struct FieldTests {
    private struct Screen: Codable, Equatable {
        var title: String
        var body: JSON
        var note: JSON?
    }

    @Test(
        "C10: JSON is a value like others within what is encoded and decoded",
        arguments: [
            #"{"a":[1,-2.5,true,null,"x"]}"#, #""say \"hello\"""#, "null", "[]", "17", "18446744073709551615",
        ])
    func nested(text: String) throws {
        let encoded = try JSON(encoding: Screen(title: "t", body: JSON(text: text)))
        #expect(encoded.text == #"{"body":\#(text),"title":"t"}"#)
        let decoded = try encoded.decode(Screen.self)
        #expect(decoded.body.text == text)
        #expect(decoded.title == "t")
    }

    @Test("C10: JSON without text is null, and a text that is no JSON is refused")
    func empty() throws {
        #expect(
            try JSON(encoding: Screen(title: "t", body: JSON(text: ""))).text == #"{"body":null,"title":"t"}"#
        )
        #expect(throws: Refusal.self) { try JSON(encoding: Screen(title: "t", body: JSON(text: "{"))) }
    }
}
