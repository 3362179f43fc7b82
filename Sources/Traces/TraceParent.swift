import Tracing

/// Which span caused what happens, as the header `traceparent` names it (W3C Trace Context, §3.2).
package struct TraceParent: Sendable, Equatable {
    /// 32 hexadecimal digits; the same for all that one request leads to.
    package let traceID: String
    /// 16 hexadecimal digits.
    package let spanID: String
    /// Whether whoever made it keeps its spans.
    package let isSampled: Bool

    init(traceID: String, spanID: String, isSampled: Bool) {
        self.traceID = traceID
        self.spanID = spanID
        self.isSampled = isSampled
    }

    /// Reads a header; `nil` for what is none. Of a version yet to come the parts that every version has are read, as
    /// the standard wants it.
    package init?(header: String) {
        let bytes = Array(header.utf8)
        guard bytes.count >= 55, bytes[2] == Self.dash, bytes[35] == Self.dash, bytes[52] == Self.dash,
            let version = Self.hexadecimal(bytes[0..<2]), version != "ff",
            bytes.count == 55 || (version != "00" && bytes[55] == Self.dash),
            let traceID = Self.hexadecimal(bytes[3..<35]), traceID.contains(where: { $0 != "0" }),
            let spanID = Self.hexadecimal(bytes[36..<52]), spanID.contains(where: { $0 != "0" }),
            let flags = Self.hexadecimal(bytes[53..<55]).flatMap({ UInt8($0, radix: 16) })
        else { return nil }
        self.init(traceID: traceID, spanID: spanID, isSampled: flags & 1 == 1)
    }

    /// The header.
    package var header: String { "00-\(traceID)-\(spanID)-\(isSampled ? "01" : "00")" }

    /// Whether nginx made it for a client that sent none (`nginx/snippets/http.conf`). It records no span, so that ours
    /// is the first of the trace.
    var isWithoutSpan: Bool { !isSampled && traceID.hasPrefix(spanID) }

    private static let dash = UInt8(ascii: "-")

    /// Only small letters are allowed.
    private static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String? {
        let isHexadecimal = bytes.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
        return isHexadecimal ? String(decoding: bytes, as: UTF8.self) : nil
    }
}

extension TraceParent {
    /// New numbers of the operating system's generator.
    static func new(continuing traceID: String? = nil) -> TraceParent {
        TraceParent(
            traceID: traceID ?? digits(of: .random(in: 0 ... .max)) + digits(of: .random(in: 1 ... .max)),
            spanID: digits(of: .random(in: 1 ... .max)), isSampled: true)
    }

    private static func digits(of number: UInt64) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}

extension ServiceContext {
    private enum Place: ServiceContextKey {
        typealias Value = (parent: TraceParent, isRemote: Bool)
        static var nameOverride: String? { "nodes-trace" }
    }

    /// The trace that is under way, where it is recorded.
    package var traceID: String? { span?.traceID }

    /// The span that is under way.
    var span: TraceParent? { self[Place.self]?.parent }

    /// Whether another program began it.
    var isRemote: Bool { self[Place.self]?.isRemote ?? false }

    private enum Wish: ServiceContextKey {
        typealias Value = Bool
        static var nameOverride: String? { "nodes-trace-wanted" }
    }

    /// Whether a trace that begins here is asked for.
    var isWanted: Bool { self[Wish.self] ?? false }

    /// - Parameters:
    ///   - parent: the span that is under way; `nil` to begin a trace.
    ///   - isRemote: whether another program began it.
    ///   - isWanted: whether the trace that begins is asked for.
    init(_ parent: TraceParent?, isRemote: Bool, isWanted: Bool = false) {
        self = .topLevel
        if let parent { self[Place.self] = (parent, isRemote) }
        if isWanted { self[Wish.self] = true }
    }
}
