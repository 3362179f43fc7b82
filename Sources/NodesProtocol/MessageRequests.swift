import PairingCore

/// A message for a device, as `message.push` names it.
public struct PushRequest: Sendable, Equatable {
    /// Whom it is for.
    public var senderID: SenderID
    /// What the program calls it.
    public var pushID: String
    /// The message: JSON text.
    public var message: String
    /// Who speaks.
    public var agent: String?
    /// How long it is wanted.
    public var lifetime: Duration?

    /// Wraps the parts.
    public init(
        senderID: SenderID, pushID: String, message: String, agent: String? = nil, lifetime: Duration? = nil
    ) {
        self.senderID = senderID
        self.pushID = pushID
        self.message = message
        self.agent = agent
        self.lifetime = lifetime
    }
}

extension DeviceRequest {
    /// The longest `expiresInMs`.
    static let longestLifetime: Int64 = 30 * 86400 * 1000

    static func messageStatus(_ parameters: Parameters) throws(Refusal) -> DeviceRequest {
        if parameters.has("pushId") {
            return .pushStatus(try parameters.senderID(), pushID: try parameters.identifier("pushId"))
        }
        return .messageStatus(messageID: try parameters.identifier("messageId"))
    }

    static func abort(_ parameters: Parameters) throws(Refusal) -> DeviceRequest {
        .abort(messageID: try parameters.identifier("messageId"))
    }

    static func history(_ parameters: Parameters) throws(Refusal) -> DeviceRequest {
        var cursor = MessageHistory.Cursor()
        if let before = try parameters.object("before") {
            let parts = Parameters(before.reduce(into: [:]) { $0["before." + $1.key] = $1.value })
            cursor.sent = try parts.integer("before.sent", in: 1...Int64.max) ?? .max
            cursor.received = try parts.integer("before.received", in: 1...Int64.max) ?? .max
        }
        let limit = try parameters.integer("limit", in: 1...Int64(MessageHistory.maximumLimit))
        return .history(
            before: cursor, limit: limit.map(Int.init) ?? MessageHistory.defaultLimit,
            conversation: try parameters.conversation())
    }

    static func push(_ parameters: Parameters, _ message: String?) throws(Refusal) -> DeviceRequest {
        guard let message else {
            throw Parameters.refusal("message", "missing; expected any JSON value but null")
        }
        return .push(
            PushRequest(
                senderID: try parameters.senderID(), pushID: try parameters.identifier("pushId"),
                message: message,
                agent: try parameters.optional("agent", "an agent's name, a string of 1 to 64 bytes") {
                    (1...64).contains($0.utf8.count) ? $0 : nil
                },
                lifetime: try parameters.integer("expiresInMs", in: 1000...longestLifetime).map {
                    .milliseconds($0)
                }))
    }
}

extension Parameters {
    /// Which conversation; the main one where none is named.
    func conversation(_ name: String = "conversation") throws(Refusal) -> ConversationName {
        try optional(
            name,
            "a conversation's name, 1 to \(ConversationName.maximumLength) bytes without control characters",
            ConversationName.init) ?? .main
    }

    fileprivate func identifier(_ name: String) throws(Refusal) -> String {
        let limit = DeviceRequest.maximumMessageIDLength
        return try require(name, "the message's identifier, a string of 1 to \(limit) bytes") {
            (1...limit).contains($0.utf8.count) ? $0 : nil
        }
    }
}
