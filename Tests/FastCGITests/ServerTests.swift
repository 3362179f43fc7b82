import Glibc
import ServiceLifecycle
import Synchronization
import Testing

@testable import FastCGI

@Suite("The server")
struct ServerTests {
    @Test("A request reaches the handler and its response the web server")
    func roundTrip() async throws {
        try await withServer { path in
            let answer = try await exchange(
                path,
                Records.request(
                    method: "POST", path: "/nodes", more: [("QUERY_STRING", "a=b")], body: "hello"))
            #expect(answer.hasPrefix("Status: 200 OK\r\n"))
            #expect(answer.hasSuffix("\r\n\r\n/nodes?a=b 192.0.2.1 hello"))
        }
    }

    @Test("Bodies and responses of any size pass unchanged", arguments: [1, 8_191, 8_192, 65_535, 1 << 20])
    func sizes(count: Int) async throws {
        var configuration = FastCGIServer.Configuration()
        configuration.maximumBodyBytes = 1 << 20
        let body = (0..<count).map { UInt8(ascii: "a") + UInt8($0 % 26) }
        var records = Records.begin() + Records.parameters([("CONTENT_LENGTH", "\(count)")])
        for start in stride(from: 0, to: count, by: 60_000) {
            records += Records.record(5, Array(body[start..<min(start + 60_000, count)]))
        }
        records += Records.record(5, [])
        let request = records
        try await withServer(configuration: configuration) { path in
            let client = try ClientSocket(unix: path)
            async let sent: Void = onThread { client.send(request) }
            let answer = standardOutput(try await client.receiveAll())
            try await sent
            #expect(answer.hasSuffix(" " + String(decoding: body, as: UTF8.self)))
        }
    }

