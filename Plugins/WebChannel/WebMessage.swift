/// What a browser and an agent say to each other.
enum WebMessage: Decodable {
    /// A string, or `{"text"}`, with or without `"type": "text"`.
    case text(String)
    /// `{"type": "typing"}`: somebody is writing.
    case typing
    /// `{"type": "ack", "command", "ok"}`: a command was carried out, or not.
    case acknowledgement
    /// Any other JSON that has no type: the page's own affair.
    case data

    private enum CodingKeys: String, CodingKey { case type, text }

    init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            self = .text(text)
            return
        }
        guard let container = try? decoder.container(keyedBy: CodingKeys.self) else {
            self = .data
            return
        }
        switch try container.decodeIfPresent(String.self, forKey: .type) {
        case "text": self = .text(try container.decode(String.self, forKey: .text))
        case "typing": self = .typing
        case "ack": self = .acknowledgement
        case nil: self = try container.decodeIfPresent(String.self, forKey: .text).map { .text($0) } ?? .data
        case .some:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container, debugDescription: "expected \"text\", \"typing\" or \"ack\"")
        }
    }
}
