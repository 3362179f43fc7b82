import PairingCore

/// The tools of `/mcp`.
public enum ToolName: String, Sendable, CaseIterable {
    case listDevices = "list_devices"
    case sendMessage = "send_message"
    case runCommand = "run_command"
    case readReadings = "read_readings"
    case readMessages = "read_messages"

    /// The tools as `tools/list` tells them.
    ///
    /// - Parameter showsText: whether what was said may be read.
    public static func list(showsText: Bool) -> JSONValue {
        let offered = allCases.filter { showsText || $0 != .readMessages }
        return .object(["tools": .array(offered.map(\.description))])
    }

    private var description: JSONValue {
        let (title, words, properties, required, readsOnly) = definition
        return .object([
            "name": .string(rawValue), "title": .string(title), "description": .string(words),
            "inputSchema": .object([
                "type": .string("object"), "properties": .object(properties),
                "required": .array(required.map(JSONValue.string)), "additionalProperties": .bool(false),
            ]),
            "annotations": .object([
                "readOnlyHint": .bool(readsOnly), "destructiveHint": .bool(self == .runCommand),
                "openWorldHint": .bool(false),
            ]),
        ])
    }

    private typealias Definition = (
        title: String, words: String, properties: [String: JSONValue], required: [String], readsOnly: Bool
    )

    private var definition: Definition {
        let sender = Self.text("The device's senderId, as list_devices names it.")
        switch self {
        case .listDevices:
            return (
                "List paired devices",
                "Lists the paired devices: senderId, channel, name, whether it is connected, the commands that it takes "
                    + "with the JSON Schema of their parameters, and the readings that it measures.",
                [
                    "filter": Self.text("A part of a senderId, name or channel."),
                    "channel": Self.text("Only this channel, such as web, mobile or iot."),
                    "connected": .object(["type": .string("boolean")]),
                    "limit": Self.number(1...100, "50 where it is left out."),
                    "cursor": Self.text("nextCursor of the page before."),
                ], [], true
            )
        case .sendMessage:
            return (
                "Send a message to a device",
                "Sends a message to a paired device, now if it is connected and else when it comes back. Give either text or "
                    + "message. The same id again is the same message, so that a repeat is harmless.",
                [
                    "senderId": sender, "text": Self.text("What is said."),
                    "message": .object([
                        "type": .string("object"), "description": .string("A message of another kind."),
                    ]),
                    "id": Self.text("What you call this message, up to 128 bytes."),
                    "agent": Self.text("Who speaks; your token's name where it is left out."),
                    "expiresInMs": Self.number(
                        1000...DeviceRequest.longestLifetime, "How long it is wanted."),
                ], ["senderId"], false
            )
        case .runCommand:
            return (
                "Have a device carry out a command",
                "Has a connected device carry out one of the commands that list_devices names for it, and waits for its "
                    + "answer. The same id with the same parameters again is the same call.",
                [
                    "senderId": sender, "command": Self.text("The command's name."),
                    "parameters": .object([
                        "type": .string("object"),
                        "description": .string("As the command's schema says; {} where it is left out."),
                    ]),
                    "id": Self.text("What you call this call, up to 128 bytes."),
                    "timeoutS": Self.number(
                        1...60, "How many seconds to wait; as long as the device says where it is left out."),
                ], ["senderId", "command"], false
            )
        case .readReadings:
            return (
                "Read what a sensor measured",
                "The newest readings of a device, newest first, with the units that it declares. Times are milliseconds since "
                    + "the epoch.",
                ["senderId": sender, "limit": Self.number(1...100, "20 where it is left out.")],
                ["senderId"], true
            )
        case .readMessages:
            return (
                "Read what was said",
                "The newest messages of a device and its agents, newest first, with their text.",
                ["senderId": sender, "limit": Self.number(1...20, "20 where it is left out.")],
                ["senderId"], true
            )
        }
    }

    private static func text(_ words: String) -> JSONValue {
        .object(["type": .string("string"), "description": .string(words)])
    }

