import Foundation
import Glibc
import Testing
import Unix

@testable import FastCGI

@Suite("The unix socket")
struct UnixListenerTests {
    @Test(
        "Its mode is the one asked for, whatever the umask says",
        arguments: [0o660, 0o600, 0o666] as [UInt32])
    func mode(mode: UInt32) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/s"
        let listener = try UnixListener(ListeningSocket(path: path, mode: mode, backlog: 8))
        defer { listener.stop() }
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == mode)
        #expect(status.st_mode & S_IFMT == S_IFSOCK)
    }

    @Test("A second server on one path is refused and the first goes on")
    func twoServers() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/s"
        let first = try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 8))
        #expect(throws: ListeningSocketError.inUse(path)) {
            try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 8))
        }
        let client = try ClientSocket(unix: path)
        let accepted = try #require(first.accept()).get()
        close(accepted)
        withExtendedLifetime(client) {}
    }

    @Test("A live server whose backlog is full is not taken for a dead one")
    func fullBacklog() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/s"
        let first = try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 0))
        let client = try ClientSocket(unix: path)
        #expect(throws: ListeningSocketError.inUse(path)) {
            try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 8))
        }
        withExtendedLifetime((first, client)) {}
    }

    @Test("The socket of a dead process is replaced")
    func stale() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/s"
        try leaveStaleSocket(path)
        let listener = try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 8))
        let client = try ClientSocket(unix: path)
        close(try #require(listener.accept()).get())
        withExtendedLifetime(client) {}
    }

    @Test("Of many servers that find the same stale socket exactly one replaces it")
    func race() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/s"
        try leaveStaleSocket(path)
        let listeners = await withTaskGroup(of: UnixListener?.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    try? await onThread {
                        try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 64))
                    }
                }
            }
            return await group.reduce(into: [UnixListener]()) { if let listener = $1 { $0.append(listener) } }
        }
        #expect(listeners.count == 1)
        let client = try ClientSocket(unix: path)
        withExtendedLifetime(client) {}
    }

    @Test("A regular file at the path is refused and left unharmed")
    func regularFile() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/s"
        try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        #expect(throws: ListeningSocketError.notASocket(path)) {
            try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 8))
        }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }

    @Test("A link at the path is refused, whatever it points to")
    func link() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try leaveStaleSocket(folder.path + "/stale")
        #expect(symlink(folder.path + "/stale", folder.path + "/s") == 0)
        #expect(throws: ListeningSocketError.notASocket(folder.path + "/s")) {
            try UnixListener(ListeningSocket(path: folder.path + "/s", mode: 0o660, backlog: 8))
        }
    }

    @Test("A path of 107 bytes is accepted; one of 108, an empty one and one with a NUL are refused")
    func pathLength() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let longest = folder.path + "/" + String(repeating: "s", count: 107 - folder.path.utf8.count - 1)
        try UnixListener(ListeningSocket(path: longest, mode: 0o660, backlog: 8)).stop()
        for path in [longest + "s", "", folder.path + "/a\0b"] {
            #expect(throws: ListeningSocketError.badPath(path)) {
                try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 8))
            }
        }
    }

    @Test("A folder that does not exist is named in the error")
    func missingFolder() {
        let error = #expect(throws: ListeningSocketError.self) {
            try UnixListener(ListeningSocket(path: "/nonexistent/folder/s", mode: 0o660, backlog: 8))
        }
        #expect(
            error?.description
                == "cannot open the folder of /nonexistent/folder/s: No such file or directory; make its folder, writable "
                + "by this account, or choose another path"
        )
    }

    @Test("Stopping removes the socket, refuses connections and ends every accept")
    func stop() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/s"
        let listener = try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 8))
        let ended = Gate()
        let waiting = Task {
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<8 {
                    group.addTask { (try? await onThread { listener.accept() == nil }) ?? false }
                }
                let results = await group.reduce(into: []) { $0.append($1) }
                await ended.open()
                return results
            }
        }
        listener.stop()
        await ended.wait()
        #expect(await waiting.value == Array(repeating: true, count: 8))
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(throws: POSIXError.self) { try ClientSocket(unix: path) }
    }

    @Test("Connections that wait when the server stops are still returned")
    func waitingConnections() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let listener = try UnixListener(ListeningSocket(path: folder.path + "/s", mode: 0o660, backlog: 8))
        let clients = try (0..<3).map { _ in try ClientSocket(unix: folder.path + "/s") }
        listener.stop()
        for _ in clients { close(try #require(listener.accept()).get()) }
        #expect(listener.accept() == nil)
    }

    @Test("Stopping leaves a socket that another server has put at the path meanwhile")
    func replaced() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/s"
        let first = try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 8))
        unlink(path)
        let second = try UnixListener(ListeningSocket(path: path, mode: 0o660, backlog: 8))
        first.stop()
        let client = try ClientSocket(unix: path)
        withExtendedLifetime((second, client)) {}
    }

    private func leaveStaleSocket(_ path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(result == 0 && listen(descriptor, 1) == 0)
        close(descriptor)
    }
}
