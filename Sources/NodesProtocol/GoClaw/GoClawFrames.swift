import PairingCore

/// The envelopes of GoClaw's dialect. Its events carry no number.
enum GoClawFrames {
    static func response(_ id: String, _ payload: [String: JSONValue]) -> String {
        JSONValue.object([
            "type": .string("res"), "id": .string(id), "ok": .bool(true), "payload": .object(payload),
        ]).text
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

    static func event(_ name: String, _ payload: [String: JSONValue]) -> String {
        JSONValue.object([
            "type": .string("event"), "event": .string(name), "payload": .object(payload),
        ]).text
    }

    /// A refusal of this server's in GoClaw's codes, which has none for who may not do something but `UNAUTHORIZED`.
    static func failure(_ id: String, _ refusal: Refusal) -> String {
        failure(
            id, refusal.code == .forbidden ? "UNAUTHORIZED" : refusal.code.rawValue, refusal.message,
            details: refusal.details.merging(["reason": .string(refusal.reason)]) { $1 },
            retryAfter: refusal.retryable ? refusal.retryAfter?.milliseconds ?? 1000 : nil)
    }

    /// What an answer cost, which this server is not told by its agents.
    static let usage = JSONValue.object([
        "prompt_tokens": .integer(0), "completion_tokens": .integer(0), "total_tokens": .integer(0),
    ])
}
