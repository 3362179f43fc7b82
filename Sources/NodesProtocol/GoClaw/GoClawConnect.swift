import PairingCore

/// The `connect` of GoClaw's dialect, as far as it is read.
struct GoClawConnect: Sendable, Equatable {
    /// The parameters by which such a `connect` is known.
    static let words = [
        "user_id", "sender_id", "locale", "tenant_hint", "tenant_id", "tenant_scope", "protocol",
        "protocolVersion",
    ]
    /// A secret that could be guessed is none.
    static let shortestSecret = 32

    /// Who connects.
    enum Client: Sendable, Equatable {
        /// A browser that has nothing yet.
        case fresh
        /// One that brings the secret it was given.
        case known(String)
        /// A program with a secret of its own.
        case bearer(String)
        /// An administrator's program.
        case administrator(token: String)
    }

    /// What the client calls its user; echoed, and shown to the administrator as what it claims.
    var userID: String
    var locale: String
    var client: Client

    /// - Parameter administratorsPrefix: what an API token begins with.
    init(_ parameters: [String: JSONValue], administratorsPrefix: String) {
        let text = { (name: String) in parameters[name]?.string ?? "" }
        userID = String(text("user_id").prefix(255))
        locale = String(text("locale").prefix(16))
        let token = text("token")
        let senderID = Self.senderID(parameters)
        client =
            if token.hasPrefix(administratorsPrefix) {
                .administrator(token: token)
            } else if !token.isEmpty {
                .bearer(token)
            } else if !senderID.isEmpty {
                .known(senderID)
            } else {
                .fresh
            }
    }

    /// The secret that stands for a device, in either spelling.
    static func senderID(_ parameters: [String: JSONValue]) -> String {
        parameters["sender_id"]?.string ?? parameters["senderId"]?.string ?? ""
    }

    /// What the administrator is shown.
    func claim(_ device: (token: DeviceToken, senderID: SenderID), channel: ChannelID) -> PairingClaim {
        var metadata: [String: JSONValue] = ["userAgent": .string("GoClaw client")]
        if !locale.isEmpty { metadata["language"] = .string(locale) }
        return PairingClaim(
            channel: channel, senderID: device.senderID, credential: .token(device.token),
            displayName: String(userID.prefix(64)), metadata: .object(metadata))
    }
}
