import ArgumentParser
import NodesConfiguration
import PairingCore
import PairingKernel

/// `nodesctl devices`
struct DevicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices", abstract: "Paired devices: find them, and change what is said of them.",
        subcommands: [
            List.self, Show.self, Rename.self, Note.self, Expire.self, SetAgentCommand.self,
            SetCommandsCommand.self,
        ])

    /// `nodesctl devices list`
    struct List: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the paired devices, newest first.",
            discussion: """
                Without an option it lists all; what several options say has to hold together. A text is looked for as on \
                the page: the beginning or a part of a sender ID or name, or a part of a channel. What it finds comes by \
                how it is found, and what is connected by its sender ID, whatever --sort says.
                """)

        @OptionGroup var options: OperatorOptions
        @OptionGroup var filter: DeviceFilterOptions

        @Option(help: "How many at most; without it, all.", transform: readLimit)
        var limit: Int?

        func run(at desk: Desk) async throws {
            let rows = try await allPages(atMost: limit) { after, size in
                try await desk.administration.pairedDevices(
                    filter.filter, after: after, limit: size, by: desk.authority)
            }
            var table = TextTable(
                "CHANNEL", "SENDER", "GENERATION", "NAME", "AGENT", "PAIRED", "PAIRED BY", "CONNECTED",
                "INSTANCE", "LAST SEEN")
            for row in rows {
                let device = row.device
                table.add(
                    device.channel.text, device.senderID.text, device.generation.description,
                    device.label ?? device.profile.displayName, device.agents.joined(separator: ", "),
                    device.pairedAt.text, device.pairedBy,
                    row.isConnected ? "yes" : "no", row.instanceName ?? "", row.lastSeenAt?.text ?? "")
            }
            let nothing = filter.isEmpty ? "No device is paired." : "No paired device is like that."
            try desk.print(.array(rows.map(JSONValue.device)), rows.isEmpty ? nothing : table.text)
        }
    }

    /// `nodesctl devices show`
    struct Show: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show every pairing of a sender ID, newest first.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The device's sender ID.", transform: readSenderID)
        var sender: SenderID

        func run(at desk: Desk) async throws {
            let rows = try await desk.administration.device(sender, by: desk.authority)
            try desk.print(.array(rows.map(JSONValue.device)), rows.map(\.sheet).joined(separator: "\n\n"))
        }
    }

    /// `nodesctl devices rename`
    struct Rename: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "rename", abstract: "Call a device by a label of yours.",
            discussion:
                "The label stands in place of the name that the device claims, and stays when it pairs again."
        )

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The device's sender ID.", transform: readSenderID)
        var sender: SenderID

        @Argument(
            help:
                "The label, up to \(PairingAdministration.maximumLabelLength) characters; none takes it away."
        )
        var label: String?

        func run(at desk: Desk) async throws {
            let device = try await desk.administration.change(
                sender, DeviceChange(label: label ?? ""), by: desk.authority)
            try desk.print(
                .pairing(device),
                device.label.map { "\(sender) is called \(terminalText($0))." } ?? "\(sender) has no label.")
        }
    }

    /// `nodesctl devices note`
    struct Note: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "note", abstract: "Keep a note about a device.",
            discussion: "The note stays when the device pairs again. The device never gets it.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The device's sender ID.", transform: readSenderID)
        var sender: SenderID

        @Argument(
            help: "The note, up to \(PairingAdministration.maximumNoteLength) characters; none takes it away."
        )
        var note: String?

        func run(at desk: Desk) async throws {
            let device = try await desk.administration.change(
                sender, DeviceChange(note: note ?? ""), by: desk.authority)
            try desk.print(
                .pairing(device),
                device.note == nil ? "\(sender) has no note." : "The note on \(sender) is kept.")
        }
    }

    /// `nodesctl devices expire`
    struct Expire: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "expire", abstract: "Have a device's pairing end by itself.",
            discussion:
                "It ends as by a revocation: the device is disconnected everywhere and must pair again.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The device's sender ID.", transform: readSenderID)
        var sender: SenderID

        @Option(name: .customLong("in"), help: "After that time, such as 8h or 30d.", transform: readTimeLeft)
        var after: Duration?

        @Flag(help: "Not at all.")
        var never = false

        func validate() throws {
            guard (after == nil) == never else { throw ValidationError("Give either --in or --never.") }
        }

        func run(at desk: Desk) async throws {
            let device = try await desk.administration.change(
                sender, DeviceChange(expiry: after.map { .after($0) } ?? .never), by: desk.authority)
            try desk.print(
                .pairing(device),
                device.expiresAt.map { "The pairing of \(sender) ends at \($0.text)." }
                    ?? "The pairing of \(sender) does not end by itself.")
        }
    }
}

