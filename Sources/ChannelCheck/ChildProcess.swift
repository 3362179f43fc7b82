import FoundationEssentials
import Glibc

/// A running child, seen from the parent.
final class ChildProcess {
    /// How the child came to its end.
    enum Ending: Equatable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    /// What has come from the child.
    enum Event {
        case message(CheckMessage)
        /// A line that is no message: the plugin wrote to a descriptor that is not its own.
        case garbage
        /// Nothing came in that time.
        case silence
        /// The child wrote all that it will.
        case end
    }

    private enum Source: CaseIterable { case results, output, errors }

    /// More of what the plugin prints is thrown away.
    private static let maximumPrinted = 4096

    let pid: pid_t
    /// What the plugin wrote to standard output and error, from the beginning.
    private(set) var output: [UInt8] = []
    /// The end of what the plugin wrote to standard error.
    private(set) var errors: [UInt8] = []
    private var line: [UInt8] = []
    private var pending: [CheckMessage?] = []
    private var descriptors: [Int32]
    private let lifeline: Int32

    /// Starts the program.
    ///
    /// - Parameter sanitizer: AddressSanitizer's runtime, to be loaded before everything else.
    /// - Throws: a sentence, where the system cannot.
    init(program: [String], plan: CheckPlan, sanitizer: String? = nil) throws(CannotStart) {
        // A socket takes MSG_NOSIGNAL, so that a child that died does not end its parent.
        var ends: [[Int32]] = []
        for _ in 0..<4 {
            var pair: [Int32] = [-1, -1]
            let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
            guard socketpair(AF_UNIX, kind, 0, &pair) == 0 else {
                throw CannotStart("no socket: \(systemError())")
            }
            ends.append(pair)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[3][1], STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, ends[1][1], STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, ends[2][1], STDERR_FILENO)
        posix_spawn_file_actions_adddup2(&actions, ends[0][1], CheckChild.resultDescriptor)
        // The runtime's own report of a crash would take seconds and come too late.
        var environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
        if let sanitizer {
            environment["LD_PRELOAD"] = sanitizer
            // What is found ends the process with a signal, as every other fault does.
            environment["ASAN_OPTIONS"] =
                "detect_leaks=0:abort_on_error=1:" + (environment["ASAN_OPTIONS"] ?? "")
            environment["UBSAN_OPTIONS"] =
                "halt_on_error=1:abort_on_error=1:" + (environment["UBSAN_OPTIONS"] ?? "")
        }
        let arguments = program.map { strdup($0) }
        let variables = environment.map { strdup("\($0.key)=\($0.value)") }
        defer { (arguments + variables).forEach { free($0) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, program[0], &actions, nil, arguments + [nil], variables + [nil])
        for pair in ends { close(pair[1]) }
        self.pid = pid
        descriptors = ends[..<3].map { $0[0] }
        lifeline = ends[3][0]
        // A plan has a JSON form: it is made of strings and numbers.
        let text = (try? JSONEncoder().encode(plan)).map { Array($0) + [UInt8(ascii: "\n")] } ?? []
        guard failure == 0 else { throw CannotStart("\(program[0]): \(systemError(failure))") }
        var sent = 0
        while sent < text.count {
            let count = text.withUnsafeBytes {
                send(lifeline, $0.baseAddress.map { $0 + sent }, text.count - sent, Int32(MSG_NOSIGNAL))
            }
            // A child that is gone already is seen soon.
            guard count > 0 else { break }
            sent += count
        }
    }

    deinit {
        for descriptor in descriptors where descriptor >= 0 { close(descriptor) }
        close(lifeline)
    }

    /// Waits for the next event, at most that many milliseconds.
    func next(within limit: Int) -> Event {
        let end = monotonicNanoseconds() + UInt64(max(0, limit)) * 1_000_000
        while true {
            if !pending.isEmpty { return pending.removeFirst().map { .message($0) } ?? .garbage }
            if descriptors[0] < 0 { return .end }
            let now = monotonicNanoseconds()
            guard now < end else { return .silence }
            var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            _ = poll(&polled, nfds_t(polled.count), Int32(min(1000, (end - now) / 1_000_000 + 1)))
            for index in polled.indices where polled[index].revents != 0 { take(from: index) }
        }
    }

    private func take(from index: Int) {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = read(descriptors[index], &chunk, chunk.count)
        guard count > 0 else {
            if count < 0, errno == EINTR { return }
            close(descriptors[index])
            descriptors[index] = -1
            return
        }
        let bytes = chunk[..<count]
        switch Source.allCases[index] {
        case .results:
            line += bytes
            guard let last = line.lastIndex(of: UInt8(ascii: "\n")) else { break }
            let lines = line[..<last].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            for message in lines.map(Self.message) {
                // However much of it there is, garbage is said once.
                let isMoreGarbage = message == nil && pending.last.map { $0 == nil } == true
                if !isMoreGarbage { pending.append(message) }
            }
            line.removeSubrange(...last)
            // No message is as long as this.
            if line.count > 1 << 20 { line = [] }
        case .output:
            output += bytes.prefix(Self.maximumPrinted - output.count)
        case .errors:
            output += bytes.prefix(Self.maximumPrinted - output.count)
            errors = (errors + bytes).suffix(4 * Self.maximumPrinted)
        }
    }

    /// - Returns: `nil` where a line is no message.
    private static func message(_ line: ArraySlice<UInt8>) -> CheckMessage? {
        guard line.first == UInt8(ascii: "{") else { return nil }
        return try? JSONDecoder().decode(CheckMessage.self, from: Data(line))
    }

    /// Takes what the child printed before it ended.
    private func takeRest() {
        for index in [1, 2] {
            while descriptors[index] >= 0 {
                var polled = pollfd(fd: descriptors[index], events: Int16(POLLIN), revents: 0)
                guard poll(&polled, 1, 0) > 0 else { break }
                take(from: index)
            }
        }
    }

    /// Waits for the child's end; kills it where that does not come in that many milliseconds.
    func finish(within limit: Int) -> Ending {
        let end = monotonicNanoseconds() + UInt64(max(0, limit)) * 1_000_000
        var status: Int32 = 0
        // Looked at again and again: `waitpid` has no time limit, and the child's end closes nothing that a process
        // left by it may not hold open.
        while true {
            let ended = waitpid(pid, &status, WNOHANG)
            if ended == pid || (ended < 0 && errno != EINTR) { break }
            if monotonicNanoseconds() >= end { kill(pid, SIGKILL) }
            usleep(1000)
        }
        takeRest()
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal)
    }
}

/// Why no child could be started.
struct CannotStart: Error {
    var why: String

    init(_ why: String) { self.why = why }
}