    @Test(
        "A response in parts is sent as they come; one that fails is left without its end",
        arguments: [true, false])
    func parts(isWhole: Bool) async throws {
        let handler: @Sendable (FastCGIRequest) async -> FastCGIResponse = { _ in
            let count = Mutex(0)
            var response = FastCGIResponse(status: 200, body: Array("first ".utf8))
            response.parts = {
                let number = count.withLock { count -> Int in
                    count += 1
                    return count
                }
                if number == 3, !isWhole { throw CancellationError() }
                return number < 4 ? Array(repeating: UInt8(ascii: "x"), count: 50_000) : nil
            }
            return response
        }
        try await withServer(handler: handler) { path in
            let client = try ClientSocket(unix: path)
            try await onThread { client.send(Records.request()) }
            let received = try await client.receiveAll()
            let text = standardOutput(received)
            #expect(text.contains("\r\n\r\nfirst xxx") && !text.contains("Content-Length"))
            #expect(text.hasSuffix("x") && text.count > 50_000)
            if isWhole { #expect(text.count(where: { $0 == "x" }) == 150_000) }
            // FCGI_END_REQUEST is the last record of a whole answer.
            #expect((received.suffix(16).dropFirst().first == 3) == isWhole)
        }
    }

    @Test("Hostile bytes cost their connection only", arguments: Hostile.inputs)
    func hostile(input: Hostile) async throws {
        var configuration = FastCGIServer.Configuration()
        configuration.threads = 1
        try await withServer(configuration: configuration) { path in
            let answer = try await exchange(path, input.bytes)
            #expect(answer == "")
            let next = try await exchange(path, Records.request())
            #expect(next.hasPrefix("Status: 200"))
        }
    }

    @Test("A peer that falls silent, goes away or sends half a request holds a thread for a bounded time")
    func silence() async throws {
        var configuration = FastCGIServer.Configuration()
        configuration.threads = 1
        configuration.transferTimeout = .seconds(2)
        try await withServer(configuration: configuration) { path in
            let request = Records.request(body: "hello")
            let silent = try [0, 1, 7, 8, 20, 40].map { count in
                let client = try ClientSocket(unix: path)
                client.send(Array(request.prefix(count)))
                return client
            }
            let gone = try ClientSocket(unix: path)
            gone.send(Array(request.prefix(30)))
            shutdown(gone.descriptor, Int32(SHUT_RDWR))
            #expect(try await exchange(path, Records.request()).hasPrefix("Status: 200"))
            for client in silent { #expect(try await client.receiveAll().isEmpty) }
        }
    }

    @Test("A body that stops arriving is answered with 408")
    func slowBody() async throws {
        var configuration = FastCGIServer.Configuration()
        configuration.transferTimeout = .seconds(2)
        try await withServer(configuration: configuration) { path in
            let answer = try await exchange(path, Array(Records.request(body: "hello").dropLast(8)))
            #expect(answer.hasPrefix("Status: 408"))
        }
    }

    @Test(
        "A declared length that the body does not have is answered with 400",
        arguments: ["", "4", "6", "-5", "5x"])
    func wrongLength(declared: String) async throws {
        try await withServer { path in
            let request =
                Records.begin() + Records.parameters([("CONTENT_LENGTH", declared)])
                + Records.record(5, Array("hello".utf8)) + Records.record(5, [])
            let answer = try await exchange(path, request)
            #expect(answer.hasPrefix("Status: 400"))
        }
    }

    @Test("A body over the limit is answered with 413 before it has all arrived")
    func oversized() async throws {
        var configuration = FastCGIServer.Configuration()
        configuration.maximumBodyBytes = 1_000
        try await withServer(configuration: configuration) { path in
            let start = Records.begin() + Records.parameters([("CONTENT_LENGTH", "1000000")])
            let client = try ClientSocket(unix: path)
            client.send(start + Records.record(5, Array(repeating: 1, count: 2_000)))
            let answer = standardOutput(try await client.receiveSome())
            #expect(answer.hasPrefix("Status: 413"))
            // The rest is taken without complaint, as a web server in the middle of it would need.
            for _ in 0..<20 { client.send(Records.record(5, Array(repeating: 1, count: 50_000))) }
        }
    }

    @Test("A handler that takes too long is cancelled and answered for with 503")
    func slowHandler() async throws {
        var configuration = FastCGIServer.Configuration()
        configuration.requestTimeout = .milliseconds(100)
        let cancelled = Gate()
        let handler: @Sendable (FastCGIRequest) async -> FastCGIResponse = { _ in
            try? await Task.sleep(for: .seconds(60))
            await cancelled.open()
            return FastCGIResponse(status: 200)
        }
        try await withServer(configuration: configuration, handler: handler) { path in
            let answer = try await exchange(path, Records.request())
            #expect(answer.hasPrefix("Status: 503"))
            await cancelled.wait()
        }
    }

    @Test("A response with a header that could split it becomes 500")
    func splitting() async throws {
        let handler: @Sendable (FastCGIRequest) async -> FastCGIResponse = { _ in
            FastCGIResponse(status: 200, headers: [("Location", "/\r\nSet-Cookie: a=b")])
        }
        try await withServer(handler: handler) { path in
            let answer = try await exchange(path, Records.request())
            #expect(answer.hasPrefix("Status: 500"))
            #expect(!answer.contains("Set-Cookie"))
        }
    }

    @Test("A web server that goes away before its answer costs nothing else")
    func goneBeforeAnswer() async throws {
        let arrived = Gate()
        let left = Gate()
        let handler: @Sendable (FastCGIRequest) async -> FastCGIResponse = { request in
            if request.path == "/wait" {
                await arrived.open()
                await left.wait()
            }
            return FastCGIResponse(status: 200, body: Array(repeating: 1, count: 1 << 20))
        }
        try await withServer(handler: handler) { path in
            do {
                let client = try ClientSocket(unix: path)
                client.send(Records.request(path: "/wait"))
                await arrived.wait()
            }
            await left.open()
            #expect(try await exchange(path, Records.request()).hasPrefix("Status: 200"))
        }
    }

    @Test("Graceful shutdown finishes what runs and what waits, and refuses what comes later")
    func gracefulShutdown() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/s"
        let arrived = Gate()
        let proceed = Gate()
        var configuration = FastCGIServer.Configuration()
        configuration.threads = 1
        let server = try FastCGIServer(path: path, configuration: configuration, logger: quiet) { _ in
            await arrived.open()
            await proceed.wait()
            return FastCGIResponse(status: 200)
        }
        let group = ServiceGroup(services: [server], logger: quiet)
        async let ended: Void = group.run()
        let running = try ClientSocket(unix: path)
        running.send(Records.request())
        await arrived.wait()
        let waiting = try ClientSocket(unix: path)
        waiting.send(Records.request())
        await group.triggerGracefulShutdown()
        while access(path, F_OK) == 0 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(throws: (any Error).self) { try ClientSocket(unix: path) }
        await proceed.open()
        #expect(standardOutput(try await running.receiveAll()).hasPrefix("Status: 200"))
        #expect(standardOutput(try await waiting.receiveAll()).hasPrefix("Status: 200"))
        try await ended
    }

    @Test("Cancellation answers what runs with 503 and ends at once")
    func cancellation() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/s"
        let arrived = Gate()
        let never = Gate()
        let server = try FastCGIServer(path: path, logger: quiet) { _ in
            await arrived.open()
            await never.wait()
            return FastCGIResponse(status: 200)
        }
        let run = Task { try await server.run() }
        let client = try ClientSocket(unix: path)
        client.send(Records.request())
        await arrived.wait()
        run.cancel()
        #expect(standardOutput(try await client.receiveAll()).hasPrefix("Status: 503"))
        try await run.value
        await never.open()
    }

    @Test("Signals are left to the main program, but a vanished peer can't end the process")
    func signals() throws {
        try #require(LibFCGI.isInitialized)
        func handler(_ signal: Int32) -> Int {
            var action = sigaction()
            sigaction(signal, nil, &action)
            return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
        }
        #expect(handler(SIGTERM) == 0)
        #expect(handler(SIGUSR1) == 0)
        #expect(handler(SIGPIPE) == 1)
    }
}
