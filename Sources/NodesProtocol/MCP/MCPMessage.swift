import PairingCore

/// The revisions of the Model Context Protocol that are served, all without a session: each request stands for itself.
public enum MCPVersion: String, Sendable, CaseIterable {
    case v20250326 = "2025-03-26"
    case v20250618 = "2025-06-18"
    case v20251125 = "2025-11-25"

    /// The newest one.
    public static let latest = MCPVersion.v20251125
    /// What a client speaks that does not say it (2025-06-18, "Protocol Version Header").
    public static let unsaid = MCPVersion.v20250326

    /// Whether several messages may come in one list; only the oldest has that.
    public var hasBatches: Bool { self == .v20250326 }
}

/// An error of JSON-RPC, for what is no request or cannot be a call.
public struct MCPFault: Error, Sendable, Equatable {
    /// Its number.
    public var code: Int64
    /// What was wrong, and what was expected.
    public var message: String
    /// Further facts.
    public var data: JSONValue?

    /// Wraps the parts.
    public init(_ code: Int64, _ message: String, data: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
    }

    static let notJSON = MCPFault(-32700, "The body is not JSON.")

    static func invalid(_ message: String) -> MCPFault { MCPFault(-32600, message) }

    static func parameters(_ message: String) -> MCPFault { MCPFault(-32602, message) }

    /// A revision that is not served.
    public static func version(_ requested: String) -> MCPFault {
        MCPFault(
            -32022, "This revision of the protocol is not served; expected one of those in data.supported.",
            data: .object([
                "supported": .array(MCPVersion.allCases.map { .string($0.rawValue) }),
                "requested": .string(cleanDeviceText(requested, maximumScalars: 32)),
            ]))
    }

    /// What a refusal is outside of a call: on a request that cannot be heard at all.
    public init(_ refusal: Refusal) {
        self.init(-32000, refusal.message, data: .refusal(refusal))
    }

    /// The error as an answer.
    ///
    /// - Parameter id: the request's; `null` where it is not known.
    public func answer(to id: JSONValue = .null) -> JSONValue {
        var error: [String: JSONValue] = ["code": .integer(code), "message": .string(message)]
        error["data"] = data
        return .object(["jsonrpc": .string("2.0"), "id": id, "error": .object(error)])
    }
}

/// What a client sends.
public enum MCPMessage: Sendable, Equatable {
    /// Wants an answer.
    case request(id: JSONValue, MCPRequest)
    /// Wants none: a notification, or an answer to something that was never asked.
    case notice
    /// No message; the answer.
    case fault(id: JSONValue, MCPFault)

    /// The most messages in one list.
    public static let maximumBatch = 16

    /// Reads a body.
    ///
    /// - Returns: the messages, and whether they came as a list and are to be answered by one.
    public static func read(
        _ body: some Collection<UInt8>, _ version: MCPVersion
    ) throws(MCPFault) -> (messages: [MCPMessage], isBatch: Bool) {
        guard let value = try? JSONValue(parsing: body) else { throw .notJSON }
        guard case .array(let items) = value else { return ([MCPMessage(value)], false) }
        guard version.hasBatches else {
            throw .invalid("Lists of messages are not served in this revision: send one message a request.")
        }
        guard (1...maximumBatch).contains(items.count) else {
            throw .invalid("Expected 1 to \(maximumBatch) messages in a list.")
        }
        return (items.map(MCPMessage.init), true)
    }

    private init(_ value: JSONValue) {
        guard case .object(let members) = value, members["jsonrpc"] == .string("2.0") else {
            self = .fault(
                id: .null, .invalid("Expected a message of JSON-RPC 2.0: an object with jsonrpc \"2.0\"."))
            return
        }
        guard let method = members["method"]?.string else {
            self =
                members["result"] != nil || members["error"] != nil
                ? .notice : .fault(id: .null, .invalid("The message has no method."))
            return
        }
        guard let id = members["id"] else {
            self = .notice
            return
        }
        switch id {
        case .string(let text) where text.utf8.count <= 256: break
        case .integer: break
        default:
            self = .fault(
                id: .null, .invalid("The identifier of a request is a string or a whole number."))
            return
        }
        let parameters: [String: JSONValue]
        switch members["params"] {
        case nil: parameters = [:]
        case .object(let given)?: parameters = given
        default:
            self = .fault(id: id, .parameters("params: expected an object."))
            return
        }
        do throws(MCPFault) {
            self = .request(id: id, try MCPRequest(method, parameters))
        } catch {
            self = .fault(id: id, error)
        }
    }
}

