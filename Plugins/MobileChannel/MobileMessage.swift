/// What an app and an agent say to each other.
enum MobileMessage: Decodable {
    /// `{"type": "receipt", "messageId", "status"}`: what became of a message of the other side.
    case receipt(Receipt)
    /// Anything else.
    case content

    /// What became of a message.
    struct Receipt: Codable {
        /// How far a message got.
        enum Status: String, Codable { case delivered, read }

        var messageID: String
        var status: Status

        private enum CodingKeys: String, CodingKey {
            case messageID = "messageId"
            case status
        }
    }

    /// An agent's receipt as the app gets it: with its number, so that the app can acknowledge it.
    struct DeliveredReceipt: Encodable {
        let messageSeq: Int64
        let messageId: String
        let status: Receipt.Status

        init(messageSeq: Int64, _ receipt: Receipt) {
            self.messageSeq = messageSeq
            messageId = receipt.messageID
            status = receipt.status
        }
    }

    private enum CodingKeys: String, CodingKey { case type }

    init(from decoder: any Decoder) throws {
        let type = try? decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .type)
        self = type == "receipt" ? .receipt(try Receipt(from: decoder)) : .content
    }
}
