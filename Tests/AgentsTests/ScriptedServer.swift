import NIOCore
import NIOPosix

/// An HTTP server on loopback that answers every request with the same bytes, in the same pieces.
struct ScriptedServer {
    /// What it does once the request has come.
    enum Step: Sendable {
        case send(String)
        /// Sends the text again and again.
        case repeatForEver(String)
        case close
        /// Sends nothing more, and keeps the connection.
        case hang
    }

    let url: String
    private let channel: any Channel

    /// Serves for as long as `body` takes.
    static func serving<Value>(_ steps: [Step], _ body: (ScriptedServer) async throws -> Value) async throws -> Value
    {
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Script(steps: steps))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = ScriptedServer(url: "http://127.0.0.1:\(channel.localAddress?.port ?? 0)/v1", channel: channel)
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

private final class Script: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let steps: [ScriptedServer.Step]
    private var hasAnswered = false

    init(steps: [ScriptedServer.Step]) { self.steps = steps }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Requests here are small: head and body come together.
        if hasAnswered { return }
        hasAnswered = true
        for step in steps {
            switch step {
            case .send(let text): write(text, context)
            case .repeatForEver(let text): sendAgain(text, context)
            case .close: context.close(promise: nil)
            case .hang: break
            }
        }
    }

    private func write(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }

    private func sendAgain(_ text: String, _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        write(text, context)
        let loop = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(5)) { loop.value.0.sendAgain(text, loop.value.1) }
    }
}
