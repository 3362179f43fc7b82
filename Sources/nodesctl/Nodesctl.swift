import ArgumentParser
import Logging

@main
struct Nodesctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodesctl",
        abstract: "Operates GoClaw Nodes: accounts, requests, devices, tokens, events.",
        discussion: """
            Talks to PostgreSQL directly, so it works when no page can be reached. Whoever may read the \
            database's password may do everything; what is done carries the operating system account's name.

            \(ExitStatus.table)
            """,
        subcommands: [
            DeviceCommand.self
        ])
}
