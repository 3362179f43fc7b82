import Agents
import Cryptography
import PairingCore
import PairingStore

/// What web hooks carry: pure.
enum WebhookBodies {
    /// What is told of an event.
    ///
    /// - Parameter head: the newest position of the audit and the hash there, for whoever keeps it elsewhere.
    static func event(_ event: PairingStore.Event, head: ChainHead) -> String {
        var data: [String: JSONValue] = [
            "position": .integer(event.position), "actorKind": .string(event.actorKind),
            "actor": .string(event.actor),
            "details": (try? JSONValue(parsing: event.details.utf8)) ?? .object([:]),
        ]
        if let channel = event.channel { data["channel"] = .string(channel) }
        if let senderID = event.senderID { data["senderId"] = .string(senderID) }
        if let requestID = event.requestID { data["requestId"] = .string(requestID) }
        if let generation = event.generation { data["generation"] = .integer(generation) }
        if let address = event.address { data["address"] = .string(address) }
        return body(event.event, at: event.at, data, head)
    }

    /// What is told of a device for which messages wait: how many at most, and the newest one's number; nothing of what
    /// they say.
    static func waiting(_ device: PairingStore.WaitingDevice, at now: Timestamp, head: ChainHead) -> String {
        var data: [String: JSONValue] = [
            "senderId": .string(device.sender.senderID.text), "messageSeq": .integer(device.newest),
            "waiting": .integer(device.newest - device.acknowledged),
        ]
        if let channel = device.channel { data["channel"] = .string(channel.text) }
        return body("message.waiting", at: now, data, head)
    }

    private static func body(
        _ type: String, at time: Timestamp, _ data: [String: JSONValue], _ head: ChainHead
    ) -> String {
        JSONValue.object([
            "type": .string(type), "timestamp": .string(StandardWebhook.text(of: time)),
            "data": .object(data), "auditHead": .string(head.description),
        ]).text
    }

    /// The same for every repeat, and for no other event: a database that was restored gives positions away anew, but
    /// no hash.
    static func identifier(of event: PairingStore.Event, hash: [UInt8]?) -> String {
        "event-\(event.position)" + (hash.map { "-\(hexadecimal(Array($0.prefix(8))))" } ?? "")
    }

    /// The same for every repeat, and for no other message.
    static func identifier(of device: PairingStore.WaitingDevice) -> String {
        let key = hexadecimal(Array(sha256(Array(device.sender.senderID.key.utf8)).prefix(8)))
        return "waiting-\(key)-\(device.sender.generation.number)-\(device.newest)"
    }
}

/// The key that web hooks' secrets are encrypted under.
struct WebhookKeys: Sendable {
    private let key: [UInt8]

    /// - Parameter bytes: at least 32 bytes that nobody else knows.
    init(_ bytes: [UInt8]) { key = hmacSHA256(key: bytes, message: Array("webhook-secrets-v1".utf8)) }

    func seal(_ secret: [UInt8], of id: String) throws -> [UInt8] {
        try SealedBytes.seal(secret, key: key, context: Array(id.utf8))
    }

    /// - Returns: `nil` where it was sealed under another key, or for another web hook.
    func open(_ sealed: [UInt8], of id: String) throws -> [UInt8]? {
        try SealedBytes.open(sealed, key: key, context: Array(id.utf8))
    }
}
