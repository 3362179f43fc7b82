/// Something that a device can be told to do, as it declares it in `commands` of its metadata.
public struct DeviceCommand: Sendable, Equatable {
    /// A letter, then up to 63 letters, digits, dots, hyphens or underscores.
    public var name: String
    /// What it does, for whoever chooses it; empty for nothing.
    public var summary: String
    /// What it takes: a JSON Schema of an object.
    public var parameters: JSONValue
    /// How long the device may take to answer, 1 to 60 seconds.
    public var limit: Duration

    /// The most commands of a device; more are not looked at.
    public static let maximumCount = 32
    /// The most bytes of a command's parameters, as compact JSON.
    public static let maximumParameterBytes = 4096
    /// The longest description, in characters (Unicode scalars); the rest is cut off.
    public static let maximumSummaryScalars = 512
    /// How long a device may take that does not say it.
    public static let usualLimit = Duration.seconds(20)

    /// The commands that a device declares, each name once. One that breaks a rule is left out.
    ///
    /// - Parameter metadata: the text of a JSON object.
    public static func declared(in metadata: String) -> [DeviceCommand] {
        guard let metadata = try? JSONValue(parsing: metadata.utf8),
            case .array(let entries)? = metadata["commands"]
        else { return [] }
        var names: Set<String> = []
        return entries.prefix(maximumCount).compactMap { entry in
            guard let command = DeviceCommand(entry), names.insert(command.name).inserted else { return nil }
            return command
        }
    }

    private init?(_ entry: JSONValue) {
        // OpenClaw's nodes give names alone, and take whatever object they are told.
        let isName = entry.string != nil
        guard let name = entry.string ?? entry["name"]?.string, Self.isName(name) else { return nil }
        let none: JSONValue =
            isName
            ? .object(["type": .string("object")])
            : .object(["type": .string("object"), "properties": .object([:])])
        let parameters = entry["parameters"] ?? none
        guard parameters["type"] == .string("object"),
            parameters.text.utf8.count <= Self.maximumParameterBytes
        else { return nil }
        switch entry["description"] {
        case nil: summary = ""
        case .string(let text)?:
            summary = cleanDeviceText(text, maximumScalars: Self.maximumSummaryScalars)
        default: return nil
        }
        switch entry["timeoutS"] {
        case nil: limit = Self.usualLimit
        case let value?:
            guard let seconds = value.wholeNumber, (1...60).contains(seconds) else { return nil }
            limit = .seconds(seconds)
        }
        self.name = name
        self.parameters = parameters
    }

    private static func isName(_ text: String) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
        guard let first = text.utf8.first, isLetter(first), text.utf8.count <= 64 else { return false }
        return text.utf8.allSatisfy { byte in
            isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || "._-".utf8.contains(byte)
        }
    }
}

/// A device's answer to a command: `{"type": "ack", "command", "callId", "ok", "result"?, "detail"?}`.
public struct CommandAnswer: Sendable, Equatable {
    /// Which call it answers.
    public var callID: String
    /// Whether the command was carried out.
    public var isDone: Bool
    /// What came of it: the text of a JSON object with `result` and `detail`, those that there are.
    public var text: String

    /// The most bytes of ``text``.
    public static let maximumBytes = 16 << 10

    /// `nil` for a message that is none. One that says too much counts without what it says.
    ///
    /// - Parameter body: the message: JSON text.
    public init?(_ body: String) {
        // Most messages are none, and are not read for this.
        guard body.utf8.count < 1 << 20, body.contains("\"callId\""),
            let value = try? JSONValue(parsing: body.utf8), value["type"] == .string("ack"),
            let callID = value["callId"]?.string, callID.utf8.count <= 64, !callID.utf8.contains(0),
            case .bool(let isDone)? = value["ok"]
        else { return nil }
        self.callID = callID
        self.isDone = isDone
        var members: [String: JSONValue] = [:]
        if let result = value["result"] { members["result"] = result }
        if let detail = value["detail"]?.string { members["detail"] = .string(detail) }
        let text = JSONValue.object(members).text
        self.text =
            text.utf8.count <= Self.maximumBytes
            ? text
            : JSONValue.object(["detail": .string("The answer has more than \(Self.maximumBytes) bytes.")])
                .text
    }
}
