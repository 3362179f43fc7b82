import ArgumentParser
import Cryptography
import NodesConfiguration
import PairingCore
import PairingKernel

/// `nodesctl invitations`
struct InvitationsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "invitations",
        abstract: "Invitations, which pair a device without anybody deciding, and when devices may ask.",
        subcommands: [Create.self, List.self, Withdraw.self, Window.self])

    /// `nodesctl invitations create`
    struct Create: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Invite devices, and print each invitation, this once.",
            discussion:
                "Each pairs its sender ID on its channel once. Without sender IDs they are read from standard input."
        )

        @OptionGroup var options: OperatorOptions

        @Option(help: "The channel.")
        var channel: String

        @Option(help: "How long each can be used, such as 7d; a minute to 90 days.", transform: duration)
        var expires: Duration = .seconds(7 * 86_400)

        @Flag(help: "Print a table as CSV.")
        var csv = false

        @Argument(help: "The devices' sender IDs.")
        var senders: [String] = []

        func run(at desk: Desk) async throws {
            var words = senders
            if words.isEmpty {
                while let line = readLine() {
                    words += line.split { $0.isWhitespace || $0 == "," }.map { String($0) }
                }
            }
            guard let channel = ChannelID(channel) else {
                throw CommandFailure(.usage, "--channel: expected a channel's name, such as web.")
            }
            let senderIDs = try words.map { word in
                guard let senderID = SenderID(word) else {
                    throw CommandFailure(.usage, "\(terminalText(word)) is no sender ID.")
                }
                return senderID
            }
            let made = try await desk.kernel.invitations.create(
                for: senderIDs, on: channel, lifetime: expires, seed: try Invitations.makeSeed(),
                by: desk.authority)
            let lines =
                csv
                ? ["channel,senderId,invitation,link"]
                    + made.map { "\($0.channel),\($0.senderID),\($0.secret.text),\($0.link)" }
                : made.map { "\($0.channel)/\($0.senderID)  \($0.secret.text)" }
            try desk.print(
                .array(
                    made.map {
                        .object([
                            "channel": .string($0.channel.text), "senderId": .string($0.senderID.text),
                            "invitation": .string($0.secret.text), "link": .string($0.link),
                        ])
                    }), lines.joined(separator: "\n"))
        }

        private static func duration(_ text: String) throws -> Duration {
            guard let duration = Quantities.duration(text) else {
                throw ValidationError("expected a number with its unit, such as 7d or 12h")
            }
            return duration
        }
    }

    /// `nodesctl invitations list`
    struct List: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the newest 200, ended ones too.")

        @OptionGroup var options: OperatorOptions

        func run(at desk: Desk) async throws {
            let invitations = try await desk.kernel.invitations.list(by: desk.authority)
            var table = TextTable("ID", "CHANNEL", "SENDER ID", "STATE", "EXPIRES", "BY")
            for item in invitations {
                table.add(
                    item.id, item.channel.text, item.senderID.text, item.state.rawValue, item.expiresAt.text,
                    item.createdBy)
            }
            try desk.print(
                .array(
                    invitations.map {
                        .object([
                            "id": .string($0.id), "channel": .string($0.channel.text),
                            "senderId": .string($0.senderID.text), "state": .string($0.state.rawValue),
                            "createdAt": .time($0.createdAt), "createdBy": .string($0.createdBy),
                            "expiresAt": .time($0.expiresAt),
                        ])
                    }), table.text)
        }
    }

    /// `nodesctl invitations withdraw`
    struct Withdraw: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "withdraw", abstract: "Have an invitation pair nothing any more.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "Its ID, as listed.")
        var id: String

        func run(at desk: Desk) async throws {
            try await desk.kernel.invitations.withdraw(id, by: desk.authority)
            try desk.print(.object(["id": .string(id)]), "Withdrew the invitation \(terminalText(id)).")
        }
    }

    /// `nodesctl invitations window`
    struct Window: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "window", abstract: "Say, or decide, when devices may ask to pair.",
            discussion: "Without an argument it changes nothing.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "always, never, or for how long from now on, such as 10m.")
        var mode: String?

        func run(at desk: Desk) async throws {
            let window: PairingWindow
            switch mode {
            case nil: window = try await desk.kernel.invitations.window(by: desk.authority)
            case "always": window = try await desk.kernel.invitations.setWindow(.always, by: desk.authority)
            case "never": window = try await desk.kernel.invitations.setWindow(.never, by: desk.authority)
            case let text?:
                guard let duration = Quantities.duration(text) else {
                    throw CommandFailure(.usage, "Expected always, never or a time such as 10m.")
                }
                window = try await desk.kernel.invitations.setWindow(.open(duration), by: desk.authority)
            }
            var end: Timestamp?
            if case .until(let time) = window { end = time }
            try desk.print(
                .object(["mode": .string(window.mode), "until": .time(end)]),
                end.map { "Devices may ask to pair until \($0.text)." }
                    ?? (window == .always ? "Any device may ask to pair." : "No device may ask to pair."))
        }
    }
}
