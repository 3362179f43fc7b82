import NIOHTTP1
import NodesProtocol
import PairingCore

/// A request of a program that uses the tools of `/mcp`, as far as its head says.
struct ToolRequest: Sendable, Equatable {
    static let path = "/mcp"

    var address: ClientAddress
    /// The secret of an API token; `nil` where there is none.
    var token: String?
    var version: MCPVersion

    /// Reads a head whose path is ``path``.
    ///
    /// - Throws: the answer, as the protocol's transport has it.
    init(_ head: HTTPRequestHead, address: ClientAddress) throws(HTTPRefusal) {
        self.address = address
        // There is no stream to follow and no session to end: every request stands for itself.
        guard head.method == .POST else {
            throw HTTPRefusal(
                tools: Refusal(
                    .methodNotAllowed, "Only POST is served here: there is neither a stream nor a session."),
                .methodNotAllowed, fields: ["Allow": "POST"])
        }
        let type = head.headers["content-type"].first?.lowercased().split(separator: ";").first
        guard type?.filter({ $0 != " " }) == "application/json" else {
            throw HTTPRefusal(
                tools: Refusal(.notJSON, "Content-Type: expected application/json."),
                .unsupportedMediaType)
        }
        let accepted = head.headers[canonicalForm: "accept"].map {
            String($0.lowercased().prefix { $0 != ";" })
        }
        let acceptable: Set = ["application/json", "application/*", "*/*"]
        guard accepted.isEmpty || !acceptable.isDisjoint(with: accepted) else {
            throw HTTPRefusal(
                tools: Refusal(.notAcceptable),
                .notAcceptable)
        }
        switch head.headers["mcp-protocol-version"].first {
        case nil: version = .unsaid
        case let said?:
            guard let version = MCPVersion(rawValue: said) else {
                throw HTTPRefusal(MCPFault.version(said), .badRequest)
            }
            self.version = version
        }
        let fields = head.headers["authorization"]
        let words = fields.count == 1 ? fields[0].split(separator: " ") : []
        if words.count == 2, words[0].lowercased() == "bearer" { token = String(words[1]) }
    }
}

extension HTTPRefusal {
    /// A refusal as an answer of `/mcp`: an error of JSON-RPC.
    ///
    /// - Parameter status: where it is not the one of the refusal's code.
    init(tools refusal: Refusal, _ status: HTTPResponseStatus? = nil, fields: [String: String] = [:]) {
        var fields = fields
        fields["Retry-After"] = refusal.retryAfterSeconds.map(String.init)
        if refusal.code == .unauthorized { fields["WWW-Authenticate"] = "Bearer" }
        self.init(
            MCPFault(refusal), status ?? HTTPResponseStatus(statusCode: refusal.chatCompletionsStatus),
            fields: fields)
    }

    /// An error of JSON-RPC that is the answer to no request in particular.
    init(_ fault: MCPFault, _ status: HTTPResponseStatus, fields: [String: String] = [:]) {
        self.init(
            answer: HTTPAnswer(
                status, fault.answer().text, contentType: "application/json", fields: fields))
    }
}
