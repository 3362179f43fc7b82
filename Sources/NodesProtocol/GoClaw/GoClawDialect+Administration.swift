import PairingCore

/// What administrators' programs ask for, with GoClaw's spellings: some parameters in camel case, rows in snake case.
extension GoClawDialect {
    mutating func administration(_ frame: RequestFrame) -> [DialectStep] {
        let parameters = frame.parameters
        let code = parameters["code"]
        let reason = parameters["reason"]?.string.map { String($0.prefix(200)) }
        switch frame.method {
        case "device.pair.list": return [ask(.list(frame.id), .list(PairingListing()))]
        case "device.pair.approve", "device.pair.deny":
            guard let text = code?.string, !text.isEmpty else {
                return [fail(frame, "INVALID_REQUEST", "code is required")]
            }
            guard let parsed = PairingCode(text) else {
                return [fail(frame, "NOT_FOUND", "pairing code \(text.prefix(16)) not found or expired")]
            }
            return [
                ask(
                    .decide(frame.id, code),
                    frame.method == "device.pair.approve"
                        ? .approveCode(parsed) : .denyCode(parsed, reason: reason))
            ]
        case "device.pair.revoke":
            guard
                let name = parameters["senderId"]?.string ?? parameters["sender_id"]?.string
                    ?? parameters["id"]?.string,
                let senderID = SenderID(name)
            else { return [fail(frame, "INVALID_REQUEST", "senderId is required")] }
            // The name that GoClaw has for the channel of these devices.
            let channel = parameters["channel"]?.string.flatMap {
                $0 == "browser" ? facts.channel : ChannelID($0)
            }
            return [
                ask(
                    .revoke(frame.id, device: "\(channel?.text ?? "any")/\(senderID.text)"),
                    .revoke(channel, senderID, nil, reason: reason))
            ]
        default: return [refused(frame)]
        }
    }

    static func list(_ payload: JSONValue) -> [String: JSONValue] {
        [
            "pending": .array(payload.rows("pending").map(row)),
            "paired": .array(payload.rows("paired").map(row)),
        ]
    }

    /// A row with the members of this server's own beside GoClaw's.
    private static func row(_ row: JSONValue) -> JSONValue {
        var members = row.members
        for (theirs, ours) in [
            ("sender_id", "senderId"), ("chat_id", "senderId"), ("id", "senderId"),
            ("created_at", "createdAt"),
            ("expires_at", "expiresAt"), ("paired_at", "pairedAt"), ("paired_by", "pairedBy"),
        ] {
            if let value = row[ours] { members[theirs] = value }
        }
        members["account_id"] = .string("default")
        members["metadata"] = .object(["display_name": row["displayName"] ?? .string("")])
        return .object(members)
    }

    static func decided(_ payload: JSONValue, at now: Int64) -> [String: JSONValue] {
        guard payload["status"] == .string("approved") else { return ["denied": .bool(true)] }
        let senderID = payload["senderId"] ?? .string("")
        return [
            "requestId": payload["requestId"] ?? .string(""),
            "paired": .object([
                "sender_id": senderID, "chat_id": senderID, "channel": payload["channel"] ?? .string(""),
                "paired_at": payload["decidedAt"] ?? .integer(now),
                "paired_by": payload["decidedBy"] ?? .string(""),
            ]),
        ]
    }
}
