/// What an app and an agent say to each other.
enum MobileMessage: Decodable {
    /// `{"type": "receipt", "messageSeq", "status"}` of an app: what became of an agent's message.
    case receipt(number: Int64, Status)
    /// `{"type": "background"}` or `{"type": "foreground"}`: whether the app is in the background from now on.
    case background(Bool)
    /// `{"type": "typing"}`: somebody is writing.
    case typing
    /// Anything else.
    case content

    /// How far a message got.
    enum Status: String, Codable { case delivered, read }

    private enum CodingKeys: String, CodingKey { case type, messageSeq, status }

    init(from decoder: any Decoder) throws {
        guard let container = try? decoder.container(keyedBy: CodingKeys.self),
            let type = try? container.decode(String.self, forKey: .type)
        else {
            self = .content
            return
        }
        switch type {
        case "receipt":
            let number = try container.decode(Int64.self, forKey: .messageSeq)
            guard number > 0 else {
                throw DecodingError.dataCorruptedError(
                    forKey: .messageSeq, in: container, debugDescription: "expected the number of a message")
            }
            self = .receipt(number: number, try container.decode(Status.self, forKey: .status))
        case "background": self = .background(true)
        case "foreground": self = .background(false)
        case "typing": self = .typing
        default: self = .content
        }
    }
}

/// `{"type": "receipt", "messageId", "status"}`: what became of a message of the app's, as the app is told.
struct AppReceipt: Codable {
    var messageID: String
    var status: MobileMessage.Status

    private enum CodingKeys: String, CodingKey {
        case messageID = "messageId"
        case status
    }

    /// Reads what an agent says of an app's message.
    ///
    /// - Returns: `nil` for anything else.
    init?(_ message: Saying) {
        guard message.type == "receipt", let messageID = message.messageId, let status = message.status else {
            return nil
        }
        (self.messageID, self.status) = (messageID, status)
    }

    init(messageID: String, status: MobileMessage.Status) {
        (self.messageID, self.status) = (messageID, status)
    }

    /// What of an agent's message could make it a receipt.
    struct Saying: Decodable {
        let type: String
        let messageId: String?
        let status: MobileMessage.Status?
    }
}

/// An agent's receipt as the app gets it: with its number, so that the app can acknowledge it.
struct DeliveredReceipt: Encodable {
    let messageSeq: Int64
    let messageId: String
    let status: MobileMessage.Status

    init(messageSeq: Int64, _ receipt: AppReceipt) {
        self.messageSeq = messageSeq
        messageId = receipt.messageID
        status = receipt.status
    }
}
