import PairingCore

// What a device's page shows beside its pairings.

/// Something that a device declares as a command.
final class CommandItem: PageModel {
    private let declaration: CommandDeclaration
    private let isOff: Bool
    private let isChoice: Bool

    /// - Parameters:
    ///   - isOff: whether an administrator switched it off.
    ///   - isChoice: whether it can be switched here.
    init(_ declaration: CommandDeclaration, isOff: Bool, isChoice: Bool) {
        self.declaration = declaration
        self.isOff = isOff
        self.isChoice = isChoice
    }

    /// Everything that a device declares.
    static func all(
        in profile: DeviceProfile, off: [String], isChoice: Bool
    ) -> [CommandItem] {
        CommandDeclaration.all(in: profile.metadata).map {
            CommandItem($0, isOff: off.contains($0.name), isChoice: isChoice)
        }
    }

    func child(named name: String) -> (any PageValue)? {
        switch declaration.command {
        case .success(let command):
            switch name {
            case "commandName": command.name
            case "commandSummary": command.summary.isEmpty ? nil : command.summary
            case "commandParameters": command.parameters.text
            case "isChoice": isChoice
            case "isOn": !isOff
            case "isSwitchedOff": isOff
            default: nil
            }
        case .failure(let fault):
            switch name {
            case "commandName": declaration.name.isEmpty ? "?" : declaration.name
            case "commandFault": fault.sentence
            default: nil
            }
        }
    }
}

/// The fields that switch a device's commands.
enum CommandForm {
    /// What the fields change: each command that the device declares and that is not ticked is switched off.
    ///
    /// - Parameter profile: what was displayed; a device never changes it.
    static func switches(_ fields: FormFields?, of profile: DeviceProfile) -> CommandSwitches {
        guard let fields, fields["commands"] != nil else { return CommandSwitches() }
        let ticked = Set(fields.named("command.").map(\.name))
        let declared = Set(DeviceCommand.declared(in: profile.metadata).map(\.name))
        return CommandSwitches(on: declared.intersection(ticked), off: declared.subtracting(ticked))
    }
}

/// A device's session.
final class SessionItem: PageModel {
    private let session: DeviceSight.Session
    private let now: Timestamp

    init(_ session: DeviceSight.Session, now: Timestamp) {
        self.session = session
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "isLive": session.isConnected
        case "sessionInstance": session.instanceName
        case "sessionAddress": session.address?.description ?? "unknown"
        case "sessionSince": TimeItem(session.connectedAt, .moment, now: now)
        case "sessionSeen": TimeItem(session.lastSeenAt, .ago, now: now)
        default: nil
        }
    }
}

/// A message of a device or to it.
final class MessageItem: PageModel {
    private let message: DeviceSight.Message
    private let now: Timestamp

    init(_ message: DeviceSight.Message, now: Timestamp) {
        self.message = message
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "isFromDevice": message.isFromDevice
        case "messageNumber": String(message.sequence)
        case "messageAgent": message.agent
        case "messageSize": Self.size(message.bytes)
        case "messageAt": TimeItem(message.createdAt, .moment, now: now)
        case "messageState": state
        case "messageReason": message.end.flatMap { $0.reason.isEmpty ? nil : $0.reason }
        case "isUnsettled": message.doneAt == nil || message.end != nil
        case "messageText": message.text
        default: nil
        }
    }

    private var state: String {
        if let end = message.end { return end.state }
        if message.doneAt != nil { return message.isFromDevice ? "answered" : "acknowledged" }
        if message.attempts > 0 {
            return "failed \(message.attempts == 1 ? "once" : "\(message.attempts) times"), tried again"
        }
        return message.isFromDevice ? "waits for an answer" : "waits for the device"
    }

    /// Bytes as people read them.
    static func size(_ bytes: Int64) -> String {
        switch bytes {
        case ..<1024: "\(bytes) B"
        case ..<(1 << 20): "\((bytes + 512) >> 10) KiB"
        default: "\((bytes + (1 << 19)) >> 20) MiB"
        }
    }
}

/// Something that happened to a device.
final class EventItem: PageModel {
    private let event: DeviceSight.Event
    private let now: Timestamp

    init(_ event: DeviceSight.Event, now: Timestamp) {
        self.event = event
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "eventName": event.event
        case "eventAt": TimeItem(event.at, .moment, now: now)
        case "eventActor": event.actor
        case "eventAddress": event.address
        case "eventDetails": event.details == "{}" ? nil : event.details
        default: nil
        }
    }
}
