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
}

@Suite("Server frames")
struct ServerFrameTests {
    @Test("A response repeats the request's identifier")
    func response() {
        #expect(
            ServerFrame.response(id: "a\"b", payload: .object(["n": .integer(1)])).text
                == #"{"id":"a\"b","ok":true,"payload":{"n":1},"type":"res"}"#)
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
