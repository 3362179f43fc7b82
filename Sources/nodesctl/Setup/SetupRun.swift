import Cryptography
import Glibc
import PairingCore

/// Carries out a plan, a step after the other, and says each.
struct SetupRun: Sendable {
    /// Whether files of others may be replaced; what was there stays beside the new one.
    var replaces: Bool
    /// Hears what is done.
    var say: @Sendable (String) -> Void

    /// What somebody has to be told at the end.
    struct Result: Equatable, Sendable {
        /// The password that was made for the administrator's account; `nil` where the account was there already.
        var password: String?
        /// Whether everything ran within the time.
        var isHealthy = true
    }

    /// - Throws: ``CommandFailure`` of the first step that fails. What was done until then stays done, and the same
    ///   setup may be tried again.
    func callAsFunction(_ plan: SetupPlan) async throws(CommandFailure) -> Result {
        for case .file(let file) in plan.steps { try check(file) }
        var result = Result()
        for step in plan.steps {
            switch step {
            case .folder(let path, let mode): try make(folder: path, mode: mode)
            case .file(let file): try write(file)
            case .run(let command, let why):
                say("\(why): \(command.text)")
                try run(command)
            case .certificate(let look, let make): try makeCertificate(look, make)
            case .administrator(let name, let command): result.password = try create(name, command)
            case .doctor(let command): result.isHealthy = try await wait(for: command)
            }
        }
        return result
    }

    // Files.

    /// Finds what cannot be replaced before anything is done.
    private func check(_ file: SetupFile) throws(CommandFailure) {
        guard let old = contents(of: file.path), old != Array(file.text.utf8), !replaces,
            !(file.stockOf.map { isStock(file.path, of: $0) } ?? false)
        else { return }
        throw CommandFailure(
            .refused,
            "\(file.path) is there and says something else; nothing was done. Look at it, and give --replace to have it "
                + "kept as \(backup(of: file.path)) and a new one written.")
    }

    /// Whether a file is still as its package brought it.
    private func isStock(_ path: String, of package: String) -> Bool {
        // A line is said for each file that is not.
        guard let outcome = try? SystemCommand(words: ["dpkg", "--verify", package]).run() else {
            return false
        }
        return outcome.status == 0
            && !outcome.output.split(separator: "\n").contains { $0.hasSuffix(" " + path) }
    }

    private func backup(of path: String) -> String { path + ".before-setup" }

    private func make(folder: String, mode: UInt32) throws(CommandFailure) {
        guard mkdir(folder, mode) == 0 || errno == EEXIST else {
            throw Self.cannot("make the folder", folder)
        }
    }

    private func write(_ file: SetupFile) throws(CommandFailure) {
        let old = contents(of: file.path)
        if old == Array(file.text.utf8) {
            say("\(file.path) is as it should be")
        } else {
            say("write \(file.path)")
            if old != nil, rename(file.path, backup(of: file.path)) != 0 {
                throw Self.cannot("keep", file.path)
            }
        }
        let folder = file.path.split(separator: "/").dropLast().joined(separator: "/")
        try make(folder: "/" + folder, mode: 0o755)
        // Beside it first, so that nobody ever reads half of it, and readable by nobody else before it is whole.
        let new = file.path + ".new"
        let descriptor = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.cannot("write", new) }
        defer { close(descriptor) }
        guard let group = getgrnam(file.group)?.pointee.gr_gid else {
            throw CommandFailure(
                .failure, "There is no group \(file.group). Install the package goclaw-nodes, which makes it."
            )
        }
        guard writeAll(descriptor, Array(file.text.utf8)), fchown(descriptor, 0, group) == 0,
            fchmod(descriptor, file.mode) == 0, fsync(descriptor) == 0, rename(new, file.path) == 0
        else { throw Self.cannot("write", file.path) }
    }

    private static func cannot(_ what: String, _ path: String) -> CommandFailure {
        let isDenied = errno == EACCES || errno == EPERM
        return CommandFailure(
            isDenied ? .notPermitted : .failure,
            "Cannot \(what) \(path): \(String(cString: strerror(errno)))."
                + (isDenied ? " Run nodesctl setup as root." : ""))
    }

    // Commands.

    private func run(_ command: SystemCommand) throws(CommandFailure) {
        let outcome = try command.run()
        guard outcome.status == 0 else { throw Self.failure(of: command, outcome) }
    }

    private static func failure(of command: SystemCommand, _ outcome: SystemCommand.Outcome) -> CommandFailure
    {
        let said = outcome.output.isEmpty ? "It said nothing." : "It said:\n" + outcome.output
        return CommandFailure(
            .failure,
            "\(command.text) ended with \(outcome.status). \(said)\nMend that and run the same nodesctl setup again: what "
                + "is done stays done.")
    }

    private func makeCertificate(_ look: SystemCommand, _ make: SystemCommand) throws(CommandFailure) {
        // Its status is 0 in either case.
        if try look.run().output.contains("does match certificate") {
            say("the certificate stays: it is for this host")
        } else {
            say("make a certificate of our own, for now: \(make.text)")
            try run(make)
        }
    }

    private func create(_ name: String, _ command: SystemCommand) throws(CommandFailure) -> String? {
        say("make the account \(name): \(command.text)")
        guard let random = try? randomBytes(count: 18) else {
            throw CommandFailure(.failure, "The system gave no random bytes for the password.")
        }
        let password = Base64URL.encode(random)
        var command = command
        command.input = password + "\n"
        let outcome = try command.run()
        switch outcome.status {
        case 0: return password
        case ExitStatus.refused.rawValue:
            say("the account \(name) is there already; its password stays")
            return nil
        default: throw Self.failure(of: command, outcome)
        }
    }

    /// Asks the doctor each second, for a minute at most: the servers take a moment to begin.
    private func wait(for doctor: SystemCommand) async throws(CommandFailure) -> Bool {
        say("wait until nothing is wrong: \(doctor.text)")
        let end = ContinuousClock.now + .seconds(60)
        while true {
            let outcome = try doctor.run()
            let isLate = ContinuousClock.now >= end
            if outcome.status == 0 || isLate {
                // What is fine needs no reader.
                for line in outcome.output.split(separator: "\n") where !line.hasPrefix("ok:") {
                    say(String(line))
                }
                return outcome.status == 0
            }
            // What the doctor looks at (sockets, processes, the database) tells nobody when it is ready.
            do { try await Task.sleep(for: .seconds(1)) } catch { return false }
        }
    }
}
