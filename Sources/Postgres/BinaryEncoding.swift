/// PostgreSQL's binary formats of the types parameters are sent as.
///
/// Source: PostgreSQL 15, the `*_send` functions in `src/backend/utils/adt` (`array_send`, `timestamptz_send`).
enum BinaryEncoding {
    /// 2000-01-01T00:00:00Z, from where PostgreSQL counts.
    static let epochMilliseconds: Int64 = 946_684_800_000

    /// Network byte order.
    static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    /// Microseconds since 2000. What would overflow becomes ±infinity's neighbour, which the server refuses as
    /// out of range.
    static func timestamp(_ milliseconds: Int64) -> [UInt8] {
        let (sinceEpoch, early) = milliseconds.subtractingReportingOverflow(epochMilliseconds)
        let (microseconds, far) = sinceEpoch.multipliedReportingOverflow(by: 1000)
        if early || far { return bytes(milliseconds < 0 ? Int64.min + 1 : Int64.max - 1) }
        return bytes(microseconds)
    }

    /// One dimension, counted from 1; `nil` elements are NULL.
    static func array(_ elements: [[UInt8]?], of type: TypeID) -> [UInt8] {
        let hasNull = elements.contains { $0 == nil }
        var encoded = bytes(Int32(elements.isEmpty ? 0 : 1)) + bytes(Int32(hasNull ? 1 : 0)) + bytes(type.oid)
        if elements.isEmpty { return encoded }
        encoded += bytes(Int32(clamping: elements.count)) + bytes(Int32(1))
        for element in elements {
            guard let element else {
                encoded += bytes(Int32(-1))
                continue
            }
            encoded += bytes(Int32(clamping: element.count))
            encoded += element
        }
        return encoded
    }
}
