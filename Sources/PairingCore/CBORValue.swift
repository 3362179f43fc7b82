/// A value of CBOR (RFC 8949), as far as authenticators use it: no tags, no floating point, no lengths left open.
public enum CBORValue: Sendable, Hashable {
    case integer(Int64)
    case bytes([UInt8])
    case text(String)
    case array([CBORValue])
    case map([CBORValue: CBORValue])
    case bool(Bool)
    case null

    /// Reads exactly one value from all of the bytes.
    ///
    /// - Returns: `nil` for anything else.
    public init?(_ bytes: some Collection<UInt8>) {
        var reader = CBORReader(bytes)
        guard let value = reader.value(), reader.isAtEnd else { return nil }
        self = value
    }

    /// The member of a map with this text as its key.
    public subscript(key: String) -> CBORValue? { self[.text(key)] }

    /// The member of a map with this number as its key.
    public subscript(key: Int64) -> CBORValue? { self[.integer(key)] }

    private subscript(key: CBORValue) -> CBORValue? {
        if case .map(let members) = self { members[key] } else { nil }
    }

    /// The bytes of a byte string; `nil` for another value.
    public var bytes: [UInt8]? { if case .bytes(let bytes) = self { bytes } else { nil } }

    /// The text of a text string; `nil` for another value.
    public var text: String? { if case .text(let text) = self { text } else { nil } }

    /// A whole number; `nil` for another value.
    public var integer: Int64? { if case .integer(let number) = self { number } else { nil } }
}

/// Reads values one after the other. What it takes is bounded in bytes, in values and in depth, before any of it is
/// kept.
public struct CBORReader: Sendable {
    /// How many bytes there may be.
    public static let maximumLength = 65_536
    private static let maximumDepth = 6
    private static let maximumValues = 512

    private let input: [UInt8]
    private var values = 0
    /// How many bytes have been read.
    public private(set) var position = 0

    /// Reads from these bytes; of more than ``maximumLength`` there is no value.
    public init(_ bytes: some Collection<UInt8>) {
        input = Array(bytes)
    }

    /// Whether nothing is left.
    public var isAtEnd: Bool { position == input.count }

    /// The next value.
    ///
    /// - Returns: `nil` where there is none, or one that is not of the shortest form (RFC 8949 §4.2.1), names a key
    ///   twice, or exceeds a bound; nothing more can be read then.
    public mutating func value() -> CBORValue? {
        guard input.count <= Self.maximumLength else { return nil }
        return value(depth: 0)
    }

    private mutating func value(depth: Int) -> CBORValue? {
        values += 1
        guard values <= Self.maximumValues, depth <= Self.maximumDepth, let (major, argument) = head() else {
            return nil
        }
        switch major {
        case 0: return Int64(exactly: argument).map { .integer($0) }
        case 1: return Int64(exactly: argument).map { .integer(-1 - $0) }
        case 2: return take(argument).map { .bytes(Array($0)) }
        case 3: return take(argument).flatMap { String(validating: $0, as: UTF8.self) }.map { .text($0) }
        case 4:
            // Each takes a byte at least.
            guard argument <= UInt64(input.count - position) else { return nil }
            var items: [CBORValue] = []
            for _ in 0..<argument {
                guard let item = value(depth: depth + 1) else { return nil }
                items.append(item)
            }
            return .array(items)
        case 5:
            guard argument <= UInt64(input.count - position) / 2 else { return nil }
            var members: [CBORValue: CBORValue] = [:]
            for _ in 0..<argument {
                guard let key = value(depth: depth + 1), let member = value(depth: depth + 1) else {
                    return nil
                }
                switch key {
                case .integer, .text: break
                case .bytes, .array, .map, .bool, .null: return nil
                }
                guard members.updateValue(member, forKey: key) == nil else { return nil }
            }
            return .map(members)
        case 7 where argument == 20: return .bool(false)
        case 7 where argument == 21: return .bool(true)
        case 7 where argument == 22: return .null
        default: return nil
        }
    }

    /// The major type and the argument (RFC 8949 §3).
    private mutating func head() -> (major: UInt8, argument: UInt64)? {
        guard let first = take(1)?.first else { return nil }
        let (major, low) = (first >> 5, first & 31)
        guard low >= 24 else { return (major, UInt64(low)) }
        // What follows 7 there is a simple value or floating point.
        guard low <= 27, major != 7, let rest = take(1 << UInt64(low - 24)) else { return nil }
        let argument = rest.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let least: UInt64 = low == 24 ? 24 : 1 << (8 * (1 << UInt64(low - 25)))
        return argument >= least ? (major, argument) : nil
    }

    private mutating func take(_ count: UInt64) -> ArraySlice<UInt8>? {
        guard count <= UInt64(input.count - position) else { return nil }
        defer { position += Int(count) }
        return input[position..<position + Int(count)]
    }
}
