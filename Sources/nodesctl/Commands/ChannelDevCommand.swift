import ArgumentParser
import FoundationEssentials
import Glibc
import PairingCore

/// `nodesctl channel dev`
struct ChannelDevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run a system of your own that has your channel, as you last saved it.",
        discussion: """
            Builds the channel in the folder (Package.swift, Makefile, Cargo.toml, or --build), checks it, installs it \
            into a system of its own and restarts that at every save. What the channel logs stands beside it. What does \
            not build or does not pass the check is not installed. Ctrl-C ends everything; the data stays in the \
            folder's .nodes for the next time.

            It needs the repository of GoClaw Nodes, which NODES names, unless this program was built there. PORT \
            (8090), STATE, DATABASE_URL, ADMIN_PASSWORD and SETTINGS are as for `make run`.
            """)

    @Argument(help: "The folder of the channel's sources.")
    var folder = "."

    @Option(help: "The command that builds it, run in the folder.")
    var build: String?

    @Option(help: "The library that the build makes, or that is built already; relative to the folder.")
    var library: String?

    @Option(help: "What create is given, in the check and by the servers: a JSON object; without it, {}.")
    var config: String?

    @Option(help: "The sender ID of an ordinary device.")
    var sender: String?

    @Option(help: "The metadata of an ordinary device: a JSON object.")
    var metadata: String?

    @Option(help: "An ordinary message of such a device: a JSON value.")
    var message: String?

    @Option(help: "An ordinary message of an agent to such a device: a JSON value.")
    var agentMessage: String?

    // It knows a --config too, of another meaning, and takes whatever has that name.
    @ParentCommand var nodesctl: Nodesctl

    private var configuration: String? { config ?? nodesctl.options.config }

    func validate() throws {
        for (name, text) in [
            ("--config", configuration), ("--metadata", metadata), ("--message", message),
            ("--agent-message", agentMessage),
        ] {
            guard let text, (try? JSONValue(parsing: text.utf8)) == nil else { continue }
            throw ValidationError("\(name) is not JSON, such as '{\"rooms\": [\"kitchen\"]}'")
        }
    }

    func run() async throws {
        try await reporting(asJSON: false) {
            let program = try Self.program()
            let repository = try Self.repository(of: program)
            let binaries = program.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            var arguments = [
                "python3", "-u", "-m", "nodes_stack.channel_dev", folder, "--binaries",
                binaries.joined(separator: "/"),
            ]
            for (name, value) in [
                ("--build", build), ("--library", library), ("--config", configuration), ("--sender", sender),
                ("--metadata", metadata), ("--message", message), ("--agent-message", agentMessage),
            ] {
                if let value { arguments.append("\(name)=\(value)") }
            }
            setenv("PYTHONPATH", repository + "/scripts", 1)
            setenv("NODES", repository, 1)
            // This thread is one of a pool's, which takes no signals; what comes in its place is to take Ctrl-C's.
            var none = sigset_t()
            sigemptyset(&none)
            pthread_sigmask(SIG_SETMASK, &none, nil)
            var pointers = arguments.map { strdup($0) } + [nil]
            execvp("python3", &pointers)
            throw CommandFailure(
                .failure,
                "python3 cannot be run: \(String(cString: strerror(errno))). Install it (apt install python3)."
            )
        }
    }

    /// This program's own path.
    private static func program() throws(CommandFailure) -> String {
        guard let path = realpath("/proc/self/exe", nil) else {
            throw CommandFailure(
                .failure, "/proc/self/exe cannot be read: \(String(cString: strerror(errno))).")
        }
        defer { free(path) }
        return String(cString: path)
    }

    /// The repository: what `NODES` names, or the one that this program was built in.
    private static func repository(of program: String) throws(CommandFailure) -> String {
        func isRepository(_ path: String) -> Bool {
            FileManager.default.fileExists(atPath: path + "/scripts/nodes_stack/channel_dev.py")
        }
        if let given = ProcessInfo.processInfo.environment["NODES"], !given.isEmpty {
            guard isRepository(given) else {
                throw CommandFailure(
                    .notFound,
                    "NODES is \(given), which has no scripts/nodes_stack/channel_dev.py: name the folder of the repository "
                        + "of GoClaw Nodes.")
            }
            return given
        }
        let parts = program.split(separator: "/", omittingEmptySubsequences: false)
        if let build = parts.lastIndex(of: ".build") {
            let folder = parts[..<build].joined(separator: "/")
            if isRepository(folder) { return folder }
        }
        throw CommandFailure(
            .notFound,
            "channel dev starts a system from the repository of GoClaw Nodes: name its folder with NODES, such as "
                + "export NODES=~/goclaw-nodes.")
    }
}
