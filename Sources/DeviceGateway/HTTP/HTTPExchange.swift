import NIOCore
import PairingCore
import PairingKernel

/// What a connection becomes whose one request is worked on here, from its head to the last byte of its answer. Used on
/// its event loop only.
protocol HTTPExchange: AnyObject, SendableMetatype {
    /// Asks whose token it is.
    func begin()
    /// A part of the request's body has come.
    func received(body part: ByteBuffer)
    func bodyEnded()
    /// Whether the front's own deadline is for this request: while it is read.
    var isBeingRead: Bool { get }
    func writabilityChanged()
    func swept(now: NIODeadline)
    /// The instance stops.
    func stop()
    /// The connection is no more.
    func gone()
    /// There is no room for it.
    func dismiss(_ reason: String)
}

/// An HTTP request as others reach it.
final class ExchangeHandle<Exchange: HTTPExchange>: AdmittedConnection {
    let id: SocketID
    private let eventLoop: any EventLoop
    /// `nil` once the connection is gone.
    private let connection: NIOLoopBoundBox<Exchange?>

    /// - Precondition: called on the event loop.
    init(id: SocketID, eventLoop: any EventLoop) {
        self.id = id
        self.eventLoop = eventLoop
        connection = NIOLoopBoundBox(nil, eventLoop: eventLoop)
    }

    /// Called on the event loop.
    func attach(_ connection: Exchange?) { self.connection.value = connection }

    /// Runs `body` on the event loop if the connection still is there, else `otherwise`.
    func perform(
        orElse otherwise: @escaping @Sendable () -> Void = {}, _ body: @escaping @Sendable (Exchange) -> Void
    ) {
        eventLoop.execute { [connection] in
            if let connection = connection.value { body(connection) } else { otherwise() }
        }
    }

    func dismiss(_ dismissal: SocketDismissal, _ reason: String) { perform { $0.dismiss(reason) } }

    /// Never called: a request waits for no decision.
    func replaceWaiting() {}
}
