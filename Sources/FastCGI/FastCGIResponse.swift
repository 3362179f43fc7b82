/// One HTTP response.
public struct FastCGIResponse: Sendable {
    /// 200...599.
    public var status: Int
    /// Names and values in the order they are sent. `Content-Length` is added; `Status` may not be among them.
    public var headers: [(name: String, value: String)]
    /// Not sent in answer to HEAD, nor with 204 and 304.
    public var body: [UInt8]
    /// The parts that follow the body, asked for one after the other, each in the time of a request; `nil` ends them. An
    /// error cuts the response off, so that whoever reads it knows that it is not whole.
    public var parts: (@Sendable () async throws -> [UInt8]?)?

    /// - Parameters:
    ///   - status: 200...599.
    ///   - headers: tokens as names; values without control characters.
    ///   - body: the body.
    public init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The server's own answer where there is none from the handler.
    init(error status: Int) {
        self.init(
            status: status,
            headers: [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")],
            body: Array("\(status) \(Self.reason(status))\n".utf8))
    }

    /// Why a response cannot be sent.
    enum Defect: Error, Equatable, CustomStringConvertible {
        case status(Int)
        case header(String)

        var description: String {
            switch self {
            case .status(let status): "status \(status) is not in 200...599"
            case .header(let name):
                "header \(name.debugDescription) has a name that is no token or a value with control characters"
            }
        }
    }

    /// The bytes to send in answer to a request of this method: a CGI header (RFC 3875 §6.3) and the body.
    ///
    /// A name or value that could end its line would let whoever chose it write headers of their own.
    func serialized(method: String) throws(Defect) -> [UInt8] {
        guard (200...599).contains(status) else { throw .status(status) }
        var text = "Status: \(status) \(Self.reason(status))\r\n"
        for (name, value) in headers {
            guard Self.isToken(name), name.lowercased() != "status", Self.isFieldValue(value) else {
                throw .header(name)
            }
            if name.lowercased() != "content-length" { text += "\(name): \(value)\r\n" }
        }
        let hasBody = status != 204 && status != 304
        if hasBody, parts == nil { text += "Content-Length: \(body.count)\r\n" }
        text += "\r\n"
        return Array(text.utf8) + (hasBody && method != "HEAD" ? body : [])
    }

    /// RFC 9110 §5.6.2.
    private static func isToken(_ name: String) -> Bool {
        let others = "!#$%&'*+-.^_`|~".utf8
        return !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "a")...UInt8(ascii: "z"):
                    true
                default: others.contains(byte)
                }
            }
    }

    /// RFC 9110 §5.5: no control character but the tab.
    private static func isFieldValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }
    }

    private static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 204: "No Content"
        case 303: "See Other"
        case 304: "Not Modified"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 413: "Content Too Large"
        case 415: "Unsupported Media Type"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 500: "Internal Server Error"
        case 503: "Service Unavailable"
        default: "Status \(status)"
        }
    }
}
