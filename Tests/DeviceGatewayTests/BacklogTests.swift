import Foundation
import Glibc
import NIOCore
import NIOPosix
import PairingCore
import Testing

@testable import DeviceGateway

@Suite("The backlog")
struct BacklogTests {
    /// Connects without waiting.
    ///
    /// - Returns: the connection, or `nil` where the server's backlog is full.
    private static func connect(to path: String) -> Int32? {
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let descriptor = socket(AF_UNIX, Int32(kind), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        if isConnected { return descriptor }
        Glibc.close(descriptor)
        return nil
    }

    @Test("A gateway that accepts nobody for a moment lets far more than 128 connections wait")
    func waiting() async throws {
        let path = "/tmp/backlog-\(UUID().uuidString).sock"
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = try await WebSocketServer.start(
            at: .unixSocket(path: path), on: group, policy: UpgradePolicy(path: "/ws", origins: nil),
            configuration: WebSocketConfiguration(
                limits: WebSocketLimits(messageSize: 1000, fragments: 4)),
            makeApplication: { _, _ in preconditionFailure("nobody asks for an upgrade") })
        let isOver = DispatchSemaphore(value: 0)
        let isHeld = AsyncStream.makeStream(of: Void.self)
        group.next().execute {
            isHeld.continuation.finish()
            isOver.wait()
        }
        for await _ in isHeld.stream {}
        let connections = (0..<600).compactMap { _ in Self.connect(to: path) }
        #expect(connections.count == 600)
        isOver.signal()
        for connection in connections { Glibc.close(connection) }
        await server.stopListening()
        await server.dropConnections()
        try await group.shutdownGracefully()
    }
}
