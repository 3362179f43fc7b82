import PairingCore

// What a device's page shows beside its pairings.

/// A command that a device declares.
final class CommandItem: PageModel {
    private let command: String
    private let summary: String?
    private let parameters: String?

    /// - Returns: `nil` for what declares no command.
    init?(_ json: JSONValue) {
        guard let command = json["name"]?.string else { return nil }
        self.command = command
        summary = json["description"]?.string
        let schema = json["parameters"]
        parameters = schema == nil || schema == .null ? nil : schema?.text
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "commandName": command
        case "commandSummary": summary
        case "commandParameters": parameters
        default: nil
        }
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
