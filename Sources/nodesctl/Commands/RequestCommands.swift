import ArgumentParser
import PairingCore
import PairingKernel

/// `nodesctl requests`
struct RequestsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "requests", abstract: "Requests of devices to be paired.",
        subcommands: [List.self, ClearCooldown.self])

    /// `nodesctl requests list`
    struct List: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the requests that wait for a decision, newest first.")

        @OptionGroup var options: OperatorOptions

        @Option(help: "Only those with this in their sender ID, channel, code or name.")
        var filter = ""

        func run(at desk: Desk) async throws {
            let rows = try await allPages { after in
                try await desk.administration.pendingRequests(
                    filter: filter, after: after, limit: 200, by: desk.authority)
            }
            let hidesCodes = desk.kernel.settings.requiresTypedCode
            var table = TextTable("REQUEST", "CHANNEL", "SENDER", "CODE", "NAME", "ADDRESS", "EXPIRES")
            for row in rows {
                let request = row.request
                table.add(
                    request.id.text, request.channel.text, request.senderID.text,
                    hidesCodes ? "" : request.code.description, request.profile.displayName,
                    request.address?.description ?? "", request.expiresAt.text)
            }
            try desk.print(
                .array(rows.map { .request($0, hidesCode: hidesCodes) }),
                rows.isEmpty ? "No request waits for a decision." : table.text)
        }
    }

    /// `nodesctl requests clear-cooldown`
    struct ClearCooldown: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "clear-cooldown",
            abstract: "Let a device that was denied ask again without waiting.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The sender ID that was denied.", transform: readSenderID)
        var sender: SenderID

        func run(at desk: Desk) async throws {
            try await desk.administration.clearCooldown(sender, by: desk.authority)
            try desk.print(.object(["senderId": .string(sender.text)]), "\(sender) may ask again at once.")
        }
    }
}

/// `nodesctl devices`
struct DevicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices", abstract: "Paired devices.",
        subcommands: [List.self, Show.self, SetAgentCommand.self, SetCommandsCommand.self])

    /// `nodesctl devices list`
    struct List: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the paired devices, newest first.")

        @OptionGroup var options: OperatorOptions

        @Option(help: "Only those with this in their sender ID, channel or name.")
        var filter = ""

        func run(at desk: Desk) async throws {
            let rows = try await allPages { after in
                try await desk.administration.pairedDevices(
                    filter: filter, after: after, limit: 200, by: desk.authority)
            }
            var table = TextTable(
                "CHANNEL", "SENDER", "GENERATION", "NAME", "PAIRED", "PAIRED BY", "CONNECTED", "INSTANCE",
                "LAST SEEN")
            for row in rows {
                let device = row.device
                table.add(
                    device.channel.text, device.senderID.text, device.generation.description,
                    device.profile.displayName, device.pairedAt.text, device.pairedBy,
                    row.isConnected ? "yes" : "no", row.instanceName ?? "", row.lastSeenAt?.text ?? "")
            }
            try desk.print(
                .array(rows.map(JSONValue.device)), rows.isEmpty ? "No device is paired." : table.text)
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
}

/// Every row of a list that comes in pages.
private func allPages<Row>(
    _ page: (String?) async throws -> PairingAdministration.Page<Row>
) async throws -> [Row] {
    var rows: [Row] = []
    var after: String?
    repeat {
        let next = try await page(after)
        rows += next.rows
        after = next.next
    } while after != nil
    return rows
}

/// Reads a sender ID for a command's argument.
func readSenderID(_ text: String) throws -> SenderID {
    guard let senderID = SenderID(text) else {
        throw ValidationError(
            "expected a sender ID: 1 to 128 letters, digits and ._:@- that begin with a letter or digit")
    }
    return senderID
}

/// Reads a whole number that is not negative.
func readNumber(_ text: String, _ expected: String) throws -> Int64 {
    guard let number = Int64(text), number >= 0 else { throw ValidationError("expected \(expected)") }
    return number
}
