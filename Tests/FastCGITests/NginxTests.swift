import Foundation
import Glibc
import Testing

@testable import FastCGI

/// nginx in front of the server, on a loopback port of its own.
final class Nginx: Sendable {
    let port: UInt16
    private let process: Process

    init(folder: String, socket: String, keepsConnections: Bool) throws {
        port = try Self.freePort()
        let configuration = """
            daemon off;
            worker_processes 2;
            pid \(folder)/nginx.pid;
            error_log stderr crit;
            \(geteuid() == 0 ? "user root root;" : "")
            events { worker_connections 512; }
            http {
                access_log off;
                client_body_temp_path \(folder)/body;
                proxy_temp_path \(folder)/proxy;
                fastcgi_temp_path \(folder)/fastcgi;
                uwsgi_temp_path \(folder)/uwsgi;
                scgi_temp_path \(folder)/scgi;
                client_max_body_size 4m;
                upstream kernel { server unix:\(socket) max_fails=0; \(keepsConnections ? "keepalive 16;" : "") }
                server {
                    listen 127.0.0.1:\(port) backlog=1024;
                    location / {
                        include /etc/nginx/fastcgi_params;
                        fastcgi_pass kernel;
                        \(keepsConnections ? "fastcgi_keep_conn on;" : "")
                    }
                    location /unbuffered {
                        include /etc/nginx/fastcgi_params;
                        fastcgi_pass kernel;
                        fastcgi_request_buffering off;
                    }
                }
            }
            """
        try Data(configuration.utf8).write(to: URL(fileURLWithPath: folder + "/nginx.conf"))
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/sbin/nginx")
        process.arguments = ["-e", "stderr", "-p", folder, "-c", folder + "/nginx.conf"]
        try process.run()
    }

