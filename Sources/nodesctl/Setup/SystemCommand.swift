import Glibc

/// A program of the system, run to its end: `psql`, `nginx`, `systemctl`.
struct SystemCommand: Equatable, Sendable {
    /// The program, found by `PATH`, and its arguments.
    var words: [String]
    /// What it reads on standard input.
    var input = ""
    /// What is set in its environment beside this program's own.
    var environment: [String: String] = [:]

    /// How it ended.
    struct Outcome: Equatable, Sendable {
        /// Its exit status; 128 and the signal's number where a signal ended it.
        var status: Int32
        /// What it wrote, to standard output and error alike.
        var output: String
    }

    /// The command as a person would type it, what goes in on standard input left out.
    var text: String {
        words.map { word in
            let isPlain = word.utf8.allSatisfy {
                $0 >= 0x2B && $0 <= 0x3A || $0 == 0x3D || $0 >= 0x40 && $0 <= 0x5A || $0 == 0x5F
                    || $0 >= 0x61 && $0 <= 0x7A
            }
            return isPlain && !word.isEmpty
                ? word
                : "'"
                    + word.split(separator: "'", omittingEmptySubsequences: false)
                    .joined(separator: "'\\''") + "'"
        }
        .joined(separator: " ")
    }

    /// Runs it and waits for its end, on the caller's thread.
    ///
    /// - Throws: ``CommandFailure`` where it cannot be started; the sentence names the program.
    func run() throws(CommandFailure) -> Outcome {
        // Files, not pipes: whatever is written and whoever reads it when, nobody waits for the other.
        let stdin = Self.nameless()
        let stdout = Self.nameless()
        defer {
            close(stdin)
            close(stdout)
        }
        guard stdin >= 0, stdout >= 0, writeAll(stdin, Array(input.utf8)), lseek(stdin, 0, SEEK_SET) == 0
        else {
            throw CommandFailure(
                .failure,
                "No file in /tmp for what \(words[0]) reads and writes: \(String(cString: strerror(errno))).")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, stdin, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, stdout, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, stdout, STDERR_FILENO)
        let arguments = words.map { strdup($0) }
        var inherited: [String] = []
        var next = environ
        while let entry = next.pointee {
            inherited.append(String(cString: entry))
            next += 1
        }
        let variables =
            (inherited.filter { line in !environment.keys.contains { line.hasPrefix($0 + "=") } }
            + environment.map { "\($0.key)=\($0.value)" })
            .map { strdup($0) }
        defer { (arguments + variables).forEach { free($0) } }
        var pid: pid_t = 0
        let failure = posix_spawnp(&pid, words[0], &actions, nil, arguments + [nil], variables + [nil])
        guard failure == 0 else {
            throw CommandFailure(
                .failure,
                "\(words[0]) cannot be run: \(String(cString: strerror(failure))). Install the package that has it."
            )
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return Outcome(
            status: signal == 0 ? (status >> 8) & 0xFF : 128 + signal, output: Self.contents(of: stdout))
    }

    /// A file that only this program and what it starts can reach; negative where there is none to be had.
    private static func nameless() -> Int32 {
        // Made anew with a name that nobody can guess, mode 0600, and nameless at once.
        var path = Array("/tmp/nodesctl-XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        guard descriptor >= 0 else { return -1 }
        unlink(path)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return descriptor
    }

    private static func contents(of descriptor: Int32) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < 1 << 20 {
            let count = pread(descriptor, &chunk, chunk.count, off_t(bytes.count))
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
