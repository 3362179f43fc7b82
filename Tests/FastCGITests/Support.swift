import Dispatch
import FastCGI
import Foundation
import Glibc
import Logging
import ServiceLifecycle
import Testing

/// A folder with a short path.
struct TemporaryFolder {
    let path: String

    init() throws {
        path = "/tmp/fastcgi-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Runs a server until `body` returns, shuts it down gracefully and waits for it to end.
func withServer<Result>(
    configuration: FastCGIServer.Configuration = .init(),
    handler: @escaping @Sendable (FastCGIRequest) async -> FastCGIResponse = echo,
    _ body: (_ path: String) async throws -> Result
) async throws -> Result {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = folder.path + "/kernel.sock"
    let server = try FastCGIServer(path: path, configuration: configuration, logger: quiet, handler: handler)
    let group = ServiceGroup(services: [server], logger: quiet)
    async let ended: Void = group.run()
    do {
        let result = try await body(path)
        await group.triggerGracefulShutdown()
        try await ended
        return result
    } catch {
        await group.triggerGracefulShutdown()
        throw error
    }
}

/// Answers with what the server understood of the request.
@Sendable func echo(_ request: FastCGIRequest) async -> FastCGIResponse {
    FastCGIResponse(
        status: 200, headers: [("Content-Type", "text/plain"), ("X-Method", request.method)],
        body: Array("\(request.path)?\(request.query) \(request.remoteAddress) ".utf8) + request.body)
}

/// FastCGI records as a web server writes them.
enum Records {
    static func record(_ type: UInt8, _ content: [UInt8], id: UInt16 = 1, padding: UInt8 = 0) -> [UInt8] {
        [
            1, type, UInt8(id >> 8), UInt8(id & 255), UInt8(content.count >> 8), UInt8(content.count & 255),
            padding, 0,
        ] + content + Array(repeating: 0, count: Int(padding))
    }

    static func begin(role: UInt8 = 1, id: UInt16 = 1) -> [UInt8] {
        record(1, [0, role, 0, 0, 0, 0, 0, 0], id: id)
    }

    static func length(_ count: Int) -> [UInt8] {
        count < 128
            ? [UInt8(count)]
            : [
                UInt8(count >> 24) | 0x80, UInt8(count >> 16 & 255), UInt8(count >> 8 & 255),
                UInt8(count & 255),
            ]
    }

    static func pairs(_ parameters: [(String, String)]) -> [UInt8] {
        parameters.flatMap { name, value in
            length(name.utf8.count) + length(value.utf8.count) + Array(name.utf8) + Array(value.utf8)
        }
    }

    static func parameters(_ parameters: [(String, String)]) -> [UInt8] {
        record(4, pairs(parameters)) + record(4, [])
    }

    static func request(
        method: String = "GET", path: String = "/nodes", more: [(String, String)] = [], body: String = ""
    ) -> [UInt8] {
        begin()
            + parameters(
                [
                    ("REQUEST_METHOD", method), ("SCRIPT_NAME", path), ("REMOTE_ADDR", "192.0.2.1"),
                    ("CONTENT_LENGTH", body.isEmpty ? "" : "\(body.utf8.count)"),
                ] + more)
            + (body.isEmpty ? [] : record(5, Array(body.utf8), padding: 3)) + record(5, [])
    }
}

struct Timeout: Error {}

/// A blocking client socket; every read and write is bounded by a minute.
final class ClientSocket: Sendable {
    let descriptor: Int32

    init(unix path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        try connect(&address)
    }

    init(port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        try connect(&address)
    }

    deinit { close(descriptor) }

    private func connect<Address>(_ address: inout Address) throws {
        var timeout = timeval(tv_sec: 60, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
        guard result == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }

    /// Sends as much as the peer takes.
    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// What arrives next; nothing when the peer closed. Throws after a minute of silence.
    func receiveSome() async throws -> [UInt8] {
        try await onThread {
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            let count = read(self.descriptor, &buffer, buffer.count)
            if count < 0 && errno == EAGAIN { throw Timeout() }
            return Array(buffer.prefix(max(0, count)))
        }
    }

    /// Everything until the peer closes. Throws after a minute of silence.
    func receiveAll() async throws -> [UInt8] {
        try await onThread {
            var all: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                let count = read(self.descriptor, &buffer, buffer.count)
                if count > 0 {
                    all += buffer[..<count]
                } else if count < 0 && errno == EAGAIN {
                    throw Timeout()
                } else {
                    return all
                }
            }
        }
    }
}

/// Runs blocking code on a thread of its own.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue(label: "test").async { continuation.resume(with: Swift.Result(catching: body)) }
    }
}

/// Sends bytes to a FastCGI server and returns what it writes as FCGI_STDOUT until it closes.
func exchange(_ path: String, _ bytes: [UInt8]) async throws -> String {
    let client = try ClientSocket(unix: path)
    client.send(bytes)
    return standardOutput(try await client.receiveAll())
}

func standardOutput(_ bytes: [UInt8]) -> String {
    var rest = bytes[...]
    var output: [UInt8] = []
    while rest.count >= 8 {
        let header = Array(rest.prefix(8))
        let content = Int(header[4]) << 8 | Int(header[5])
        if header[1] == 6 { output += rest.dropFirst(8).prefix(content) }
        rest = rest.dropFirst(8 + content + Int(header[6]))
    }
    return String(decoding: output, as: UTF8.self)
}

/// An event that a test waits for.
actor Gate {
    private var isOpen = false
    private var waiters: [CheckedContinuation<Void, Never>] = []

    func open() {
        isOpen = true
        for waiter in waiters { waiter.resume() }
        waiters = []
    }

    func wait() async {
        if isOpen { return }
        await withCheckedContinuation { waiters.append($0) }
    }
}
