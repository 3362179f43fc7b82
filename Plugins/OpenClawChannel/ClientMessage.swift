import ChannelKit

/// What a client says.
enum ClientMessage: Decodable {
    /// A string, or `{"type": "text", "text"}` with or without the type.
    case text(String)
    /// `{"type": "ack", "command", "ok", …}`: a node carried a command out, or did not.
    case acknowledgement(String)

    private enum CodingKeys: String, CodingKey { case type, text, command, ok }

    init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            self = .text(text)
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        switch try container.decodeIfPresent(String.self, forKey: .type) {
        case nil, "text": self = .text(try container.decode(String.self, forKey: .text))
        case "ack":
            _ = try container.decode(Bool.self, forKey: .ok)
            self = .acknowledgement(try container.decode(String.self, forKey: .command))
        case .some:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container, debugDescription: "expected \"text\" or \"ack\"")
        }
    }
}

/// `{"type": "command", "command", …}` from an agent.
struct Command: Decodable {
    let name: String

    private enum CodingKeys: String, CodingKey { case type, command }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .command)
        guard try container.decode(String.self, forKey: .type) == "command", isCommandName(name) else {
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container, debugDescription: "expected \"command\"")
        }
    }
}
