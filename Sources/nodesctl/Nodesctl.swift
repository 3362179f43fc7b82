import ArgumentParser
import NodesProcess
import PairingCore

@main
struct Nodesctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodesctl",
        abstract:
            "Operates GoClaw Nodes: accounts, requests, devices, tokens, events, backups, agents, channels.",
        discussion: """
            Talks to PostgreSQL directly, so it works when no page can be reached. Whoever may read the \
            database's password may do everything; what is done carries the operating system account's name.

            \(ExitStatus.table)
            """,
        version: NodesProcess.versionText,
        subcommands: [
            SetupCommand.self, MigrateCommand.self, AdminCommand.self, RequestsCommand.self,
            DevicesCommand.self, ApproveCommand.self, DenyCommand.self, RevokeCommand.self,
            InvitationsCommand.self, WebhooksCommand.self, MessagesCommand.self, TokenCommand.self,
            EventsCommand.self, AuditCommand.self, BackupCommand.self, AgentsCommand.self,
            ChannelsCommand.self, ChannelCommand.self, ConfigCommand.self, DeviceCommand.self,
            DoctorCommand.self,
        ])

    /// Where the arguments name no command, those that there are.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            // Help, and what else was asked for, ends this way too.
            let isFault = !(error is ExitCode) && !exitCode(for: error).isSuccess
            if isFault, let sentence = unknownCommand(in: CommandLine.arguments.dropFirst()) {
                Terminal.complain("nodesctl: " + sentence)
                exit(withError: ExitCode(ExitStatus.usage.rawValue))
            }
            exit(withError: error)
        }
    }

    /// What to say of the first word that is no command where one is expected; `nil` where there is none.
    static func unknownCommand(in arguments: some Sequence<String>) -> String? {
        var command: any ParsableCommand.Type = Nodesctl.self
        var path = "nodesctl"
        var isValue = false
        for argument in arguments {
            if isValue {
                isValue = false
                continue
            }
            isValue = argument == "--config"
            if argument.hasPrefix("-") { continue }
            let names = command.configuration.subcommands.map { $0._commandName }
            if names.isEmpty || argument == "help" { return nil }
            guard
                let next = command.configuration.subcommands.first(where: {
                    $0._commandName == argument || $0.configuration.aliases.contains(argument)
                })
            else {
                return
                    "There is no command \(quoted(argument)) of \(path); there are \(names.joined(separator: ", ")). See "
                    + "\(path) --help."
            }
            command = next
            path += " " + argument
        }
        return nil
    }

    // Accepted before a subcommand as well, which then finds them here.
    @OptionGroup var options: OperatorOptions
}