/// A request of a client.
public enum MCPRequest: Sendable, Equatable {
    /// What the client wants to speak, and what is spoken then.
    case initialize(MCPVersion)
    case ping
    case listTools
    /// A tool by its name, with its arguments.
    case callTool(ToolName, arguments: [String: JSONValue])

    init(_ method: String, _ parameters: [String: JSONValue]) throws(MCPFault) {
        switch method {
        case "initialize":
            guard let wanted = parameters["protocolVersion"]?.string else {
                throw .parameters("protocolVersion: expected a string.")
            }
            self = .initialize(MCPVersion(rawValue: wanted) ?? .latest)
        case "ping": self = .ping
        case "tools/list":
            guard parameters["cursor"] == nil else {
                throw .parameters("cursor: the list of tools has one page.")
            }
            self = .listTools
        case "tools/call":
            guard let name = parameters["name"]?.string else {
                throw .parameters("name: expected a tool's name.")
            }
            guard let tool = ToolName(rawValue: name) else {
                throw .parameters(
                    "There is no tool named “\(cleanDeviceText(name, maximumScalars: 64))”. There are: "
                        + ToolName.allCases.map(\.rawValue).joined(separator: ", ") + ".")
            }
            switch parameters["arguments"] {
            case nil, .null?: self = .callTool(tool, arguments: [:])
            case .object(let arguments)?: self = .callTool(tool, arguments: arguments)
            default: throw .parameters("arguments: expected an object.")
            }
        default:
            throw MCPFault(
                -32601,
                "There is no method “\(cleanDeviceText(method, maximumScalars: 64))” here. There are: initialize, ping, "
                    + "tools/list and tools/call.")
        }
    }
}

/// The answers to requests.
public enum MCPAnswer {
    /// A result.
    public static func result(_ result: JSONValue, to id: JSONValue) -> JSONValue {
        .object(["jsonrpc": .string("2.0"), "id": id, "result": result])
    }

    /// The result of `initialize`.
    ///
    /// - Parameter version: of this program.
    public static func initialized(_ spoken: MCPVersion, program version: String) -> JSONValue {
        .object([
            "protocolVersion": .string(spoken.rawValue),
            "capabilities": .object(["tools": .object([:])]),
            "serverInfo": .object([
                "name": .string("goclaw-nodes"), "title": .string("GoClaw Nodes"),
                "version": .string(version),
            ]),
            "instructions": .string(
                "Paired devices, such as tablets, phones and sensors. Begin with list_devices: it names each device's "
                    + "senderId, the commands that it takes and what it measures."),
        ])
    }

    /// What a tool found, as its text and as its structure.
    public static func found(_ content: JSONValue, isError: Bool = false) -> JSONValue {
        .object([
            "content": .array([.object(["type": .string("text"), "text": .string(content.text)])]),
            "structuredContent": content, "isError": .bool(isError),
        ])
    }

    /// Why a tool could not do it.
    public static func refused(_ refusal: Refusal) -> JSONValue {
        found(.refusal(refusal), isError: true)
    }
}

extension JSONValue {
    /// A refusal as programs read it.
    static func refusal(_ refusal: Refusal) -> JSONValue {
        var members: [String: JSONValue] = [
            "code": .string(refusal.code.rawValue), "reason": .string(refusal.reason),
            "message": .string(refusal.message), "retryable": .bool(refusal.retryable),
        ]
        if !refusal.details.isEmpty { members["details"] = .object(refusal.details) }
        members["retryAfterMs"] = refusal.retryAfter.map {
            .integer($0.components.seconds * 1000 + $0.components.attoseconds / 1_000_000_000_000_000)
        }
        return .object(members)
    }
}
