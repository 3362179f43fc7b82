/// The rows a statement answered with, copied out of libpq: values that outlive the connection.
public struct PostgresRows: Sendable, RandomAccessCollection {
    let columns: Columns
    /// The values of all rows, one after the other, in the server's text format.
    let bytes: [UInt8]
    /// Where each value ends in `bytes`, row by row; negative where the value is NULL (`~end`).
    let ends: [Int]
    /// Rows inserted, updated, deleted or selected, as the server counted them.
    public let affected: Int

    init(
        columns: Columns = Columns([]), bytes: [UInt8] = [], ends: [Int] = [], affected: Int = 0,
        count: Int = 0
    ) {
        self.columns = columns
        self.bytes = bytes
        self.ends = ends
        self.affected = affected
        self.endIndex = count
    }

    /// Always 0.
    public let startIndex = 0
    /// The number of rows.
    public let endIndex: Int

    /// The row at a position, in the order of the answer.
    public subscript(position: Int) -> PostgresRow {
        precondition(indices.contains(position), "row index out of range")
        return PostgresRow(rows: self, index: position)
    }
}

/// The columns of a result.
struct Columns: Sendable {
    struct Column: Sendable {
        let name: String
        let type: TypeID
    }

    let list: [Column]
    private let positions: [String: Int]

    init(_ list: [Column]) {
        self.list = list
        positions = Dictionary(
            list.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { first, _ in first })
    }

    func position(of name: String) throws(PostgresError) -> Int {
        if let position = positions[name] { return position }
        throw PostgresError(.decoding, summary: "the result has no column \"\(name)\"")
    }
}

/// One row. Its columns are read by name, each as the type it has.
///
/// `text` reads any type but `bytea` in PostgreSQL's own notation; every other accessor wants its type exactly.
/// All of them throw `PostgresError` with code `decoding`, which names the column and never the value.
public struct PostgresRow: Sendable {
    let rows: PostgresRows
    let index: Int

    /// The text of a column of any type but `bytea`.
    public func text(_ column: String) throws(PostgresError) -> String {
        try present(column, optionalText(column))
    }

    /// A `smallint`, `integer`, `bigint` or `oid`.
    public func int(_ column: String) throws(PostgresError) -> Int {
        try present(column, optionalInt(column))
    }

    /// A `smallint`, `integer`, `bigint` or `oid`.
    public func int64(_ column: String) throws(PostgresError) -> Int64 {
        try present(column, optionalInt64(column))
    }

    /// A `real` or `double precision`.
    public func double(_ column: String) throws(PostgresError) -> Double {
        try present(column, optionalDouble(column))
    }

    /// A `boolean`.
    public func bool(_ column: String) throws(PostgresError) -> Bool {
        try present(column, optionalBool(column))
    }

    /// A `bytea`.
    public func bytes(_ column: String) throws(PostgresError) -> [UInt8] {
        try present(column, optionalBytes(column))
    }

    /// A `timestamptz`, in milliseconds since 1970-01-01T00:00:00Z, rounded down. Infinity is an error.
    public func timestamp(_ column: String) throws(PostgresError) -> Int64 {
        try present(column, optionalTimestamp(column))
    }

    /// A `text[]` of one dimension without NULL elements.
    public func texts(_ column: String) throws(PostgresError) -> [String] {
        try present(column, optionalTexts(column))
    }

    /// Like `text(_:)`; `nil` for NULL.
    public func optionalText(_ column: String) throws(PostgresError) -> String? {
        try decode(column, "text") { type, value in
            type == .bytea ? nil : String(validating: value, as: UTF8.self)
        }
    }

    /// Like `int(_:)`; `nil` for NULL.
    public func optionalInt(_ column: String) throws(PostgresError) -> Int? {
        try optionalInt64(column).map { Int($0) }
    }

    /// Like `int64(_:)`; `nil` for NULL.
    public func optionalInt64(_ column: String) throws(PostgresError) -> Int64? {
        try decode(column, "integer") { type, value in
            [.int2, .int4, .int8, .objectID].contains(type) ? TextDecoding.number(value) : nil
        }
    }

    /// Like `double(_:)`; `nil` for NULL.
    public func optionalDouble(_ column: String) throws(PostgresError) -> Double? {
        try decode(column, "double precision") { type, value in
            [.float4, .float8].contains(type) ? TextDecoding.number(value) : nil
        }
    }

    /// Like `bool(_:)`; `nil` for NULL.
    public func optionalBool(_ column: String) throws(PostgresError) -> Bool? {
        try decode(column, "boolean") { type, value in type == .bool ? TextDecoding.bool(value) : nil }
    }

    /// Like `bytes(_:)`; `nil` for NULL.
    public func optionalBytes(_ column: String) throws(PostgresError) -> [UInt8]? {
        try decode(column, "bytea") { type, value in type == .bytea ? TextDecoding.bytea(value) : nil }
    }

    /// Like `timestamp(_:)`; `nil` for NULL.
    public func optionalTimestamp(_ column: String) throws(PostgresError) -> Int64? {
        try decode(column, "finite timestamptz") { type, value in
            type == .timestamptz ? TextDecoding.timestamp(value) : nil
        }
    }

    /// Like `texts(_:)`; `nil` for NULL.
    public func optionalTexts(_ column: String) throws(PostgresError) -> [String]? {
        try decode(column, "text[] without NULLs") { type, value in
            type == .textArray ? TextDecoding.texts(value) : nil
        }
    }

    /// Whether the column is NULL.
    public func isNull(_ column: String) throws(PostgresError) -> Bool {
        value(at: try rows.columns.position(of: column)) == nil
    }

    /// The bytes of a value; `nil` for NULL.
    private func value(at column: Int) -> ArraySlice<UInt8>? {
        let position = index * rows.columns.list.count + column
        let end = rows.ends[position]
        guard end >= 0 else { return nil }
        let previous = position == 0 ? 0 : rows.ends[position - 1]
        return rows.bytes[(previous >= 0 ? previous : ~previous)..<end]
    }

    private func decode<Value>(
        _ column: String, _ expected: StaticString, _ parse: (TypeID, ArraySlice<UInt8>) -> Value?
    ) throws(PostgresError) -> Value? {
        let position = try rows.columns.position(of: column)
        guard let value = value(at: position) else { return nil }
        let type = rows.columns.list[position].type
        if let parsed = parse(type, value) { return parsed }
        throw PostgresError(
            .decoding,
            summary:
                "column \"\(column)\" (type \(type.oid)) can't be read as \(expected); cast it in the statement"
        )
    }

    private func present<Value>(_ column: String, _ value: Value?) throws(PostgresError) -> Value {
        if let value { return value }
        throw PostgresError(.decoding, summary: "column \"\(column)\" is NULL")
    }
}