    private static func number(_ range: ClosedRange<Int64>, _ words: String) -> JSONValue {
        .object([
            "type": .string("integer"), "minimum": .integer(range.lowerBound),
            "maximum": .integer(range.upperBound), "description": .string(words),
        ])
    }
}

/// A tool with its arguments.
public enum ToolCall: Sendable, Equatable {
    case listDevices(filter: String, ChannelID?, isConnected: Bool?, limit: Int, cursor: String?)
    case sendMessage(PushRequest)
    case runCommand(SenderID, command: String, parameters: JSONValue, id: String?, limit: Duration?)
    case readReadings(SenderID, limit: Int)
    case readMessages(SenderID, limit: Int)

    /// - Parameter newID: names a message that has no name.
    /// - Throws: `INVALID_REQUEST` that names the argument.
    public init(
        _ tool: ToolName, _ arguments: [String: JSONValue], newID: () -> String
    ) throws(Refusal) {
        let parameters = Parameters(arguments)
        switch tool {
        case .listDevices:
            let isConnected: Bool?
            switch parameters.value("connected") {
            case nil: isConnected = nil
            case .bool(let value)?: isConnected = value
            case let other?:
                throw Parameters.refusal("connected", "expected true or false; got \(other.told())")
            }
            self = .listDevices(
                filter: try parameters.optional("filter", "a string of up to 256 bytes") {
                    $0.utf8.count <= 256 ? $0 : nil
                } ?? "", try parameters.has("channel") ? parameters.channel() : nil, isConnected: isConnected,
                limit: try parameters.limit(100, usual: 50),
                cursor: try parameters.optional("cursor", "nextCursor of the page before") { $0 })
        case .sendMessage:
            self = .sendMessage(
                PushRequest(
                    senderID: try parameters.senderID(), pushID: try parameters.callID() ?? newID(),
                    message: try parameters.message(),
                    agent: try parameters.optional("agent", "an agent's name, a string of 1 to 64 bytes") {
                        (1...64).contains($0.utf8.count) ? $0 : nil
                    },
                    lifetime: try parameters.integer(
                        "expiresInMs", in: 1000...DeviceRequest.longestLifetime
                    ).map { .milliseconds($0) }))
        case .runCommand:
            self = .runCommand(
                try parameters.senderID(),
                command: try parameters.require("command", "a command's name") { $0 },
                parameters: .object(try parameters.object("parameters") ?? [:]),
                id: try parameters.callID(),
                limit: try parameters.integer("timeoutS", in: 1...60).map { .seconds($0) })
        case .readReadings:
            self = .readReadings(
                try parameters.senderID(), limit: try parameters.limit(100, usual: 20))
        case .readMessages:
            self = .readMessages(try parameters.senderID(), limit: try parameters.limit(20, usual: 20))
        }
    }
}

extension Parameters {
    fileprivate func limit(_ most: Int64, usual: Int) throws(Refusal) -> Int {
        try integer("limit", in: 1...most).map { Int($0) } ?? usual
    }

    fileprivate func callID() throws(Refusal) -> String? {
        let limit = DeviceRequest.maximumMessageIDLength
        return try optional("id", "a string of 1 to \(limit) bytes") {
            (1...limit).contains($0.utf8.count) && !$0.utf8.contains(0) ? $0 : nil
        }
    }

    fileprivate func message() throws(Refusal) -> String {
        let text = try optional("text", "a string") { $0 }
        let message = try object("message")
        let body: JSONValue
        switch (text, message) {
        case (let text?, nil): body = .object(["type": .string("text"), "text": .string(text)])
        case (nil, let message?): body = .object(message)
        case (nil, nil): throw Self.refusal("text", "missing; expected text or message")
        case (.some, .some): throw Self.refusal("text", "expected either text or message, not both")
        }
        guard !body.containsNUL else { throw Self.refusal("message", "it holds NUL") }
        return body.text
    }
}
