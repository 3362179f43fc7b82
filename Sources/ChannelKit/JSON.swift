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
