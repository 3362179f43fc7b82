import FoundationEssentials

/// A JSON text (RFC 8259) and what it is, to be decoded into a type of the channel's own.
public struct JSON: Sendable, Equatable {
    /// The text; empty where the device sent none.
    public let text: String
    /// What the text is, as a refusal names it: `metadata`, `message`.
    let name: String

    /// Wraps a text that is known to be JSON.
    ///
    /// - Parameter name: what a refusal calls it.
    public init(text: String, name: String = "value") {
        self.text = text
        self.name = name
    }

    /// Encodes a value.
    ///
    /// - Throws: a refusal `unavailable` where the value has no JSON form, such as a number that is not finite.
    public init(encoding value: some Encodable) throws(Refusal) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            self.init(text: String(decoding: try encoder.encode(value), as: UTF8.self))
        } catch {
            throw .unavailable("no_json_form", "The channel made a value that has no JSON form.")
        }
    }

    /// Whether there is no text.
    public var isEmpty: Bool { text.isEmpty }

    /// Decodes the text.
    ///
    /// - Throws: a refusal `invalid_NAME` that names the place and what was expected there.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(Refusal) -> Value {
        do throws(JSONProblem) {
            return try value(of: text)
        } catch {
            throw .invalid("invalid_\(name)", error.sentence(about: name))
        }
    }
}

/// As a member of another value it is the value that it is, not a string with its text. An empty text is `null`.
///
/// A number beyond `Int64` and `UInt64`, or one with a fraction, goes through `Double`, and an object's members are
/// sorted: where the text has to stay as it is, build the payload from ``text``.
extension JSON: Codable {
    /// Reads any value.
    public init(from decoder: any Decoder) throws {
        let node = try JSONNode(from: decoder)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        self.init(text: String(decoding: try encoder.encode(node), as: UTF8.self))
    }

    /// Writes the value that the text is.
    public func encode(to encoder: any Encoder) throws {
        guard !isEmpty else {
            var container = encoder.singleValueContainer()
            return try container.encodeNil()
        }
        do {
            try JSONDecoder().decode(JSONNode.self, from: Data(text.utf8)).encode(to: encoder)
        } catch is DecodingError {
            throw EncodingError.invalidValue(
                self, .init(codingPath: encoder.codingPath, debugDescription: "The text is no JSON."))
        }
    }
}

/// A JSON value of whatever type.
private enum JSONNode: Codable {
    case null
    case bool(Bool)
    case integer(Int64)
    case natural(UInt64)
    case number(Double)
    case string(String)
    case array([JSONNode])
    case object([String: JSONNode])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(UInt64.self) {
            self = .natural(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode([JSONNode].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONNode].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .natural(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

/// A decoding error as a sentence.
struct JSONProblem: Error {
    var path: String
    var problem: String

    func sentence(about name: String) -> String {
        path.isEmpty ? "The \(name) \(problem)." : "The \(name)'s \(path) \(problem)."
    }

    init(_ error: any Error) {
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            path = Self.path(context.codingPath + [key])
            problem = "is missing"
        case DecodingError.typeMismatch(let type, let context):
            path = Self.path(context.codingPath)
            problem = "has another type than \(Self.word(for: type))"
        case DecodingError.valueNotFound(let type, let context):
            path = Self.path(context.codingPath)
            problem = "is null instead of \(Self.word(for: type))"
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            path = Self.path(context.codingPath)
            problem = "has a value that is not allowed: \(Self.bounded(context.debugDescription))"
        default:
            path = ""
            problem = "is not JSON of the expected form"
        }
        if problem.last == "." { problem.removeLast() }
    }

    /// The keys may be the device's own: each is quoted in part only, and no more of them than one can read.
    private static func path(_ keys: [any CodingKey]) -> String {
        let enough = 160
        var path = ""
        for key in keys {
            guard path.unicodeScalars.count < enough else { return path + "…" }
            if let index = key.intValue {
                path += "[\(index)]"
            } else {
                path += (path.isEmpty ? "" : ".") + excerpt(key.stringValue)
            }
        }
        return path
    }

    /// A sentence of a decoder's, which may quote what it decoded.
    private static func bounded(_ text: String) -> String {
        let maximum = 128
        let scalars = text.unicodeScalars
        return scalars.count > maximum ? String(scalars.prefix(maximum)) + "…" : text
    }

    private static func word(for type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case is [Any].Type: "a list"
        case is [String: Any].Type: "an object"
        default: "what is expected there"
        }
    }
}

/// Decodes JSON text; an empty text is an empty object, so that optional members have their say.
func value<Value: Decodable>(
    of text: String, as type: Value.Type = Value.self
) throws(JSONProblem) -> Value {
    do {
        return try JSONDecoder().decode(type, from: Data((text.isEmpty ? "{}" : text).utf8))
    } catch {
        throw JSONProblem(error)
    }
}
