import Foundation

/// PostgreSQL's programs on this machine.
struct Programs: Sendable {
    /// The folder they are in.
    let folder: String
    /// PostgreSQL refuses to run as root; then its programs run as this account.
    let account: String?

    /// `GOCLAW_TEST_PGBIN`, or else the newest of Debian's.
    static func find() throws -> Programs {
        let account = getuid() == 0 ? try unprivilegedAccount() : nil
        if let folder = ProcessInfo.processInfo.environment["GOCLAW_TEST_PGBIN"] {
            return Programs(folder: folder, account: account)
        }
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        guard let newest = versions.compactMap(Int.init).max() else {
            throw Spawn.Failure("no PostgreSQL in \(root): install it or set GOCLAW_TEST_PGBIN")
        }
        return Programs(folder: "\(root)/\(newest)/bin", account: account)
    }

    private static func unprivilegedAccount() throws -> String {
        guard let account = (["postgres", "nobody"] as [String]).first(where: { getpwnam($0) != nil }) else {
            throw Spawn.Failure("root needs an account to run PostgreSQL as: postgres or nobody")
        }
        return account
    }

    /// A command line for one of PostgreSQL's programs, or another by its path, by way of `setpriv` where another account is needed.
    func commandLine(_ program: String, _ arguments: [String]) -> [String] {
        let command = [program.hasPrefix("/") ? program : "\(folder)/\(program)"] + arguments
        guard let account else { return command }
        return ["/usr/bin/setpriv", "--reuid", account, "--regid", account, "--clear-groups"] + command
    }

    /// Runs a program to its end and answers with what it printed.
    ///
    /// - Throws: `Spawn.Failure` with its output if it fails.
    @discardableResult
    func run(_ program: String, _ arguments: [String]) async throws -> String {
        let line = commandLine(program, arguments)
        return try await withCheckedThrowingContinuation { continuation in
            // A thread that may block, unlike the ones that tasks run on.
            DispatchQueue.global().async {
                continuation.resume(with: Result { try Spawn.run(line) })
            }
        }
    }
}
