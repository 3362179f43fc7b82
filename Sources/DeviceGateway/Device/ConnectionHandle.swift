import NIOCore
import PairingCore
import PairingKernel

/// A socket as the kernel holds it: passes every order on to the connection, on its event loop, in order.
final class ConnectionHandle: DeviceSocket {
    /// What the kernel may order.
    enum Order: Sendable {
        case resolve(PairingResolution)
        case deliver(OutboundFrame)
        case suspend
        case resume
        case close(SocketClosure)
    }

    let id: SocketID
    let address: ClientAddress
    private let eventLoop: any EventLoop
    private let context: GatewayContext
    /// `nil` once the socket is gone: the kernel may hold this handle for longer.
    private let connection: NIOLoopBoundBox<DeviceConnection?>

    /// - Precondition: called on the event loop.
    init(context: GatewayContext, address: ClientAddress, eventLoop: any EventLoop) {
        self.context = context
        id = context.nextSocketID()
        self.address = address
        self.eventLoop = eventLoop
        connection = NIOLoopBoundBox(nil, eventLoop: eventLoop)
    }

    /// Called on the event loop.
    func attach(_ connection: DeviceConnection?) { self.connection.value = connection }

    /// Runs `body` on the event loop if the socket still is there.
    func perform(_ body: @escaping @Sendable (DeviceConnection) -> Void) {
        eventLoop.execute { [connection] in
            if let connection = connection.value { body(connection) }
        }
    }

    func proven() { context.withAdmission { [id] in _ = $0.authenticate(id) } }
    func resolve(_ resolution: PairingResolution) { pass(.resolve(resolution)) }
    func deliver(_ frame: OutboundFrame) { pass(.deliver(frame)) }
    func isBehind() async -> Bool {
        // After the deliveries, which take the same way. The only error is that the loop has ended.
        (try? await eventLoop.submit { [connection] in connection.value?.isBehind ?? false }.get()) ?? false
    }
    func suspend() { pass(.suspend) }
    func resume() { pass(.resume) }
    func close(_ closure: SocketClosure) { pass(.close(closure)) }

    private func pass(_ order: Order) { perform { $0.ordered(order) } }
}
