import PairingCore
import PairingKernel

/// `/nodes/devices/{senderId}`: what is known of a device, what administrators say of it, and every pairing it had.
struct DevicePage: PageModel {
    /// Its pairings, newest first; at least one.
    var rows: [PairingAdministration.DeviceRow]
    /// As what the same key is paired as well.
    var alsoPaired: SenderID?
    /// Its session, messages and events.
    var sight = DeviceSight(session: nil, messages: [], events: [])
    /// What is wrong with it.
    var alerts: [AlertItem] = []
    /// Why the form was not carried out, where it came back.
    var problem: String?
    /// Whether the text of messages may be asked for, and whether it is shown.
    var offersText = false
    var showsText = false
    var agents = AgentChoice()
    var now: Timestamp

    private var device: PairedDevice? { rows.first?.device }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "current": rows.first.map { DeviceItem($0, now: now) }
        case "alsoPaired": alsoPaired.map(OtherRoleItem.init)
        case "pageAlerts": alerts
        case "problem": problem
        case "pairings": rows.map { DeviceItem($0, now: now) }
        case "declaredCommands": commands
        case "hasCommands": !commands.isEmpty
        case "switchesCommands":
            device.map { $0.state == .active && !DeviceCommand.declared(in: $0.profile.metadata).isEmpty }
                ?? false
        case "formerCommands":
            formerCommands.isEmpty ? nil : formerCommands.joined(separator: ", ")
        case "answeredBy": device.map { answered(by: $0) }
        case "agentOptions": device.map { agentOptions($0, agents) }
        case "furtherAgents": furtherAgents
        case "hasFurtherAgents": agents.names.count > 1
        case "expiryOptions": expiryOptions
        case "session": sight.session.map { SessionItem($0, now: now) }
        case "sightedMessages": sight.messages.map { MessageItem($0, now: now) }
        case "hasMessages": !sight.messages.isEmpty
        case "offersText": offersText && !showsText && !sight.messages.isEmpty
        case "showsText": showsText
        case "deviceEvents": sight.events.map { EventItem($0, now: now) }
        case "hasEvents": !sight.events.isEmpty
        default: nil
        }
    }

    private var commands: [CommandItem] {
        device.map {
            CommandItem.all(in: $0.profile, off: $0.commandsOff, isChoice: $0.state == .active)
        } ?? []
    }

    /// Those that were switched off and that it declares no more.
    private var formerCommands: [String] {
        guard let device else { return [] }
        let declared = DeviceCommand.declared(in: device.profile.metadata).map(\.name)
        return device.commandsOff.filter { !declared.contains($0) }
    }

    private func answered(by device: PairedDevice) -> String {
        guard let first = device.agents.first else {
            return "\(agents.defaultAgent(of: device.channel)), the channel’s agent"
        }
        let others = device.agents.dropFirst()
        return others.isEmpty ? first : "\(first); messages may name \(others.joined(separator: ", "))"
    }

    private var furtherAgents: [OptionItem] {
        agents.names.map { OptionItem($0, $0, isChosen: device?.agents.dropFirst().contains($0) ?? false) }
    }

    private var expiryOptions: [OptionItem] {
        let kept: String =
            switch device?.expiresAt {
            case nil: "Never"
            case let moment?: moment > now ? "In \(briefDuration(moment - now)), as it is" : "Now"
            }
        var options = [OptionItem("", kept, isChosen: true)]
        if device?.expiresAt != nil { options.append(OptionItem("never", "Never", isChosen: false)) }
        return options
            + DeviceForm.lifetimes.map { OptionItem($0.value, "In \($0.label)", isChosen: false) }
    }
}

/// The choices of who answers a device.
func agentOptions(_ device: PairedDevice, _ agents: AgentChoice) -> [OptionItem] {
    agentOptions(chosen: device.agents.first, channel: device.channel, agents)
}

/// The choices of who answers a channel's device.
func agentOptions(chosen: String?, channel: ChannelID, _ agents: AgentChoice) -> [OptionItem] {
    var options = [
        OptionItem(
            "", "The channel’s agent (\(agents.defaultAgent(of: channel)))", isChosen: chosen == nil)
    ]
    // One that was chosen before it was taken from the configuration.
    if let chosen, !agents.names.contains(chosen) {
        options.append(OptionItem(chosen, "\(chosen), which is not configured", isChosen: true))
    }
    return options + agents.names.map { OptionItem($0, $0, isChosen: $0 == chosen) }
}

/// The form on a device's page.
enum DeviceForm {
    /// For how long a pairing may be given from now on.
    static let lifetimes: [(value: String, label: String, duration: Duration)] = [
        ("1d", "a day", .seconds(86_400)), ("7d", "7 days", .seconds(7 * 86_400)),
        ("30d", "30 days", .seconds(30 * 86_400)), ("90d", "90 days", .seconds(90 * 86_400)),
        ("365d", "a year", .seconds(365 * 86_400)),
    ]

    /// What the fields change.
    static func change(_ fields: FormFields, of device: PairedDevice, _ agents: AgentChoice) -> DeviceChange {
        let expiry: DeviceChange.Expiry? =
            fields["expiry"] == "never"
            ? .never
            : lifetimes.first { $0.value == fields["expiry"] }.map { .after($0.duration) }
        return DeviceChange(
            label: fields["label"], note: fields["note"], expiry: expiry,
            agents: Self.agents(fields, channel: device.channel, agents),
            commands: CommandForm.switches(fields, of: device.profile))
    }

    /// Who was chosen to answer; `nil` where the form has no such field.
    ///
    /// Those that a message may name come after the one that answers where none is named.
    static func agents(_ fields: FormFields, channel: ChannelID, _ agents: AgentChoice) -> [String]? {
        guard let first = fields["agent"] else { return nil }
        let others = fields.named("agent.").map(\.name)
        if first.isEmpty, others.isEmpty { return [] }
        let answers = first.isEmpty ? agents.defaultAgent(of: channel) : first
        return [answers] + others.filter { $0 != answers }
    }
}

/// The other pairing of a key.
struct OtherRoleItem: PageModel {
    let senderID: SenderID

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "otherSenderID": senderID.text
        case "otherDevicePath": Route.device(senderID).path
        case "otherRevokePath": Route.revoke(senderID).path
        default: nil
        }
    }
}

/// The dialog of Revoke.
struct RevocationPage: PageModel {
    /// The newest pairing.
    var row: PairingAdministration.DeviceRow
    /// As what the same key is paired as well.
    var alsoPaired: SenderID?
    /// The administrator who reads it, as decisions are signed.
    var reader: String?
    /// Why the form was not carried out, where it came back.
    var problem: String?
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "device": DeviceItem(row, now: now)
        case "alsoPaired": alsoPaired.map(OtherRoleItem.init)
        case "isReadersOwn": problem == nil && reader != nil && row.device.revokedBy == reader
        case "problem": problem
        default: nil
        }
    }
}
