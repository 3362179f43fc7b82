/// A JSON value (RFC 8259) as the protocol carries it in metadata and messages.
///
/// A number that was read is written as it was spelt, so that nothing of it is lost on its way.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    /// A number in a spelling that neither an integer nor a double is written in: beyond 64 bits, with more
    /// digits than a double has, `-0`, or `1E+3`.
    case numeral(String)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The member of that name, where this is an object that has it.
    public subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members[name]
    }

    /// The text, where this is a string.
    public var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The double nearest to the number, where this is one.
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        case .numeral(let text): Double(text)
        case .null, .bool, .string, .array, .object: nil
        }
    }

    /// The whole number, however it is spelt: `17`, `17.0` and `1.7E+1` are one (RFC 8259 §6 knows one kind of
    /// number). `nil` for one with a fraction or beyond 64 bits, and for what is no number.
    public var wholeNumber: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        case .numeral(let text): Self.wholeNumber(text)
        case .null, .bool, .string, .array, .object: nil
        }
    }

    /// Exactly, which a double could not be for more than 53 bits.
    private static func wholeNumber(_ text: String) -> Int64? {
        let parts = text.lowercased().split(separator: "e")
        let decimals = parts[0].drop { $0 == "-" }.split(separator: ".", maxSplits: 1)
        var digits = String(decimals.joined()).drop { $0 == "0" }
        guard !digits.isEmpty else { return 0 }
        guard var exponent = parts.count == 2 ? Int(parts[1]) : 0, exponent.magnitude <= 1 << 20 else {
            return nil
        }
        exponent -= decimals.count == 2 ? decimals[1].count : 0
        while digits.last == "0" {
            digits.removeLast()
            exponent += 1
        }
        guard exponent >= 0, digits.count + exponent <= 19 else { return nil }
        return Int64((text.hasPrefix("-") ? "-" : "") + digits + String(repeating: "0", count: exponent))
    }

    /// Whether a string or a member's name holds NUL, which the database cannot store (I7).
    public var containsNUL: Bool {
        switch self {
        case .null, .bool, .integer, .number, .numeral: false
        case .string(let text): text.utf8.contains(0)
        case .array(let values): values.contains(where: \.containsNUL)
        case .object(let members):
            members.contains { $0.key.utf8.contains(0) || $0.value.containsNUL }
        }
    }

    /// Every string and member name made fit to store and show; see ``cleanDeviceText(_:maximumScalars:)``.
    ///
    /// Members whose names become equal are one: the one whose original name sorts first is kept.
    public func cleaned(maximumScalars: Int) -> JSONValue {
        switch self {
        case .null, .bool, .integer, .number, .numeral: self
        case .string(let text): .string(cleanDeviceText(text, maximumScalars: maximumScalars))
        case .array(let values): .array(values.map { $0.cleaned(maximumScalars: maximumScalars) })
        case .object(let members):
            .object(
                Dictionary(
                    members.sorted { $0.key < $1.key }.map {
                        (
                            cleanDeviceText($0.key, maximumScalars: maximumScalars),
                            $0.value.cleaned(maximumScalars: maximumScalars)
                        )
                    }, uniquingKeysWith: { first, _ in first }))
        }
    }

    /// Compact JSON with members in the order of their names, so that equal values have equal texts.
    public var text: String {
        var output = ""
        write(to: &output)
        return output
    }

    private func write(to output: inout String) {
        switch self {
        case .null: output += "null"
        case .bool(let value): output += value ? "true" : "false"
        case .integer(let value): output += String(value)
        case .number(let value):
            // JSON has no spelling for infinities and NaN.
            output += value.isFinite ? String(value) : "null"
        case .numeral(let text): output += text
        case .string(let value): Self.write(value, to: &output)
        case .array(let values):
            output += "["
            for (index, value) in values.enumerated() {
                if index > 0 { output += "," }
                value.write(to: &output)
            }
            output += "]"
        case .object(let members):
            output += "{"
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { output += "," }
                Self.write(member.key, to: &output)
                output += ":"
                member.value.write(to: &output)
            }
            output += "}"
        }
    }

    private static func write(_ text: String, to output: inout String) {
        output += "\""
        // Most texts need no escape, and going through them character by character costs.
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            output += text
            output += "\""
            return
        }
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case "\u{0}"..."\u{1F}":
                let hex = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: output.unicodeScalars.append(scalar)
            }
        }
        output += "\""
    }
}

extension JSONValue: Codable {
    /// Decodes any JSON value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    /// Encodes the value as itself.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .numeral(let text): try container.encode(Double(text))
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}
