import Cryptography
import PairingCore
import PairingStore

/// A command that a program wants a device to carry out.
public struct WantedCommand: Sendable {
    /// The device.
    public var senderID: SenderID
    /// The command's name.
    public var name: String
    /// What it is to take: a JSON object.
    public var parameters: JSONValue
    /// What the program calls this call, so that a repeat is the same call; `nil` for one that is never repeated.
    public var id: String?
    /// How long its answer is waited for, 1 to 60 seconds; `nil` for as long as the device says.
    public var limit: Duration?

    /// Wraps the parts.
    public init(
        senderID: SenderID, name: String, parameters: JSONValue, id: String? = nil, limit: Duration? = nil
    ) {
        self.senderID = senderID
        self.name = name
        self.parameters = parameters
        self.id = id
        self.limit = limit
    }

    /// What the device sees as the call's `callId`: 32 hexadecimal digits. The same for a repeat by the same actor that
    /// wants the same, and for no other call.
    func key(of authority: Authority, _ generation: Generation) -> String {
        var generator = SystemRandomNumberGenerator()
        let id = id.map { "id \($0)" } ?? "\(generator.next()) \(generator.next())"
        let parts: [JSONValue] = [
            .string(authority.actor.name), .string(senderID.key), .integer(generation.number), .string(name),
            parameters,
            .string(id),
        ]
        return hexadecimal(sha256(JSONValue.array(parts).text.utf8).prefix(16))
    }
}

/// What came of a command.
public struct CommandReport: Sendable, Equatable {
    /// What the device saw as its `callId`.
    public var callID: String
    /// How it ended.
    public var outcome: CommandOutcome
    /// What the device said: an object with `result` and `detail`, those that there are.
    public var answer: JSONValue
    /// How long the answer was waited for at most.
    public var limit: Duration

    init(_ call: PairingStore.CommandCall, _ state: PairingStore.CommandState) {
        callID = call.key
        outcome = state.outcome ?? .unanswered
        answer = state.answer.flatMap { try? JSONValue(parsing: $0.utf8) } ?? .object([:])
        limit = call.limit
    }

    /// Why it was not carried out, or may not have been; `nil` for one that was.
    public var problem: String? {
        switch outcome {
        case .done: nil
        case .refused: "The device refuses the command."
        case .away: "The device is not connected. The command was not sent."
        case .unanswered:
            "The device did not answer within \(limit.components.seconds) seconds. It may have carried out the command "
                + "all the same."
        case .abandoned: "The command was given up. The device may have carried it out all the same."
        case .switchedOff: "An administrator switched this command off. It was not sent."
        }
    }

    /// What a model is told.
    var words: String {
        var members: [String: JSONValue] = ["ok": .bool(outcome == .done)]
        members["error"] = problem.map(JSONValue.string)
        if outcome == .done || outcome == .refused { members["answer"] = answer }
        return JSONValue.object(members).text
    }
}

extension Refusal {
    /// The device declares no such command.
    static func unknownCommand(_ name: String, _ names: [String]) -> Refusal {
        Refusal(
            .unknownCommand,
            "The device declares no command named “\(cleanDeviceText(name, maximumScalars: 64))”. "
                + (names.isEmpty ? "It takes none." : "It takes: \(names.joined(separator: ", "))."),
            details: ["commands": .array(names.map(JSONValue.string))])
    }
}
