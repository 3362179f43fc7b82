import NodesProtocol
import PairingCore
import Testing

@Suite("Request frames")
struct RequestFrameTests {
    @Test("A request is read and its unknown keys are ignored")
    func accepted() throws {
        let text = #"{"type":"req","id":"7","method":"health","params":{"x":1},"traceparent":"00","y":[{}]}"#
        #expect(
            try RequestFrame(parsing: text.utf8)
                == RequestFrame(id: "7", method: "health", parameters: ["x": .integer(1)]))
    }

    @Test(
        "A request needs no parameters",
        arguments: [
            #"{"type":"req","id":"1","method":"m"}"#, #"{"type":"req","id":"1","method":"m","params":null}"#,
        ])
    func withoutParameters(text: String) throws {
        #expect(try RequestFrame(parsing: text.utf8) == RequestFrame(id: "1", method: "m"))
    }

    @Test(
        "What is not a request is refused with the reason, and with the request's identifier where it has one (I6)",
        arguments: [
            ("", nil, "not_json"), ("{", nil, "not_json"), (#"{"id":"1","id":"1"}"#, nil, "not_json"),
            ("[]", nil, "not_an_object"), ("\"req\"", nil, "not_an_object"), ("{}", nil, "bad_id"),
            (#"{"type":"req","id":1,"method":"m"}"#, nil, "bad_id"),
            (#"{"type":"req","id":"","method":"m"}"#, nil, "bad_id"),
            (#"{"type":"req","id":"\#(String(repeating: "x", count: 129))","method":"m"}"#, nil, "bad_id"),
            (#"{"id":"1","method":"m"}"#, "1", "unknown_type"),
            (#"{"type":"event","id":"1","event":"e"}"#, "1", "unknown_type"),
            (#"{"type":"REQ","id":"1","method":"m"}"#, "1", "unknown_type"),
            (#"{"type":"req","id":"1"}"#, "1", "bad_method"),
            (#"{"type":"req","id":"1","method":7}"#, "1", "bad_method"),
            (#"{"type":"req","id":"1","method":"m","params":[]}"#, "1", "bad_params"),
            (#"{"type":"req","id":"1","method":"m","params":"x"}"#, "1", "bad_params"),
        ] as [(String, String?, String)])
    func refused(text: String, id: String?, reason: String) {
        do {
            _ = try RequestFrame(parsing: text.utf8)
            Issue.record("accepted: \(text)")
        } catch {
            #expect(error.id == id)
            #expect(error.refusal.code == .invalidRequest)
            #expect(error.refusal.reason == reason)
        }
    }

    @Test(
        "What is not a request is told what came and what was expected (I6)",
        arguments: [
            ("[]", "is a list; expected a JSON object"), ("\"req\"", #"is "req"; expected a JSON object"#),
            ("{}", "id: missing; expected"), (#"{"type":"req","id":1}"#, "id: got 1; expected"),
            (#"{"id":"1"}"#, "type: missing; expected"),
            (#"{"id":"1","type":"REQ"}"#, #"type: got "REQ"; expected "req""#),
            (#"{"type":"req","id":"1"}"#, "method: missing"),
            (#"{"type":"req","id":"1","method":{}}"#, "method: got an object"),
            (#"{"type":"req","id":"1","method":"m","params":[]}"#, "params: got a list; expected an object"),
        ])
    func told(text: String, said: String) {
        let refused = #expect(throws: FrameRefusal.self) { try RequestFrame(parsing: text.utf8) }
        #expect(refused?.refusal.message.contains(said) == true, "\(refused?.refusal.message ?? "")")
    }

    @Test(
        "A frame that is no JSON is answered under its identifier, with what is wrong and where (I6)",
        arguments: [
            (#"{"type":"req","id":"7","method":"m","params":{"message":NaN}}"#, "7", "a JSON value", 56),
            (#"{"id":"7","params":{"message":"\ud83d"}}"#, "7", "half of a surrogate pair", 33),
            (#"{"id":"7","params":{"a":1,"a":2}}"#, "7", "named twice", 26),
            (#"{"id":"7","method":"m","method":"m"}"#, "7", "named twice", 23),
            (#"{"id":"7""#, "7", "',' or '}'", 9),
            (#"{"params":{"id":"8","a":NaN},"id":"7"}"#, nil, "a JSON value", 24),
            (#"[{"id":"7"},NaN]"#, nil, "a JSON value", 12),
            (#"{"id":7,"a":NaN}"#, nil, "a JSON value", 12), (#"{"id":"","a":NaN}"#, nil, "a JSON value", 13),
            (#"{"id":"7","id":"8"}"#, nil, "named twice", 10),
        ] as [(String, String?, String, Int64)])
    func faults(text: String, id: String?, problem: String, offset: Int64) {
        let refused = #expect(throws: FrameRefusal.self) { try RequestFrame(parsing: text.utf8) }
        #expect(refused?.id == id)
        #expect(refused?.refusal.reason == "not_json")
        #expect(refused?.refusal.message.contains(problem) == true)
        #expect(refused?.refusal.message.hasSuffix("at byte \(offset).") == true)
        #expect(refused?.refusal.details["offset"] == .integer(offset))
    }

    @Test("A frame beyond a limit is told the limit, what came and where")
    func limits() {
        let zeros = #"{"id":"7","params":{"message":[\#(String(repeating: "0,", count: 69_999))0]}}"#
        let many = #expect(throws: FrameRefusal.self) { try RequestFrame(parsing: zeros.utf8) }
        #expect(many?.id == "7")
        #expect(many?.refusal.message.contains("70004 values, where 65536 are accepted") == true)
        let nest = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)
        let deep = #expect(throws: FrameRefusal.self) {
            try RequestFrame(parsing: #"{"id":"7","params":{"message":\#(nest)}}"#.utf8)
        }
        #expect(deep?.id == "7")
        #expect(deep?.refusal.message.contains("72 levels of nesting, where 64 are accepted") == true)
    }

    @Test("A message is kept as it was sent, but for the space between its tokens")
    func message() throws {
        let sent =
            #"{"z":9223372036854775808, "a" : [-0, 1.50,1E+3 ],"t":"a \u00e9 \" b\\ ","\#u{e9}":1,"e\#u{301}":2}"#
        let kept =
            #"{"z":9223372036854775808,"a":[-0,1.50,1E+3],"t":"a \u00e9 \" b\\ ","\#u{e9}":1,"e\#u{301}":2}"#
        let frame = try RequestFrame(
            parsing:
                #"{"type":"req","id":"1","method":"m","params":{"x":{"message":1},"message": \#(sent) }}"#
                .utf8)
        #expect(frame.message.map { Array($0.utf8) } == Array(kept.utf8))
        let without = #"{"type":"req","id":"1","method":"m","params":{"x":{"message":1}},"message":2}"#
        #expect(try RequestFrame(parsing: without.utf8).message == nil)
    }

    @Test("NUL is refused wherever it is, and its place is told (I7)")
    func nul() {
        let text =
            #"{"type":"req","id":"1","method":"m","params":{"message":{"\#u{e9}":1,"e\#u{301}":"\u0000"}}}"#
        let refused = #expect(throws: FrameRefusal.self) { try RequestFrame(parsing: text.utf8) }
        #expect(refused?.id == "1")
        #expect(refused?.refusal.reason == "nul")
    }
}

@Suite("Server frames")
struct ServerFrameTests {
    @Test("A response repeats the request's identifier")
    func response() {
        #expect(
            ServerFrame.response(id: "a\"b", payload: .object(["n": .integer(1)])).text
                == #"{"id":"a\"b","ok":true,"payload":{"n":1},"type":"res"}"#)
    }

    @Test("An accepted message's answer is the same as any other's")
    func accepted() {
        let payload = JSONValue.object([
            "messageId": .string("m\u{e9}\""), "messageSeq": .integer(7), "status": .string("accepted"),
        ])
        #expect(
            ServerFrame.accepted(id: "\\", messageID: "m\u{e9}\"", messageSeq: 7).text
                == ServerFrame.response(id: "\\", payload: payload).text)
    }

    @Test("A failure says code, reason and when to try again")
    func failure() {
        let refusal = Refusal(
            .alreadyExists, "taken", "Taken.", retryable: true, retryAfter: .milliseconds(1500),
            details: ["state": .string("pending")])
        #expect(
            ServerFrame.failure(id: nil, refusal).text
                == #"{"error":{"code":"ALREADY_EXISTS","details":{"reason":"taken","state":"pending"},"#
                + #""message":"Taken.","retryAfterMs":1500,"retryable":true},"id":null,"ok":false,"type":"res"}"#
        )
    }

    @Test("An event carries its number")
    func event() {
        #expect(
            ServerFrame.event(.shutdown, payload: .object([:]), seq: 3).text
                == #"{"event":"shutdown","payload":{},"seq":3,"type":"event"}"#)
    }
}
