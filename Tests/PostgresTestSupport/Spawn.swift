import Foundation
import Synchronization

/// Starting programs with `posix_spawn`. Foundation's `Process` gives each program a descriptor by which it notices
/// the end, and a server that goes on in the background keeps that open for ever.
enum Spawn {
    /// A descriptor is made and marked close-on-exec in two steps; no program may start in between.
    private static let lock = Mutex(())

    /// Runs a program to its end, blocking, and answers with what it printed.
    ///
    /// - Throws: `Failure` with its output if it fails.
    static func run(_ line: [String]) throws -> String {
        let (pid, output) = try lock.withLock { _ in
            // Has no name any more as soon as it's open, so that nothing stays behind.
            var name = Array("/tmp/gcpg-out-XXXXXX".utf8CString)
            let output = mkstemp(&name)
            guard output >= 0 else { throw Failure("mkstemp: errno \(errno)") }
            unlink(name)
            _ = fcntl(output, F_SETFD, FD_CLOEXEC)
            let pid = try start(line) { actions in
                posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
                posix_spawn_file_actions_adddup2(&actions, output, 1)
                posix_spawn_file_actions_adddup2(&actions, output, 2)
            }
            return (pid, FileHandle(fileDescriptor: output, closeOnDealloc: true))
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { throw Failure("waitpid: errno \(errno)") }
        }
        try output.seek(toOffset: 0)
        let text = String(decoding: try output.readToEnd() ?? Data(), as: UTF8.self)
        guard status == 0 else { throw Failure("\(line.joined(separator: " ")): \(text)") }
        return text
    }

    /// Cleans up after this process, however it ends: starts a shell that waits for the end of a pipe whose other
    /// end only this process has.
    ///
    /// - Parameter script: what to do then.
    static func atEnd(_ script: String) throws {
        try lock.withLock { _ in
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw Failure("pipe: errno \(errno)") }
            // The writing end stays open until the process ends, and no program inherits it.
            _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
            // In a session of its own, so that Ctrl-C doesn't reach it.
            let shell = "trap '' HUP INT TERM; cd /; cat >/dev/null; \(script)"
            _ = try start(["/usr/bin/setsid", "/bin/sh", "-c", shell]) { actions in
                posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
                posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
                posix_spawn_file_actions_adddup2(&actions, 1, 2)
            }
            close(ends[0])
        }
    }

    private static func start(
        _ line: [String], _ redirect: (inout posix_spawn_file_actions_t) -> Void
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        redirect(&actions)
        // What this process has open is not for programs: a server that inherited the writing end of somebody's pipe
        // would keep its reader waiting for as long as it runs.
        try closeFrom3(&actions)
        let arguments = line.map { strdup($0) }
        let environment = ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") }
        defer { (arguments + environment).forEach { free($0) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, line[0], &actions, nil, arguments + [nil], environment + [nil])
        guard result == 0 else { throw Failure("can't start \(line[0]): errno \(result)") }
        return pid
    }

    /// `posix_spawn_file_actions_addclosefrom_np` of glibc 2.34, which Swift does not import.
    private static func closeFrom3(_ actions: inout posix_spawn_file_actions_t) throws {
        typealias Function = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        let name = "posix_spawn_file_actions_addclosefrom_np"
        guard let symbol = dlsym(nil, name) else { throw Failure("no \(name): glibc 2.34 is needed") }
        guard unsafeBitCast(symbol, to: Function.self)(&actions, 3) == 0 else { throw Failure(name) }
    }

    /// Why a program or a cluster didn't start.
    struct Failure: Error, CustomStringConvertible {
        let description: String

        init(_ description: String) { self.description = description }
    }
}
