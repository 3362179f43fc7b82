/// One value of a reading.
enum Value: Codable, Sendable {
    case boolean(Bool)
    case number(Double)
    case text(String)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected a number, true, false or a string")
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .boolean(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        }
    }
}

/// What a device says.
enum SensorMessage: Decodable {
    /// `{"readings": {name: value, …}, "at"?}`; `at` in milliseconds since the epoch.
    case readings([String: Value], at: Int64?)
    /// `{"type": "ack", "command", "ok", "detail"?}`: a command was carried out, or not.
    case acknowledgement

    private enum CodingKeys: String, CodingKey { case type, readings, at, command, ok, detail }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        switch try container.decodeIfPresent(String.self, forKey: .type) {
        case nil, "readings":
            self = .readings(
                try container.decode([String: Value].self, forKey: .readings),
                at: try container.decodeIfPresent(Int64.self, forKey: .at))
        case "ack":
            guard isName(try container.decode(String.self, forKey: .command)) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .command, in: container, debugDescription: "expected the command's name")
            }
            _ = try container.decode(Bool.self, forKey: .ok)
            _ = try container.decodeIfPresent(String.self, forKey: .detail)
            self = .acknowledgement
        case .some:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container, debugDescription: "expected \"readings\" or \"ack\"")
        }
    }
}

/// The readings of one message as the agent gets them.
struct SensorReport: Encodable {
    /// One reading with its unit.
    struct Entry: Encodable {
        let name: String
        let value: Value
        /// A UCUM code.
        let unit: String
    }

    let type = "readings"
    /// Milliseconds since the epoch.
    let at: Int64
    let readings: [Entry]
}

/// `{"type": "command", "command", …}` from an agent; the device acknowledges it by its name.
struct SensorCommand: Decodable {
    private enum CodingKeys: String, CodingKey { case type, command }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard try container.decode(String.self, forKey: .type) == "command",
            isName(try container.decode(String.self, forKey: .command))
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container, debugDescription: "expected \"command\"")
        }
    }
}
