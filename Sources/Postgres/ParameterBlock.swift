/// A statement's parameters laid out as libpq takes them.
struct ParameterBlock {
    /// The most parameters the protocol can count.
    static let maximumCount = 65_535

    /// Object identifiers; 0 lets the server infer the type.
    let types: [UInt32]
    private(set) var lengths: [Int32] = []
    /// 0 is text, 1 is binary.
    private(set) var formats: [Int32] = []
    /// All values, each followed by a NUL, which ends those in text format.
    private var bytes: [UInt8] = []
    /// Where each value starts in `bytes`; `nil` for NULL.
    private var starts: [Int?] = []

    /// - Throws: `PostgresError` with code `invalidParameter`.
    init(_ parameters: [PostgresValue]) throws(PostgresError) {
        guard parameters.count <= Self.maximumCount else {
            throw PostgresError(
                .invalidParameter,
                summary: "\(parameters.count) parameters; a statement takes at most \(Self.maximumCount)")
        }
        types = parameters.map(\.type.oid)
        for (index, parameter) in parameters.enumerated() {
            switch parameter.payload {
            case .null: append([UInt8]?.none, format: 0)
            case .text(let text): append(text.utf8, format: 0)
            case .binary(let value): append(value, format: 1)
            case .textWithNUL:
                throw PostgresError(
                    .invalidParameter,
                    summary: "text parameter $\(index + 1) holds a NUL, which can't be stored")
            }
        }
        // What the server takes in one message.
        guard bytes.count < 1 << 30 else {
            throw PostgresError(.invalidParameter, summary: "the parameters come to a gibibyte or more")
        }
    }

    private mutating func append(_ value: (some Collection<UInt8>)?, format: Int32) {
        starts.append(value == nil ? nil : bytes.count)
        lengths.append(Int32(clamping: value?.count ?? 0))
        formats.append(format)
        guard let value else { return }
        bytes.append(contentsOf: value)
        bytes.append(0)
    }

    /// Calls `body` with a pointer to each value, `nil` for NULL, valid during the call.
    func withValues<Result>(_ body: ([UnsafePointer<CChar>?]) -> Result) -> Result {
        bytes.withUnsafeBytes { bytes in
            body(
                starts.map { start in
                    guard let start, let base = bytes.baseAddress else { return nil }
                    return (base + start).assumingMemoryBound(to: CChar.self)
                })
        }
    }
}
