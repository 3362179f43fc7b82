import NIOCore
import NIOPosix
import Synchronization

/// An HTTP server on loopback that answers its requests with bytes written down beforehand, in the same pieces.
final class ScriptedServer: Sendable {
    /// What it does once a request has come.
    enum Step: Sendable {
        case send(String)
        case bytes([UInt8])
        /// Sends the text again and again.
        case repeatForEver(String)
        case close
        /// Sends nothing more, and keeps the connection.
        case hang
    }

    /// A request as it came.
    struct Request: Sendable {
        var head: String
        var body: String

        /// The value of a header field; `nil` where it is not there.
        func header(_ name: String) -> String? {
            head.split(separator: "\r\n").dropFirst().first {
                $0.lowercased().hasPrefix(name.lowercased() + ":")
            }
            .map { String($0.dropFirst(name.count + 1).drop { $0 == " " }) }
        }
    }

    let port: Int
    private let answers: [[Step]]
    private let received = Mutex<[Request]>([])
    private let made = Mutex(0)

    private init(port: Int, answers: [[Step]]) {
        self.port = port
        self.answers = answers
    }

    /// Where the interface begins.
    var url: String { "http://127.0.0.1:\(port)/v1" }

    /// What was asked so far.
    var requests: [Request] { received.withLock { $0 } }

    /// How many connections were made.
    var connections: Int { made.withLock { $0 } }

    /// The steps for one more request; the last are repeated.
    fileprivate func steps(for request: Request) -> [Step] {
        let number = received.withLock { requests in
            requests.append(request)
            return requests.count
        }
        return answers[min(number, answers.count) - 1]
    }

    /// Serves for as long as `body` takes: the first request gets the first answer, and so on.
    static func serving<Value>(
        _ answers: [[Step]], _ body: (ScriptedServer) async throws -> Value
    ) async throws -> Value {
        let made = Mutex<ScriptedServer?>(nil)
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let server = made.withLock { $0 }
                    server?.made.withLock { $0 += 1 }
                    try channel.pipeline.syncOperations.addHandler(
                        Script { server?.steps(for: $0) ?? [.close] })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = ScriptedServer(port: channel.localAddress?.port ?? 0, answers: answers)
        made.withLock { $0 = server }
        do {
            let value = try await body(server)
            try await channel.close()
            return value
        } catch {
            try? await channel.close()
            throw error
        }
    }
}

/// Reads requests whose body has a Content-Length, and carries out the steps of each.
private final class Script: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let steps: (ScriptedServer.Request) -> [ScriptedServer.Step]
    private var received: [UInt8] = []

    init(steps: @escaping (ScriptedServer.Request) -> [ScriptedServer.Step]) { self.steps = steps }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytesView
        guard let request = takeRequest() else { return }
        for step in steps(request) {
            switch step {
            case .send(let text): write(Array(text.utf8), context)
            case .bytes(let bytes): write(bytes, context)
            case .repeatForEver(let text): sendAgain(Array(text.utf8), context)
            case .close: context.close(promise: nil)
            case .hang: break
            }
        }
    }

    private func takeRequest() -> ScriptedServer.Request? {
        let text = String(decoding: received, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
        let request = ScriptedServer.Request(
            head: String(text[..<end.lowerBound]), body: String(text[end.upperBound...]))
        guard request.body.utf8.count >= request.header("Content-Length").flatMap(Int.init) ?? 0 else {
            return nil
        }
        received = []
        return request
    }

    private func write(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    private func sendAgain(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        write(bytes, context)
        let loop = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(5)) { loop.value.0.sendAgain(bytes, loop.value.1) }
    }
}