    /// Waits until the port answers.
    func start() async throws {
        for _ in 0..<3000 {
            if (try? ClientSocket(port: port)) != nil { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw Timeout()
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }

    /// Sends a request and returns the whole answer.
    func request(_ text: String, body: [UInt8] = []) async throws -> String {
        let client = try ClientSocket(port: port)
        async let sent: Void = onThread { client.send(Array(text.utf8) + body) }
        let answer = try await client.receiveAll()
        try await sent
        return String(decoding: answer, as: UTF8.self)
    }

    func get(_ path: String, method: String = "GET") async throws -> String {
        try await request("\(method) \(path) HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
    }

    func post(_ path: String, body: [UInt8]) async throws -> String {
        try await request(
            "POST \(path) HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: \(body.count)\r\n\r\n",
            body: body)
    }

    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        try #require(result == 0)
        return UInt16(bigEndian: address.sin_port)
    }
}

@Suite("Behind nginx", .serialized)
struct NginxTests {
    private func withNginx(
        configuration: FastCGIServer.Configuration = .init(), keepsConnections: Bool = false,
        handler: @escaping @Sendable (FastCGIRequest) async -> FastCGIResponse = echo,
        _ body: (Nginx) async throws -> Void
    ) async throws {
        try await withServer(configuration: configuration, handler: handler) { socket in
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let nginx = try Nginx(folder: folder.path, socket: socket, keepsConnections: keepsConnections)
            defer { nginx.stop() }
            try await nginx.start()
            try await body(nginx)
        }
    }

    @Test("Pages are served, with and without fastcgi_keep_conn", arguments: [false, true])
    func pages(keepsConnections: Bool) async throws {
        try await withNginx(keepsConnections: keepsConnections) { nginx in
            for _ in 0..<20 {
                let answer = try await nginx.get("/nodes/../nodes/a%20b?q=%20")
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(answer.hasSuffix("\r\n\r\n/nodes/a b?q=%20 127.0.0.1 "))
                #expect(answer.contains("\r\nContent-Length: "))
            }
            // nginx does not repeat a POST on a kept connection that ends at that moment: one more reason why
            // the configurations here keep none.
            if keepsConnections { return }
            let posted = try await nginx.post("/nodes", body: Array("name=value".utf8))
            #expect(posted.hasSuffix(" name=value"))
        }
    }

    @Test("HEAD is answered with the header of GET and no body")
    func head() async throws {
        try await withNginx { nginx in
            let answer = try await nginx.get("/nodes", method: "HEAD")
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("X-Method: HEAD"))
            #expect(answer.hasSuffix("\r\n\r\n"))
        }
    }

    @Test("A header sent twice reaches the handler joined")
    func duplicateHeader() async throws {
        let handler: @Sendable (FastCGIRequest) async -> FastCGIResponse = { request in
            FastCGIResponse(status: 200, body: Array((request.header("Origin") ?? "none").utf8))
        }
        try await withNginx(handler: handler) { nginx in
            let answer = try await nginx.request(
                "GET / HTTP/1.1\r\nHost: a.example\r\nOrigin: https://a\r\nOrigin: https://b\r\n"
                    + "Connection: close\r\n\r\n")
            #expect(answer.hasSuffix("\r\n\r\nhttps://a, https://b"))
        }
    }

    @Test(
        "A burst of 64 readers is answered without an error, with and without fastcgi_keep_conn",
        arguments: [false, true])
    func burst(keepsConnections: Bool) async throws {
        let handler: @Sendable (FastCGIRequest) async -> FastCGIResponse = { request in
            try? await Task.sleep(for: .milliseconds(20))
            return FastCGIResponse(status: 200, body: Array(repeating: 1, count: 50_000))
        }
        try await withNginx(keepsConnections: keepsConnections, handler: handler) { nginx in
            let statuses = try await withThrowingTaskGroup(of: [Substring].self) { group in
                for _ in 0..<64 {
                    group.addTask {
                        var statuses: [Substring] = []
                        for _ in 0..<10 { statuses.append(try await nginx.get("/nodes").prefix(12)) }
                        return statuses
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(statuses.count == 640)
            #expect(Set(statuses) == ["HTTP/1.1 200"])
        }
    }

    @Test("More readers than threads wait their turn")
    func fewThreads() async throws {
        var configuration = FastCGIServer.Configuration()
        configuration.threads = 2
        try await withNginx(configuration: configuration) { nginx in
            let statuses = try await withThrowingTaskGroup(of: Substring.self) { group in
                for _ in 0..<200 { group.addTask { try await nginx.get("/nodes").prefix(12) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(statuses) == ["HTTP/1.1 200"])
        }
    }

    @Test("A body over the limit is answered with 413", arguments: [65_537, 300_000, 3_000_000])
    func oversized(count: Int) async throws {
        try await withNginx { nginx in
            for path in ["/nodes", "/unbuffered"] {
                let answer = try await nginx.post(path, body: Array(repeating: 1, count: count))
                #expect(answer.hasPrefix("HTTP/1.1 413"), "\(path)")
            }
            #expect(
                try await nginx.post("/nodes", body: Array(repeating: 1, count: 65_536)).hasPrefix(
                    "HTTP/1.1 200"))
        }
    }

    @Test("A client that sends its body slowly, or goes away in the middle, holds no thread")
    func slowClients() async throws {
        var configuration = FastCGIServer.Configuration()
        configuration.threads = 1
        try await withNginx(configuration: configuration) { nginx in
            let slow = try ClientSocket(port: nginx.port)
            slow.send(
                Array(
                    "POST /nodes HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhel"
                        .utf8))
            for _ in 0..<5 {
                let gone = try ClientSocket(port: nginx.port)
                gone.send(
                    Array("POST /unbuffered HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhel".utf8)
                )
            }
            #expect(try await nginx.get("/nodes").hasPrefix("HTTP/1.1 200"))
            slow.send(Array("lo".utf8))
            #expect(String(decoding: try await slow.receiveAll(), as: UTF8.self).hasSuffix(" hello"))
        }
    }

    @Test("A client that goes away while its request runs costs nothing else")
    func goneClient() async throws {
        let arrived = Gate()
        let proceed = Gate()
        let handler: @Sendable (FastCGIRequest) async -> FastCGIResponse = { request in
            if request.path == "/wait" {
                await arrived.open()
                await proceed.wait()
            }
            return FastCGIResponse(status: 200, body: Array(repeating: 1, count: 1 << 20))
        }
        try await withNginx(handler: handler) { nginx in
            do {
                let client = try ClientSocket(port: nginx.port)
                client.send(Array("GET /wait HTTP/1.1\r\nHost: a.example\r\n\r\n".utf8))
                await arrived.wait()
            }
            await proceed.open()
            #expect(try await nginx.get("/nodes").hasPrefix("HTTP/1.1 200"))
        }
    }
}
