import Glibc

/// A place in a library's code, as binutils' `addr2line` knows it.
struct SourceLine {
    /// `in receive at parrot.c:57`, or how far from the library's start where that is not known.
    let text: String
    /// How to learn more; empty where the line is known.
    let advice: String

    /// - Parameter place: in bytes from the library's start.
    init(at place: UInt, in library: String) {
        let address = "0x" + String(place, radix: 16)
        let answer = Self.output(of: ["addr2line", "-f", "-C", "-e", library, address])
        let lines = answer.split(separator: "\n").map(String.init)
        guard lines.count == 2, !lines[1].hasPrefix("??"), !lines[1].hasSuffix(":?") else {
            let function = lines.first.flatMap { $0 == "??" ? nil : " in \($0)" } ?? ""
            text = "at \(address)\(function)"
            advice =
                answer.isEmpty
                ? " The line is told where binutils (addr2line) is installed and the library is built with -g."
                : " Build it with -g to be told the line."
            return
        }
        // A line may say `(discriminator 2)` at its end.
        text = "in \(lines[0]) at \(lines[1].prefix { $0 != " " })"
        advice = ""
    }

    /// What a program writes to standard output; empty where it cannot be run.
    private static func output(of command: [String]) -> String {
        var ends: [Int32] = [-1, -1]
        // A socket, because its kind can be told to end with this program.
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            return ""
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        let arguments = command.map { strdup($0) }
        defer { arguments.forEach { free($0) } }
        var pid: pid_t = 0
        let failure = posix_spawnp(&pid, command[0], &actions, nil, arguments + [nil], environ)
        close(ends[1])
        defer { close(ends[0]) }
        guard failure == 0 else { return "" }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(ends[0], &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0, bytes.count < 1 << 16 else { break }
            bytes += chunk[..<count]
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return String(decoding: bytes, as: UTF8.self)
    }
}
