/// Follows the records of one FastCGI request and refuses whatever a web server doesn't send.
///
/// libfcgi 2.4.2 trusts its peer: a management record can overrun a buffer on its stack, lengths of
/// parameters that add up beyond 2^31 end the process, and a peer that falls silent holds its thread for
/// ever. So libfcgi only gets a request that has arrived and passed here: FCGI_BEGIN_REQUEST for the
/// responder role, FCGI_PARAMS up to the empty one, FCGI_STDIN up to the empty one, all with one request ID
/// (FastCGI specification 1.0, §3.3 and §5).
struct RequestFraming {
    enum Progress: Equatable {
        /// More has to arrive.
        case incomplete
        /// The request is complete; what follows it is not looked at.
        case complete
        /// The parameters are complete and the body is longer than allowed.
        case bodyTooLarge
        /// The connection is of no further use.
        case refused(String)
    }

    /// nginx sends the request's header fields as parameters and by default accepts 33 KiB of them.
    static let maximumParameterBytes = 64 << 10

    let maximumBodyBytes: Int
    /// The bytes of the body so far.
    private(set) var bodyBytes = 0
    /// Whether the parameters have arrived, so that there is a request to answer.
    private(set) var hasParameters = false

    private var beginning: [UInt8] = []
    private var parameters: [UInt8] = []
    private var requestID: Int?
    private var header: [UInt8] = []
    private var type: UInt8 = 0
    private var contentLeft = 0
    private var paddingLeft = 0

    private enum RecordType {
        static let beginRequest: UInt8 = 1
        static let abortRequest: UInt8 = 2
        static let parameters: UInt8 = 4
        static let standardInput: UInt8 = 5
    }

    init(maximumBodyBytes: Int) {
        self.maximumBodyBytes = maximumBodyBytes
    }

    /// Takes the bytes that arrived next.
    mutating func consume(_ bytes: ArraySlice<UInt8>) -> Progress {
        var rest = bytes
        while !rest.isEmpty {
            if contentLeft > 0 {
                let content = rest.prefix(contentLeft)
                contentLeft -= content.count
                rest = rest.dropFirst(content.count)
                if let end = take(content) { return end }
            } else if paddingLeft > 0 {
                let padding = min(paddingLeft, rest.count)
                paddingLeft -= padding
                rest = rest.dropFirst(padding)
            } else {
                let part = rest.prefix(8 - header.count)
                header += part
                rest = rest.dropFirst(part.count)
                guard header.count == 8 else { break }
                if let end = beginRecord() { return end }
                header.removeAll(keepingCapacity: true)
            }
        }
        return .incomplete
    }

    /// - Returns: how the request ended, or `nil` if it goes on.
    private mutating func beginRecord() -> Progress? {
        guard header[0] == 1 else { return .refused("not FastCGI version 1") }
        type = header[1]
        let id = Int(header[2]) << 8 | Int(header[3])
        contentLeft = Int(header[4]) << 8 | Int(header[5])
        paddingLeft = Int(header[6])

        guard let requestID else {
            guard type == RecordType.beginRequest, id != 0, contentLeft == 8 else {
                return .refused("no FCGI_BEGIN_REQUEST at the start")
            }
            self.requestID = id
            return nil
        }
        guard id == requestID else { return .refused("a record of another request") }
        switch type {
        case RecordType.parameters where !hasParameters:
            guard contentLeft == 0 else { return nil }
            guard Self.isWellFormed(parameters) else { return .refused("malformed parameters") }
            hasParameters = true
            return nil
        case RecordType.standardInput where hasParameters:
            return contentLeft == 0 ? .complete : nil
        case RecordType.abortRequest:
            return .refused("aborted by the web server")
        default:
            return .refused("a record of type \(type) out of place")
        }
    }

    /// Takes content of the current record.
    private mutating func take(_ content: ArraySlice<UInt8>) -> Progress? {
        switch type {
        case RecordType.beginRequest:
            beginning += content
            // The first two of the eight bytes are the role, and 1 is the responder's.
            return contentLeft > 0 || beginning.starts(with: [0, 1])
                ? nil : .refused("another role than responder")
        case RecordType.parameters:
            parameters += content
            return parameters.count <= Self.maximumParameterBytes
                ? nil : .refused("more than \(Self.maximumParameterBytes) bytes of parameters")
        default:
            bodyBytes += content.count
            return bodyBytes <= maximumBodyBytes ? nil : .bodyTooLarge
        }
    }

    /// Whether the bytes are pairs of names and values (§3.4) that libfcgi can keep as `name=value` strings.
    private static func isWellFormed(_ parameters: [UInt8]) -> Bool {
        var rest = parameters[...]
        while !rest.isEmpty {
            guard let nameLength = length(&rest), let valueLength = length(&rest),
                nameLength + valueLength <= rest.count
            else { return false }
            let name = rest.prefix(nameLength)
            guard !name.isEmpty, !name.contains(UInt8(ascii: "=")),
                !rest.prefix(nameLength + valueLength).contains(0)
            else { return false }
            rest = rest.dropFirst(nameLength + valueLength)
        }
        return true
    }

    private static func length(_ rest: inout ArraySlice<UInt8>) -> Int? {
        guard let first = rest.first else { return nil }
        guard first & 0x80 != 0 else { return Int(rest.removeFirst()) }
        guard rest.count >= 4 else { return nil }
        defer { rest = rest.dropFirst(4) }
        return rest.prefix(4).reduce(0) { $0 << 8 | Int($1) } & 0x7fff_ffff
    }
}
