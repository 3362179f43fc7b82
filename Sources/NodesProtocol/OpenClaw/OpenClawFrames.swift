import PairingCore

/// The envelopes of OpenClaw's dialect. Its clients drop a frame in which a member is null, so there is none. What is
/// sent most is put together as text.
enum OpenClawFrames {
    static func response(_ id: String, _ payload: JSONValue) -> String { response(id, text: payload.text) }

    /// - Parameter text: the payload, which is JSON text.
    static func response(_ id: String, text: String) -> String {
        #"{"type":"res","id":\#(id.json),"ok":true,"payload":\#(text)}"#
    }

    static func failure(
        _ id: String, _ code: String, _ message: String, details: [String: JSONValue] = [:],
        retryAfter: Int64? = nil
    ) -> String {
        var error: [String: JSONValue] = ["code": .string(code), "message": .string(message)]
        let facts = details.filter { $0.value != .null }
        if !facts.isEmpty { error["details"] = .object(facts) }
        if let retryAfter {
            error["retryable"] = .bool(true)
            error["retryAfterMs"] = .integer(max(0, retryAfter))
        }
        return JSONValue.object([
            "type": .string("res"), "id": .string(id), "ok": .bool(false), "error": .object(error),
        ]).text
    }

    static func event(_ name: String, _ payload: [String: JSONValue], seq: Int64?) -> String {
        event(name, JSONValue.object(payload).text, seq: seq)
    }

    /// - Parameters:
    ///   - name: one of the protocol's, which need no escape.
    ///   - payload: JSON text.
    static func event(_ name: String, _ payload: String, seq: Int64?) -> String {
        let number = seq.map { #","seq":\#($0)"# } ?? ""
        return #"{"type":"event","event":"\#(name)"\#(number),"payload":\#(payload)}"#
    }

    /// A message as it stands in chats and histories, as JSON.
    ///
    /// - Parameter text: a JSON string.
    static func message(_ role: String, text: String, at: Int64) -> String {
        #"{"role":"\#(role)","content":[{"type":"text","text":\#(text)}],"timestamp":\#(at)}"#
    }

    /// A reason that fits a close frame (RFC 6455 §5.5), cut between characters.
    static func reason(_ text: String) -> String {
        var result = ""
        for character in text {
            if result.utf8.count + character.utf8.count > 123 { break }
            result.append(character)
        }
        return result
    }
}
