import PairingCore

extension MessageHistory.Page {
    /// The answer to `message.history`; codecs of other dialects read it as well.
    ///
    /// - Parameter conversation: the one that was asked for.
    public func payload(of conversation: ConversationName) -> JSONValue {
        var payload: [String: JSONValue] = ["messages": .array(lines.map(\.json))]
        if !conversation.isMain { payload["conversation"] = .string(conversation.text) }
        if let next {
            payload["before"] = .object(["sent": .integer(next.sent), "received": .integer(next.received)])
        }
        return .object(payload)
    }
}

extension MessageHistory.Line {
    fileprivate var json: JSONValue {
        var members: [String: JSONValue] = [
            "from": .string(agent == nil ? "device" : "agent"), "messageSeq": .integer(sequence),
            "at": .integer(at.milliseconds),
            // Nothing but JSON is stored.
            "message": (try? JSONValue(parsing: body.utf8)) ?? .string(body),
        ]
        if let agent { members["agent"] = .string(agent) }
        if let messageID { members[agent == nil ? "messageId" : "inReplyTo"] = .string(messageID) }
        return .object(members)
    }
}
