import ArgumentParser
import PairingCore

/// `nodesctl doctor`
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look at everything an operator can get wrong, and say what to do about it.",
        discussion: """
            Looks at the configuration, the sockets, nginx's configuration and certificates, PostgreSQL, the channel \
            plugins and the limits of the running processes, and changes nothing. Run it as root, or as the \
            account of the servers: as root it looks at what is the servers' as their account.

            Exit status: 0 where nothing is wrong or there are only warnings, 1 where there are errors; with --strict \
            1 for warnings, too.
            """)

    @OptionGroup var options: OperatorOptions

    @Option(help: "nginx's configuration file.")
    var nginx = "/etc/nginx/nginx.conf"

    @Option(
        help: "The folder of PostgreSQL's data, where it is on this machine and the role may not know it.")
    var postgresData: String?

    @Flag(help: "End with 1 where there are warnings, too.")
    var strict = false

    mutating func run() async throws {
        let command = self
        try await reporting(asJSON: options.json) {
            let look = DoctorLook(
                file: command.options.file, nginx: command.nginx, postgresData: command.postgresData)
            let diagnosis = await look.diagnosis()
            try Terminal.print(command.options.json ? diagnosis.json.text : diagnosis.text)
            let status = diagnosis.status(isStrict: command.strict)
            if status != .success { throw ExitCode(status.rawValue) }
        }
    }
}
