import DeviceGateway
import Glibc
import NIOCore
import NIOPosix
import PairingCore

/// Echoes messages of up to 16 MiB on 127.0.0.1 through the gateway's own WebSocket layer, for conformance
/// suites: `websocket-echo PORT`. Port 0 is any free one; the line `listening on …` says which.
@main
struct Entry {
    static func main() async throws {
        guard CommandLine.arguments.count == 2, let port = Int(CommandLine.arguments[1]),
            (0...65535).contains(port)
        else {
            print("usage: websocket-echo PORT")
            return
        }
        let server = try await WebSocketServer.start(
            at: .loopback(port: port), on: MultiThreadedEventLoopGroup.singleton,
            policy: UpgradePolicy(path: "/", origins: nil, directAddress: ClientAddress("127.0.0.1")),
            configuration: WebSocketConfiguration(
                limits: WebSocketLimits(messageSize: 16 << 20, fragments: 1 << 20, acceptsBinary: true),
                queue: OutboundQueue.Limits(bytes: 64 << 20, frames: 1 << 16)),
            makeApplication: { _, _ in Echo() })
        print("listening on ws://127.0.0.1:\(server.port ?? port)/")
        // Standard output may be a pipe, and a test waits for the line.
        fflush(nil)
        try await server.closed()
    }
}

private final class Echo: WebSocketApplication {
    func opened(_ socket: WebSocket) {}
    func received(text: ByteBuffer, on socket: WebSocket) { socket.send(text: text.readableBytesView) }
    func received(binary: ByteBuffer, on socket: WebSocket) { socket.send(binary: binary) }
    func readEnded(on socket: WebSocket) {}
    func ticked(now: NIODeadline, on socket: WebSocket) {}
    func closed() {}
    func gone() {}
}
