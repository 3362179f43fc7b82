/// One HTTP request as the web server describes it in CGI parameters (RFC 3875 §4.1).
public struct FastCGIRequest: Sendable {
    /// Every parameter by name, for example `SERVER_NAME`. Of a name that came twice, the first; request
    /// headers that came twice are joined (RFC 9110 §5.3). Bytes that are not UTF-8 became U+FFFD.
    public let parameters: [String: String]

    /// The whole body, at most ``FastCGIServer/Configuration/maximumBodyBytes`` long.
    public let body: [UInt8]

    /// - Parameters:
    ///   - parameters: names and values in the order they came.
    ///   - body: the body.
    public init(parameters: [(name: String, value: String)], body: [UInt8] = []) {
        self.parameters = Dictionary(parameters.map { ($0.name, [$0.value]) }, uniquingKeysWith: +)
            .reduce(into: [:]) { result, entry in
                let (name, values) = entry
                let separator = name == "HTTP_COOKIE" ? "; " : ", "
                result[name] = name.hasPrefix("HTTP_") ? values.joined(separator: separator) : values[0]
            }
        self.body = body
    }

    /// The method, for example `POST`.
    public var method: String { parameters["REQUEST_METHOD"] ?? "" }

    /// The path as the web server matched it: percent-decoded, `.` and `..` resolved (`SCRIPT_NAME`).
    public var path: String { parameters["SCRIPT_NAME"] ?? "" }

    /// Path and query as the client sent them, still percent-encoded.
    public var requestURI: String { parameters["REQUEST_URI"] ?? "" }

    /// What follows the `?`, still percent-encoded; empty without one.
    public var query: String { parameters["QUERY_STRING"] ?? "" }

    /// The client's address as the web server gives it. Only the web server decides what it believes of
    /// forwarding headers.
    public var remoteAddress: String { parameters["REMOTE_ADDR"] ?? "" }

    /// Whether the client's connection to the web server is encrypted.
    public var isSecure: Bool { parameters["HTTPS"] == "on" }

    /// A request header's value.
    ///
    /// - Parameter name: in any case, for example `Content-Type`.
    /// - Returns: `nil` if the client did not send it.
    public func header(_ name: String) -> String? {
        let variable = name.uppercased().map { $0 == "-" ? "_" : $0 }
        let parameter = String(variable)
        switch parameter {
        case "CONTENT_TYPE", "CONTENT_LENGTH":
            return parameters[parameter].flatMap { $0.isEmpty ? nil : $0 }
        default:
            return parameters["HTTP_" + parameter]
        }
    }
}
