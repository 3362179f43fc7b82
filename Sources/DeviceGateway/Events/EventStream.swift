import NIOCore
import NIOHTTP1

/// One administrator's page that follows what happens. Used on its event loop only.
///
/// What it has to say goes out at once, or not at all: a reader that is too slow is told that it missed something, and
/// reads the page anew. So nothing grows with how slow it is.
final class EventStream {
    /// How long a client may take nothing in.
    private static let patience = TimeAmount.seconds(30)

    private let channel: any Channel
    private var hasMissed = false
    private var isOver = false
    /// Since when the client takes nothing in.
    private var stuckSince: NIODeadline?

    init(channel: any Channel) { self.channel = channel }

    /// Writes the head; what follows comes in pieces.
    func begin() {
        let headers = HTTPHeaders([
            ("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"), ("Transfer-Encoding", "chunked"), ("Connection", "close"),
            // For nginx, where its configuration does not say so.
            ("X-Accel-Buffering", "no"),
        ])
        let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
        channel.writeAndFlush(HTTPServerResponsePart.head(head), promise: nil)
    }

    func send(_ text: ByteBuffer) {
        guard !isOver else { return }
        guard channel.isWritable else {
            hasMissed = true
            return
        }
        channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(text)), promise: nil)
    }

    /// Says a last thing, and closes.
    func end(_ text: String?) {
        guard !isOver else { return }
        if let text {
            let bytes = channel.allocator.buffer(string: text)
            channel.write(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: nil)
        }
        isOver = true
        let channel = channel
        channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in
            channel.close(promise: nil)
        }
    }

    func writabilityChanged() {
        guard channel.isWritable else {
            stuckSince = channel.eventLoop.now
            return
        }
        stuckSince = nil
        guard hasMissed else { return }
        hasMissed = false
        send(channel.allocator.buffer(string: EventText.missed))
    }

    /// It is time to look at the clock.
    func swept(now: NIODeadline) {
        guard let stuckSince, now >= stuckSince + Self.patience else { return }
        channel.close(promise: nil)
    }
}
