/// Divides a stream of server-sent events (WHATWG HTML, section 9.2.6) into the data of its events, whatever
/// pieces its bytes come in.
///
/// Names, identifiers and reconnection times are not what an answer is made of, and are passed over.
struct EventStreamReader {
    /// A line or an event is longer than was agreed.
    struct TooLong: Error {}

    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    private let maximumBytes: Int
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var isFirstLine = true
    private var followsCarriageReturn = false

    /// - Parameter maximumBytes: of one line, and of one event's data.
    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// More of the stream has come.
    ///
    /// - Returns: the data of each event that is complete, without the line's end.
    mutating func append(_ bytes: some Sequence<UInt8>) throws(TooLong) -> [[UInt8]] {
        var events: [[UInt8]] = []
        for byte in bytes {
            defer { followsCarriageReturn = byte == UInt8(ascii: "\r") }
            switch byte {
            case UInt8(ascii: "\n") where followsCarriageReturn: continue
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                if let event = try endLine() { events.append(event) }
            default:
                guard line.count < maximumBytes else { throw TooLong() }
                line.append(byte)
            }
        }
        return events
    }

    /// The stream has ended.
    ///
    /// - Returns: the data of an event that no empty line closes. The standard drops it; servers that end with
    ///   their last line are too common for that, and half an event is no JSON.
    mutating func end() throws(TooLong) -> [UInt8]? {
        if !line.isEmpty { _ = try endLine() }
        return takeEvent()
    }

    private mutating func endLine() throws(TooLong) -> [UInt8]? {
        defer { line.removeAll(keepingCapacity: true) }
        if isFirstLine, line.starts(with: Self.byteOrderMark) {
            line.removeFirst(Self.byteOrderMark.count)
        }
        isFirstLine = false
        if line.isEmpty { return takeEvent() }
        let name = line.prefix { $0 != UInt8(ascii: ":") }
        guard name.elementsEqual("data".utf8) else { return nil }
        var value = line.dropFirst(name.count + 1)
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        guard data.count + value.count < maximumBytes else { throw TooLong() }
        if hasData { data.append(UInt8(ascii: "\n")) }
        hasData = true
        data += value
        return nil
    }

    private mutating func takeEvent() -> [UInt8]? {
        guard hasData else { return nil }
        defer {
            data = []
            hasData = false
        }
        return data
    }
}
