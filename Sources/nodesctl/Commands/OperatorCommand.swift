import ArgumentParser
import Glibc
import Logging
import NodesConfiguration
import NodesProcess
import PairingCore
import PairingKernel
import PairingStore
import Postgres

/// How every command prints.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON; times are milliseconds since the epoch.")
    var json = false
}

/// What every operator's command takes.
struct OperatorOptions: ParsableArguments {
    @OptionGroup var output: OutputOptions

    @Option(
        help: "The configuration file; without it, NODES_CONFIG names it, or the environment alone decides.")
    var config: String?

    /// Whether to print JSON.
    var json: Bool { output.json }

    /// The configuration file, if there is one.
    var file: String? { config ?? environment("NODES_CONFIG") }

    private func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// A command over the database: the use cases of the kernel, as the operating system's account.
protocol OperatorCommand: AsyncParsableCommand {
    var options: OperatorOptions { get }
    /// Whether the command runs before the schema is up to date.
    static var acceptsOldSchema: Bool { get }
    /// Whether the command works with secrets that are kept under the key in `session.key_file`.
    static var readsKey: Bool { get }
    func run(at desk: Desk) async throws
}

/// What a command works with.
struct Desk: Sendable {
    let process: NodesProcess
    /// The right of whoever can read the database's password.
    let authority: Authority
    let json: Bool

    var kernel: Kernel { process.kernel }
    var administration: PairingAdministration { process.kernel.administration }
    var accounts: Accounts { process.kernel.accounts }

    /// Prints a result: as JSON, or as text for a person.
    func print(_ value: JSONValue, _ text: @autoclosure () -> String) throws(CommandFailure) {
        try Terminal.print(json ? value.text : text())
    }
}

extension OperatorCommand {
    static var acceptsOldSchema: Bool { false }
    static var readsKey: Bool { false }

    mutating func run() async throws {
        let command = self
        try await reporting(asJSON: options.json) {
            let process = try await NodesProcess(
                program: "nodesctl", file: command.options.file, for: .command, loadsChannels: false,
                readsKey: Self.readsKey, logLevel: .warning)
            let desk = Desk(
                process: process,
                authority: process.kernel.accounts.commandLineAuthority(account: operatingSystemAccount()),
                json: command.options.json)
            let result: Result<Void, any Error>
            do {
                try await SessionCheck.verify(process.database)
                if !Self.acceptsOldSchema { try await desk.checkSchema() }
                result = .success(try await command.run(at: desk))
            } catch {
                result = .failure(error)
            }
            await process.pool.close()
            try result.get()
        }
    }
}

extension Desk {
    /// - Throws: ``CommandFailure`` where the schema is not the one this program works with.
    fileprivate func checkSchema() async throws {
        let status = try await MigrationRunner(migrations: Schema.migrations).status(process.pool)
        guard status.pending.isEmpty else {
            throw CommandFailure(
                .refused, "The database's schema is older than this program. Run nodesctl migrate first.")
        }
    }
}

/// The name of the account this process runs as, or its number.
func operatingSystemAccount() -> String {
    var record = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 16384)
    guard getpwuid_r(getuid(), &record, &buffer, buffer.count, &found) == 0, found != nil,
        let name = record.pw_name
    else { return "uid \(getuid())" }
    return String(cString: name)
}
