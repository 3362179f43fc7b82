import ArgumentParser
import NodesProcess

@main
struct Nodesctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodesctl",
        abstract:
            "Operates GoClaw Nodes: accounts, requests, devices, tokens, events, audit, agents, channels.",
        discussion: """
            Talks to PostgreSQL directly, so it works when no page can be reached. Whoever may read the \
            database's password may do everything; what is done carries the operating system account's name.

            \(ExitStatus.table)
            """,
        version: NodesProcess.versionText,
        subcommands: [
            MigrateCommand.self, AdminCommand.self, RequestsCommand.self, DevicesCommand.self,
            ApproveCommand.self, DenyCommand.self, RevokeCommand.self, MessagesCommand.self,
            TokenCommand.self,
            InvitationsCommand.self,
            EventsCommand.self, AuditCommand.self, AgentsCommand.self, ChannelsCommand.self,
            ChannelCommand.self,
            ConfigCommand.self, DeviceCommand.self, DoctorCommand.self,
        ])

    // Accepted before a subcommand as well, which then finds them here.
    @OptionGroup var options: OperatorOptions
}
