import PairingCore
import PairingKernel
import PairingStore

// The shapes of `--json`. Every member is always there; what there is not is null. Times are milliseconds
// since the epoch.
extension JSONValue {
    /// An account.
    static func account(_ account: AdminAccount) -> JSONValue {
        .object([
            "username": .string(account.username), "role": .string(account.role.rawValue),
            "disabledAt": .time(account.disabledAt), "codesSince": .time(account.codesSince),
            "createdAt": .time(account.createdAt),
            "lastSignInAt": .time(account.lastSignInAt),
        ])
    }

    /// An API token, without its secret.
    static func token(_ token: APIToken) -> JSONValue {
        .object([
            "id": .integer(token.id), "owner": .string(token.owner), "name": .string(token.name),
            "scope": .string(token.scope.rawValue), "createdAt": .time(token.createdAt),
            "expiresAt": .time(token.expiresAt), "revokedAt": .time(token.revokedAt),
            "lastUsedAt": .time(token.lastUsedAt),
        ])
    }

    /// A pairing request.
    ///
    /// - Parameter hidesCode: where an administrator has to type the code, it is not shown.
    static func request(_ request: PairingRequest, hidesCode: Bool = false) -> JSONValue {
        .profile(request.profile).adding([
            "requestId": .string(request.id.text), "channel": .string(request.channel.text),
            "senderId": .string(request.senderID.text),
            "code": hidesCode ? .null : .string(request.code.description),
            "credential": .kind(request.credential), "address": .address(request.address),
            "state": .string(request.state.rawValue), "createdAt": .time(request.createdAt),
            "expiresAt": .time(request.expiresAt), "decidedAt": .time(request.decidedAt),
            "decidedBy": request.decidedBy.map(JSONValue.string) ?? .null,
        ])
    }

    /// A pairing request with what the administrator should know of it.
    static func request(_ row: PairingAdministration.RequestRow, hidesCode: Bool) -> JSONValue {
        request(row.request, hidesCode: hidesCode).adding([
            "fingerprint": row.fingerprint.map(JSONValue.string) ?? .null, "rivals": .rivals(row.rivals),
        ])
    }

    /// A pairing.
    static func pairing(_ device: PairedDevice) -> JSONValue {
        .profile(device.profile).adding([
            "requestId": .string(device.requestID.text), "channel": .string(device.channel.text),
            "senderId": .string(device.senderID.text), "credential": .kind(device.credential),
            "generation": .integer(device.generation.number), "state": .string(device.state.rawValue),
            "pairedAt": .time(device.pairedAt), "pairedBy": .string(device.pairedBy),
            "revokedAt": .time(device.revokedAt),
            "revokedBy": device.revokedBy.map(JSONValue.string) ?? .null,
            "label": device.label.map(JSONValue.string) ?? .null,
            "note": device.note.map(JSONValue.string) ?? .null, "expiresAt": .time(device.expiresAt),
            "agents": .array(device.agents.map(JSONValue.string)),
            "commands": .array(device.commands.map { .string($0.name) }),
            "commandsOff": .array(device.commandsOff.map(JSONValue.string)),
        ])
    }

    /// A pairing with what is known of its device.
    static func device(_ row: PairingAdministration.DeviceRow) -> JSONValue {
        pairing(row.device).adding([
            "fingerprint": row.fingerprint.map(JSONValue.string) ?? .null, "rivals": .rivals(row.rivals),
            "connected": .bool(row.isConnected), "lastSeenAt": .time(row.lastSeenAt),
            "lastAddress": .address(row.lastAddress),
            "instance": row.instanceName.map(JSONValue.string) ?? .null,
        ])
    }

    /// A row of the event feed.
    static func event(_ event: PairingStore.Event) -> JSONValue {
        .object([
            "position": .integer(event.position), "at": .time(event.at), "event": .string(event.event),
            "channel": event.channel.map(JSONValue.string) ?? .null,
            "senderId": event.senderID.map(JSONValue.string) ?? .null,
            "actorKind": .string(event.actorKind), "actor": .string(event.actor),
            "requestId": event.requestID.map(JSONValue.string) ?? .null,
            "generation": event.generation.map(JSONValue.integer) ?? .null,
            "address": event.address.map(JSONValue.string) ?? .null, "details": .parsed(event.details),
        ])
    }