/// Which devices a command is about: what the page's filter has.
struct DeviceFilterOptions: ParsableArguments {
    @Option(name: .customLong("filter"), help: "Only those with this in their sender ID, channel or name.")
    var text = ""

    @Option(help: "Only those of this channel.", transform: readChannel)
    var channel: ChannelID?

    @Flag(help: "Only those that are connected.")
    var connected = false

    @Flag(help: "Only those that are not connected.")
    var away = false

    @Option(help: "Only those that this account paired, as PAIRED BY shows it.")
    var pairedBy: String?

    @Option(help: "Only those that this agent answers where a message names none.")
    var agent: String?

    @Option(help: "Only those that were paired within that time, such as 24h or 7d.", transform: readAge)
    var pairedWithin: Duration?

    @Option(help: "Only those that were paired longer ago than that, such as 30d.", transform: readAge)
    var pairedBefore: Duration?

    @Option(help: "How they are sorted: \(DeviceOrder.allCases.map(\.rawValue).joined(separator: ", ")).")
    var sort = DeviceOrder.newest

    /// Whether every device is wanted.
    var isEmpty: Bool { filter == DeviceFilter(order: sort) }

    /// What the kernel is asked for.
    var filter: DeviceFilter {
        var filter = DeviceFilter(text: text, order: sort)
        filter.channel = channel
        filter.isConnected = connected ? true : away ? false : nil
        filter.pairedBy = pairedBy
        filter.agent = agent
        filter.pairedWithin = pairedWithin
        filter.pairedBefore = pairedBefore
        return filter
    }

    func validate() throws {
        guard !(connected && away) else { throw ValidationError("Give either --connected or --away.") }
    }
}

extension DeviceOrder: ExpressibleByArgument {}

/// Rows of a list that comes in pages: all, or the first.
func allPages<Row>(
    atMost limit: Int? = nil,
    _ page: (_ after: String?, _ size: Int) async throws -> PairingAdministration.Page<Row>
) async throws -> [Row] {
    var rows: [Row] = []
    var after: String?
    repeat {
        let next = try await page(after, min(200, max(1, (limit ?? .max) - rows.count)))
        rows += next.rows
        after = next.next
    } while after != nil && rows.count < limit ?? .max
    return rows
}

private func readChannel(_ text: String) throws -> ChannelID {
    guard let channel = ChannelID(text) else {
        throw ValidationError("expected a channel's name, such as web")
    }
    return channel
}

private func readLimit(_ text: String) throws -> Int {
    guard let limit = Int(text), limit > 0 else {
        throw ValidationError("expected a number of devices, 1 or more")
    }
    return limit
}

private func readAge(_ text: String) throws -> Duration {
    guard let age = duration(text) else { throw ValidationError("expected a time such as 24h or 7d") }
    return age
}

private func readTimeLeft(_ text: String) throws -> Duration {
    guard let time = duration(text) else {
        throw ValidationError("expected a time such as 8h or 30d, up to 3650d")
    }
    return time
}

/// Reads a time as the configuration has it, such as `90s`, `60m`, `8h` or `30d`.
///
/// - Returns: `nil` for anything else, for no time at all, and for more than ten years.
private func duration(_ text: String) -> Duration? {
    guard let time = Quantities.duration(text), time > .zero, time <= .seconds(3650 * 86400) else {
        return nil
    }
    return time
}
