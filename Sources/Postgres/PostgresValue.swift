/// A parameter of a statement: a value and the type it's sent as.
///
/// Every value goes to the server apart from the statement's text, so nothing is ever quoted or escaped. `nil`
/// becomes NULL of that type.
public struct PostgresValue: Sendable, Hashable {
    enum Payload: Sendable, Hashable {
        case null
        /// Text format, free of NUL.
        case text(String)
        /// Binary format.
        case binary([UInt8])
        /// Text with a NUL, which PostgreSQL can't store and a C string would end at.
        case textWithNUL
    }

    let type: TypeID
    let payload: Payload

    init(_ type: TypeID, _ payload: Payload?) {
        self.type = type
        self.payload = payload ?? .null
    }

    /// NULL of a type that the server infers.
    public static var null: PostgresValue { PostgresValue(.unspecified, nil) }

    /// `text`; one with a NUL is refused when it's about to be sent (`invalidParameter`).
    public static func text(_ value: String?) -> PostgresValue { textual(.text, value) }

    /// `bigint`
    public static func int(_ value: Int?) -> PostgresValue { int64(value.map(Int64.init)) }

    /// `bigint`
    public static func int64(_ value: Int64?) -> PostgresValue {
        PostgresValue(.int8, value.map { .binary(BinaryEncoding.bytes($0)) })
    }

    /// `double precision`
    public static func double(_ value: Double?) -> PostgresValue {
        PostgresValue(.float8, value.map { .binary(BinaryEncoding.bytes($0.bitPattern)) })
    }

    /// `boolean`
    public static func bool(_ value: Bool?) -> PostgresValue {
        PostgresValue(.bool, value.map { .binary([$0 ? 1 : 0]) })
    }

    /// `bytea`
    public static func bytes(_ value: [UInt8]?) -> PostgresValue {
        PostgresValue(.bytea, value.map { .binary($0) })
    }

    /// `timestamptz`, in milliseconds since 1970-01-01T00:00:00Z; one beyond PostgreSQL's range is refused there.
    public static func timestamp(milliseconds value: Int64?) -> PostgresValue {
        PostgresValue(.timestamptz, value.map { .binary(BinaryEncoding.timestamp($0)) })
    }

    /// `uuid`, in any form PostgreSQL reads; another text is refused there (22P02).
    public static func uuid(_ value: String?) -> PostgresValue { textual(.uuid, value) }

    /// `jsonb`, as JSON text; what isn't JSON is refused by the server (22P02).
    public static func json(_ value: String?) -> PostgresValue { textual(.jsonb, value) }

    /// `text[]`; one with a NUL is refused when it's about to be sent (`invalidParameter`).
    public static func texts(_ values: [String?]?) -> PostgresValue {
        if let values, values.contains(where: { $0.map(hasNUL) ?? false }) {
            return PostgresValue(.textArray, .textWithNUL)
        }
        return array(.textArray, of: .text, values) { Array($0.utf8) }
    }

    /// `bigint[]`
    public static func ints(_ values: [Int?]?) -> PostgresValue {
        array(.int8Array, of: .int8, values) { BinaryEncoding.bytes(Int64($0)) }
    }

    /// `bigint[]`
    public static func int64s(_ values: [Int64?]?) -> PostgresValue {
        array(.int8Array, of: .int8, values) { BinaryEncoding.bytes($0) }
    }

    /// `boolean[]`
    public static func bools(_ values: [Bool?]?) -> PostgresValue {
        array(.boolArray, of: .bool, values) { [$0 ? 1 : 0] }
    }

    /// `bytea[]`
    public static func bytesArray(_ values: [[UInt8]?]?) -> PostgresValue {
        array(.byteaArray, of: .bytea, values) { $0 }
    }

    /// `timestamptz[]`, in milliseconds since 1970-01-01T00:00:00Z.
    public static func timestamps(milliseconds values: [Int64?]?) -> PostgresValue {
        array(.timestamptzArray, of: .timestamptz, values) { BinaryEncoding.timestamp($0) }
    }

    private static func textual(_ type: TypeID, _ value: String?) -> PostgresValue {
        PostgresValue(type, value.map { hasNUL($0) ? .textWithNUL : .text($0) })
    }

    private static func hasNUL(_ text: String) -> Bool { text.utf8.contains(0) }

    private static func array<Element>(
        _ type: TypeID, of element: TypeID, _ values: [Element?]?, _ encode: (Element) -> [UInt8]
    ) -> PostgresValue {
        PostgresValue(
            type, values.map { .binary(BinaryEncoding.array($0.map { $0.map(encode) }, of: element)) })
    }
}

extension PostgresValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral
{
    /// A literal is a `text`.
    public init(stringLiteral value: String) { self = .text(value) }
    /// A literal is a `bigint`.
    public init(integerLiteral value: Int64) { self = .int64(value) }
    /// A literal is a `boolean`.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// The object identifier of a built-in type (PostgreSQL source, `src/include/catalog/pg_type.dat`).
struct TypeID: Sendable, Hashable {
    let oid: UInt32

    static let unspecified = TypeID(oid: 0)
    static let bool = TypeID(oid: 16)
    static let bytea = TypeID(oid: 17)
    static let int8 = TypeID(oid: 20)
    static let int2 = TypeID(oid: 21)
    static let int4 = TypeID(oid: 23)
    static let text = TypeID(oid: 25)
    static let objectID = TypeID(oid: 26)
    static let float4 = TypeID(oid: 700)
    static let float8 = TypeID(oid: 701)
    static let boolArray = TypeID(oid: 1000)
    static let byteaArray = TypeID(oid: 1001)
    static let textArray = TypeID(oid: 1009)
    static let int8Array = TypeID(oid: 1016)
    static let timestamptz = TypeID(oid: 1184)
    static let timestamptzArray = TypeID(oid: 1185)
    static let uuid = TypeID(oid: 2950)
    static let jsonb = TypeID(oid: 3802)
}
