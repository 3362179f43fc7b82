import NIOCore

/// What happens on one socket. Everything is called on the socket's event loop, and only `gone` after `closed`.
public protocol WebSocketApplication: AnyObject {
    /// The handshake is done.
    func opened(_ socket: WebSocket)
    /// A text message came: valid UTF-8 within the limits.
    func received(text: ByteBuffer, on socket: WebSocket)
    /// A binary message came; only where the limits accept them.
    func received(binary: ByteBuffer, on socket: WebSocket)
    /// The client answered a ping with this payload.
    func ponged(_ payload: ByteBuffer, on socket: WebSocket)
    /// All messages that came together have been handed over, or as many as were read before a pause.
    func readEnded(on socket: WebSocket)
    /// About a second has passed.
    func ticked(now: NIODeadline, on socket: WebSocket)
    /// The socket no longer sends or delivers.
    func closed()
    /// The connection is no more: it takes no descriptor. The last call.
    func gone()
}

extension WebSocketApplication {
    /// Nothing is done.
    public func ponged(_ payload: ByteBuffer, on socket: WebSocket) {}
}

/// How the sockets of a server behave.
public struct WebSocketConfiguration: Sendable {
    /// What is accepted from a new socket.
    public var limits: WebSocketLimits
    /// Pings and time limits.
    public var times: WebSocketTimes
    /// How much may wait for a slow client.
    public var queue: OutboundQueue.Limits
    /// Frames a second, and how many at once; a client that sends more is read more slowly. `nil`: any.
    public var frameRate: (perSecond: Double, burst: Double)?

    /// Wraps the parts.
    public init(
        limits: WebSocketLimits, times: WebSocketTimes = WebSocketTimes(),
        queue: OutboundQueue.Limits = OutboundQueue.Limits(bytes: 1 << 20, frames: 256),
        frameRate: (perSecond: Double, burst: Double)? = nil
    ) {
        self.limits = limits
        self.times = times
        self.queue = queue
        self.frameRate = frameRate
    }
}