    /// This object with more members.
    func adding(_ more: [String: JSONValue]) -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(members.merging(more) { $1 })
    }

    private static func profile(_ profile: DeviceProfile) -> JSONValue {
        .object([
            "displayName": .string(profile.displayName), "metadata": .parsed(profile.metadata),
            "details": .array(
                profile.details.map { .object(["label": .string($0.label), "value": .string($0.value)]) }),
        ])
    }

    private static func rivals(_ rivals: [PairingAdministration.Rival]) -> JSONValue {
        .array(
            rivals.map {
                .object([
                    "address": .address($0.address), "channel": .string($0.channel.text),
                    "attempts": .integer(Int64($0.attempts)), "lastAt": .time($0.lastAt),
                ])
            })
    }

    static func time(_ time: Timestamp?) -> JSONValue {
        time.map { .integer($0.milliseconds) } ?? .null
    }

    private static func address(_ address: ClientAddress?) -> JSONValue {
        address.map { .string($0.description) } ?? .null
    }

    private static func kind(_ credential: StoredCredential) -> JSONValue {
        .string(credential.isKey ? "key" : "token")
    }

    /// What the database keeps as JSON.
    private static func parsed(_ text: String) -> JSONValue {
        (try? JSONValue(parsing: text.utf8)) ?? .string(text)
    }
}

extension PairingAdministration.RequestRow {
    /// Everything an administrator should see before deciding, but for the code, which is typed.
    var sheet: String {
        var sheet = TextSheet()
        sheet.add("Request", request.id.text)
        sheet.add("State", request.state.rawValue)
        sheet.add("Channel", request.channel.text)
        sheet.add("Sender ID", request.senderID.text)
        sheet.add("Claimed name", request.profile.displayName)
        for detail in request.profile.details { sheet.add(detail.label, detail.value) }
        sheet.add("Address", request.address?.description)
        sheet.add("Fingerprint", fingerprint)
        sheet.add("Asked", request.createdAt.text)
        sheet.add("Expires", request.expiresAt.text)
        sheet.add(request.profile, commandsOff: commandsOff)
        for rival in rivals { sheet.add("Refused rival", rival.text) }
        return sheet.text
    }
}

extension PairingAdministration.DeviceRow {
    /// Everything that is known of the pairing.
    var sheet: String {
        var sheet = TextSheet()
        sheet.add("Channel", device.channel.text)
        sheet.add("Sender ID", device.senderID.text)
        sheet.add("State", device.state.rawValue)
        sheet.add("Generation", device.generation.description)
        sheet.add("Label", device.label)
        sheet.add("Claimed name", device.profile.displayName)
        sheet.add("Note", device.note)
        for detail in device.profile.details { sheet.add(detail.label, detail.value) }
        sheet.add("Credential", device.credential.isKey ? "key" : "token")
        sheet.add("Fingerprint", fingerprint)
        sheet.add("Request", device.requestID.text)
        sheet.add("Paired", "\(device.pairedAt.text) by \(device.pairedBy)")
        sheet.add("Revoked", device.revokedAt.map { "\($0.text) by \(device.revokedBy ?? "unknown")" })
        sheet.add("Ends", device.expiresAt?.text)
        sheet.add("Agents", device.agents.isEmpty ? "the channel's" : device.agents.joined(separator: ", "))
        sheet.add("Connected", isConnected ? "yes" : "no")
        sheet.add("Instance", instanceName)
        sheet.add("Last seen", lastSeenAt?.text)
        sheet.add("Last address", lastAddress?.description)
        sheet.add(device.profile, commandsOff: device.commandsOff)
        for rival in rivals { sheet.add("Refused rival", rival.text) }
        return sheet.text
    }
}

extension TextSheet {
    /// The commands that a device declares.
    fileprivate mutating func add(_ profile: DeviceProfile, commandsOff: [String]) {
        for declaration in CommandDeclaration.all(in: profile.metadata) {
            switch declaration.command {
            case .success(let command):
                let isOff = commandsOff.contains(command.name)
                add("Command", command.name + (isOff ? " (switched off)" : ""))
            case .failure(let fault):
                add("Command", "\(declaration.name) is not offered: \(fault.sentence)")
            }
        }
    }
}

extension PairingAdministration.Rival {
    fileprivate var text: String {
        "\(attempts) × from \(address?.description ?? "an unknown address") on channel \(channel), last \(lastAt.text)"
    }
}

extension PairingStore.Event {
    /// The event as one line for a person.
    var line: String {
        var parts = ["\(position)", at.text, event]
        if let channel, let senderID { parts.append("\(channel)/\(senderID)") }
        parts.append("by \(actor)")
        if let address { parts.append("from \(address)") }
        if details != "{}" { parts.append(details) }
        return terminalText(parts.joined(separator: "  "))
    }
}
