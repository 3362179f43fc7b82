import PairingCore

/// The envelopes of OpenClaw's dialect. Its clients drop a frame in which a member is null, so there is none.
enum OpenClawFrames {
    static func response(_ id: String, _ payload: JSONValue) -> String {
        JSONValue.object([
            "type": .string("res"), "id": .string(id), "ok": .bool(true), "payload": payload,
        ]).text
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
        var members: [String: JSONValue] = [
            "type": .string("event"), "event": .string(name), "payload": .object(payload),
        ]
        if let seq { members["seq"] = .integer(seq) }
        return JSONValue.object(members).text
    }

    /// A message as it stands in chats and histories.
    static func message(_ role: String, _ text: String, at: Int64) -> JSONValue {
        .object([
            "role": .string(role),
            "content": .array([.object(["type": .string("text"), "text": .string(text)])]),
            "timestamp": .integer(at),
        ])
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
