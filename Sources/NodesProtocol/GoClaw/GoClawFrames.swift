import PairingCore

/// The envelopes of GoClaw's dialect. Its events carry no number. What is sent most is put together as text.
enum GoClawFrames {
    static func response(_ id: String, _ payload: [String: JSONValue]) -> String {
        response(id, text: JSONValue.object(payload).text)
    }

    /// - Parameter text: the payload, which is JSON text.
    static func response(_ id: String, text: String) -> String {
        #"{"type":"res","id":\#(id.json),"ok":true,"payload":\#(text)}"#
    }

    static func failure(
        _ id: String, _ code: String, _ message: String, details: [String: JSONValue] = [:],
        retryAfter: Int64? = nil
    ) -> String {
        var error: [String: JSONValue] = ["code": .string(code), "message": .string(message)]
        if !details.isEmpty { error["details"] = .object(details) }
        if let retryAfter {
            error["retryable"] = .bool(true)
            error["retryAfterMs"] = .integer(max(0, retryAfter))
        }
        return JSONValue.object([
            "type": .string("res"), "id": .string(id), "ok": .bool(false), "error": .object(error),
        ]).text
    }

    /// - Parameters:
    ///   - name: one of the protocol's, which need no escape.
    ///   - payload: JSON text.
    static func event(_ name: String, _ payload: String) -> String {
        #"{"type":"event","event":"\#(name)","payload":\#(payload)}"#
    }

    /// A refusal of this server's in GoClaw's codes, which has none for who may not do something but `UNAUTHORIZED`.
    static func failure(_ id: String, _ refusal: Refusal) -> String {
        failure(
            id, refusal.code == .forbidden ? "UNAUTHORIZED" : refusal.code.rawValue, refusal.message,
            details: refusal.details.merging(["reason": .string(refusal.reason)]) { $1 },
            retryAfter: refusal.retryable ? refusal.retryAfter?.milliseconds ?? 1000 : nil)
    }

    /// What an answer cost, which this server is not told by its agents.
    static let usage = #"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#
}
