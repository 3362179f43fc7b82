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
        CommandDeclaration.all(in: metadata).compactMap { try? $0.command.get() }
    }

    /// - Throws: the rule that it breaks.
    fileprivate init(_ entry: JSONValue) throws(CommandFault) {
        // OpenClaw's nodes give names alone, and take whatever object they are told.
        let isName = entry.string != nil
        guard let name = entry.string ?? entry["name"]?.string else { throw .nameless }
        guard Self.isName(name) else { throw .badName }
        let none: JSONValue =
            isName
            ? .object(["type": .string("object")])
            : .object(["type": .string("object"), "properties": .object([:])])
        let parameters = entry["parameters"] ?? none
        guard parameters["type"] == .string("object") else { throw .badParameters }
        guard parameters.text.utf8.count <= Self.maximumParameterBytes else { throw .largeParameters }
        switch entry["description"] {
        case nil: summary = ""
        case .string(let text)?:
            summary = cleanDeviceText(text, maximumScalars: Self.maximumSummaryScalars)
        default: throw .badDescription
        }
        switch entry["timeoutS"] {
        case nil: limit = Self.usualLimit
        case let value?:
            guard let seconds = value.wholeNumber, (1...60).contains(seconds) else { throw .badTimeout }
            limit = .seconds(seconds)
        }
        self.name = name
        self.parameters = parameters
    }

    /// The command that a message for a device has carried out: `{"type": "command", "command": NAME, …}`.
    ///
    /// - Parameter body: the message: JSON text.
    /// - Returns: `nil` for a message of another kind.
    public static func name(in body: String) -> String? {
        // Most messages are none, and are not read for this; an escape may hide the word.
        guard body.contains("command") || body.contains("\\u"),
            let message = try? JSONValue(parsing: body.utf8), message["type"] == .string("command")
        else { return nil }
        return message["command"]?.string
    }

    /// A command's name as a careless device may compare it: in small letters, without blanks around it.
    public static func folded(_ name: String) -> String {
        let blanks: Set<Unicode.Scalar> = [" ", "\t", "\n", "\r"]
        let scalars = name.unicodeScalars.drop(while: blanks.contains)
        let end = scalars.lastIndex { !blanks.contains($0) }.map(scalars.index(after:))
        return String(String.UnicodeScalarView(scalars[..<(end ?? scalars.startIndex)])).lowercased()
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

/// Why something that a device declares is no command.
public enum CommandFault: Error, Sendable, Equatable {
    case nameless, badName, repeated, badParameters, largeParameters, badDescription, badTimeout
    /// There are so many more than a device may have.
    case tooMany(Int)

    /// The rule that it breaks, as a sentence.
    public var sentence: String {
        switch self {
        case .nameless: "It has no name."
        case .badName:
            "Its name is not a letter followed by up to 63 letters, digits, dots, hyphens or underscores."
        case .repeated: "This name is declared before."
        case .badParameters: "Its parameters are not the JSON Schema of an object."
        case .largeParameters: "Its parameters have more than \(DeviceCommand.maximumParameterBytes) bytes."
        case .badDescription: "Its description is not a text."
        case .badTimeout: "Its timeoutS is not a whole number from 1 to 60."
        case .tooMany: "A device has \(DeviceCommand.maximumCount) commands at most."
        }
    }
}

/// An entry of what a device declares as its commands, for those who decide about it.
public struct CommandDeclaration: Sendable, Equatable {
    /// What it is called, cleaned; empty where it has no name.
    public var name: String
    /// The command, or why it is none and offered to nobody.
    public var command: Result<DeviceCommand, CommandFault>

    /// Everything that a device declares, in its order. What is beyond the most commands of a device is one entry.
    ///
    /// - Parameter metadata: the text of a JSON object.
    public static func all(in metadata: String) -> [CommandDeclaration] {
        guard metadata.contains("\"commands\""), let metadata = try? JSONValue(parsing: metadata.utf8),
            case .array(let entries)? = metadata["commands"]
        else { return [] }
        var names: Set<String> = []
        var all = entries.prefix(DeviceCommand.maximumCount).map { entry in
            let name = cleanDeviceText(entry.string ?? entry["name"]?.string ?? "", maximumScalars: 64)
            do throws(CommandFault) {
                let command = try DeviceCommand(entry)
                guard names.insert(command.name).inserted else { throw .repeated }
                return CommandDeclaration(name: name, command: .success(command))
            } catch {
                return CommandDeclaration(name: name, command: .failure(error))
            }
        }
        let more = entries.count - all.count
        if more > 0 {
            all.append(CommandDeclaration(name: "\(more) more", command: .failure(.tooMany(more))))
        }
        return all
    }
}

/// How the call of a command ended; the words of the event `command.ended`.
public enum CommandOutcome: String, Sendable {
    /// The device carried it out.
    case done
    /// The device says that it did not.
    case refused
    /// The device was not connected, so that it was not sent.
    case away
    /// The device said nothing in time.
    case unanswered
    /// Whoever called it does not wait any more.
    case abandoned
    /// An administrator switched it off, so that it was not sent.
    case switchedOff = "switched_off"
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
