import PairingCore

/// A frame the server sends.
public enum ServerFrame: Sendable, Equatable {
    /// The answer to a request that succeeded.
    case response(id: String, payload: JSONValue)
    /// The answer to `message.send`: the message is accepted under this number.
    case accepted(id: String, messageID: String, messageSeq: Int64)
    /// The answer to a request that was refused; `id` is `nil` where it could not be read.
    case failure(id: String?, Refusal)
    /// Something that happened; `seq` counts the events of one socket from 1.
    case event(ClientEventName, payload: JSONValue, seq: Int64)
    /// What a channel says to its device; `payload` is JSON text already.
    case channelEvent(String, payload: String, seq: Int64)

    /// The frame's JSON.
    public var text: String {
        switch self {
        case .response(let id, let payload):
            JSONValue.object([
                "type": .string("res"), "id": .string(id), "ok": .bool(true), "payload": payload,
            ]).text
        case .accepted(let id, let messageID, let number):
            // What is sent most is put together by hand, in the order that the others' members have.
            #"{"id":\#(id.json),"ok":true,"payload":{"messageId":"#
                + #"\#(messageID.json),"messageSeq":\#(number),"status":"accepted"},"type":"res"}"#
        case .failure(let id, let refusal):
            JSONValue.object([
                "type": .string("res"), "id": id.map(JSONValue.string) ?? .null, "ok": .bool(false),
                "error": refusal.json,
            ]).text
        case .event(let name, let payload, let seq):
            JSONValue.object([
                "type": .string("event"), "event": .string(name.rawValue), "payload": payload,
                "seq": .integer(seq),
            ]).text
        case .channelEvent(let name, let payload, let seq):
            #"{"event":\#(name.json),"payload":\#(payload),"seq":\#(seq),"type":"event"}"#
        }
    }
}

extension String {
    /// This text as JSON.
    var json: String { JSONValue.string(self).text }
}

extension Refusal {
    /// The error object `{code, message, details, retryable?, retryAfterMs?}`; `details.reason` tells
    /// refusals of one code apart.
    public var json: JSONValue {
        var facts = details
        facts["reason"] = .string(reason)
        var members: [String: JSONValue] = [
            "code": .string(code.rawValue), "message": .string(message), "details": .object(facts),
        ]
        if retryable { members["retryable"] = .bool(true) }
        if let retryAfter { members["retryAfterMs"] = .integer(retryAfter.milliseconds) }
        return .object(members)
    }
}
