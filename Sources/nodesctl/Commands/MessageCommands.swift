import ArgumentParser
import NodesConfiguration
import PairingCore
import PairingKernel

/// `nodesctl messages`
struct MessagesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "messages", abstract: "Messages for devices.", subcommands: [Push.self, Status.self])

    /// `nodesctl messages push`
    struct Push: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "push",
            abstract:
                "Send a message to a paired device, connected or not. The same identifier is the same message."
        )

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The device's sender ID.", transform: readSenderID)
        var sender: SenderID

        @Argument(help: "The message: JSON, or any other text, which is sent as a string.")
        var message: String

        @Option(help: "What the message is called, so that sending it again is no second message.")
        var id: String

        @Option(help: "Who speaks; without it, the account that runs this.")
        var agent: String?

        @Option(
            help: "How long it is wanted, such as 10m; a second to 30 days. Without it, for ever.",
            transform: duration)
        var expires: Duration?

        func run(at desk: Desk) async throws {
            let body = (try? JSONValue(parsing: message.utf8)) ?? .string(message)
            let report = try await desk.kernel.messages.push(
                body.text, to: sender, id: id, agent: agent, lifetime: expires, by: desk.authority)
            try desk.print(
                .report(report, of: id, to: sender),
                "Message \(report.sequence) for \(sender) is \(report.status.rawValue).")
        }

        private static func duration(_ text: String) throws -> Duration {
            guard let duration = Quantities.duration(text), MessageDesk.lifetimes.contains(duration) else {
                throw ValidationError("expected a number with its unit from 1s to 30d, such as 10m")
            }
            return duration
        }
    }

    /// `nodesctl messages status`
    struct Status: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "status", abstract: "What became of a message that was pushed.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The device's sender ID.", transform: readSenderID)
        var sender: SenderID

        @Option(help: "What the message is called.")
        var id: String

        func run(at desk: Desk) async throws {
            let report = try await desk.kernel.messages.status(ofPush: id, to: sender, by: desk.authority)
            let reason = report.reason.map { " (\($0))" } ?? ""
            let read = report.readAt.map { ", read at \($0.text)" } ?? ""
            try desk.print(
                .report(report, of: id, to: sender),
                "Message \(report.sequence) for \(sender) is \(report.status.rawValue)\(reason)\(read).")
        }
    }
}

extension JSONValue {
    fileprivate static func report(
        _ report: MessageReport, of id: String, to sender: SenderID
    ) -> JSONValue {
        .object([
            "senderId": .string(sender.text), "pushId": .string(id), "messageSeq": .integer(report.sequence),
            "status": .string(report.status.rawValue), "reason": report.reason.map(JSONValue.string) ?? .null,
            "readAt": .time(report.readAt),
        ])
    }
}
