import ArgumentParser
import ChannelCheck
import Dispatch
import PairingCore

/// `nodesctl channel`
struct ChannelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "channel",
        abstract: "For authors of channels: start one, check one, run one while you write it.",
        discussion: "These commands need no configuration and no database.",
        subcommands: [New.self, Check.self, ChannelDevCommand.self, CheckChildCommand.self])

    /// `nodesctl channel new`
    struct New: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new", abstract: "Write a project for a new channel, which builds with one command.",
            discussion: "A folder that is not empty is left as it is.")

        @OptionGroup var output: OutputOptions

        @Argument(help: "The channel's ID: 1 to 32 of a-z, 0-9, _ and -, beginning with a letter.")
        var name: String

        @Option(help: "In what it is written: swift or c.")
        var language: ChannelProject.Language

        @Option(help: "The project's folder; without it, one named like the channel, here.")
        var directory: String?

        func run() async throws {
            try await reporting(asJSON: output.json) {
                let project = try ChannelProject(name: name, language: language)
                let folder = try ProjectFolder(creating: directory ?? "./" + name)
                for file in project.files { try folder.write(file) }
                try Terminal.print(
                    output.json
                        ? JSONValue.object([
                            "directory": .string(folder.path),
                            "files": .array(project.files.map { .string($0.path) }),
                            "next": .array(project.nextSteps.map(JSONValue.string)),
                        ]).text
                        : """
                        Wrote \(project.files.map(\.path).joined(separator: ", ")) to \(folder.path).
                        Next, in that folder, build it, check it, and install it (CHANNELS is the servers' folder):

                        \(project.nextSteps.map { "  " + $0 }.joined(separator: "\n"))
                        """)
            }
        }
    }

    /// `nodesctl channel check`
    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "Hold a channel's library to what goclaw_channel.h promises.",
            discussion: """
                The library's code runs in processes of its own, as this account: one that crashes, hangs or \
                prints ends none but those. Ends with 0 where no check failed, with 1 otherwise; warnings are \
                for you to judge. Say with --sender, --metadata and --message what an ordinary device of the \
                channel looks like, if the channel takes not any, and with --agent-message what an agent says to it.
                """)

        @OptionGroup var output: OutputOptions

        @Argument(help: "The library, such as echo.so; a manifest beside it is checked too.")
        var path: String

        @Option(help: "What create is given: a JSON object; without it, {}.")
        var config: String?

        @Option(help: "The sender ID of an ordinary device.")
        var sender: String?

        @Option(help: "The metadata of an ordinary device: a JSON object.")
        var metadata: String?

        @Option(help: "An ordinary message of such a device: a JSON value.")
        var message: String?

        @Option(help: "An ordinary message of an agent to such a device: a JSON value.")
        var agentMessage: String?

        @Option(help: "How long a call may take, in seconds, 0.1 to 60.")
        var callLimit = 5.0

        // It knows a --config too, of another meaning, and takes whatever has that name.
        @ParentCommand var nodesctl: Nodesctl

        private var configuration: String { config ?? nodesctl.options.config ?? "{}" }

        func validate() throws {
            guard (0.1...60).contains(callLimit) else {
                throw ValidationError("--call-limit is \(callLimit), expected 0.1 to 60 seconds")
            }
            for (name, text) in [("--config", configuration), ("--metadata", metadata ?? "{}")] {
                guard case .object? = try? JSONValue(parsing: text.utf8) else {
                    throw ValidationError(
                        "\(name) is not a JSON object, such as '{\"rooms\": [\"kitchen\"]}'")
                }
            }
            for (name, text) in [("--message", message), ("--agent-message", agentMessage)] {
                guard let text, (try? JSONValue(parsing: text.utf8)) == nil else { continue }
                throw ValidationError(
                    "\(name) is not a JSON value, such as '{\"text\": \"hello\"}' or '\"hello\"'")
            }
            if let sender, SenderID(sender) == nil {
                throw ValidationError("--sender is not [A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
            }
        }

        func run() async throws {
            try await reporting(asJSON: output.json) {
                let check = ChannelCheck(
                    subject: CheckSubject(
                        library: path, configuration: configuration, senderID: sender, metadata: metadata,
                        message: message, agentMessage: agentMessage),
                    program: ["/proc/self/exe", "channel", CheckChildCommand.name],
                    callLimit: Int(callLimit * 1000))
                let report = try await Self.result(of: check)
                try Terminal.print(output.json ? report.json.text : report.text)
                guard report.passed else { throw ExitCode(ExitStatus.failure.rawValue) }
            }
        }

        /// Makes the checks on a thread that may block.
        private static func result(of check: ChannelCheck) async throws -> CheckReport {
            let result = await withCheckedContinuation { continuation in
                DispatchQueue.global().async {
                    continuation.resume(returning: Result { () throws(CannotCheck) in try check.run() })
                }
            }
            do {
                return try result.get()
            } catch {
                throw CommandFailure(.notFound, error.message)
            }
        }
    }
}

/// `nodesctl channel check-child`: the process in which a library is checked.
struct CheckChildCommand: ParsableCommand {
    static let name = "check-child"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    func run() throws { CheckChild.run() }
}

extension ChannelProject.Language: ExpressibleByArgument {}
