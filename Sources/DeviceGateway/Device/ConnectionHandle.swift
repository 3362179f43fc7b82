import NIOCore
import PairingCore
import PairingKernel
import Synchronization

/// A socket as the kernel holds it: passes every order on to the connection, on its event loop, in order.
final class ConnectionHandle: DeviceSocket {
    let id: SocketID
    let address: ClientAddress
    private let eventLoop: any EventLoop
    private let context: GatewayContext
    private let orders = Mutex<[DeviceExchange.Order]>([])
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
    func deliver(_ frame: ChannelFrame) { pass(.deliver(frame)) }
    func isBehind() async -> Bool {
        // After the deliveries, which take the same way. The only error is that the loop has ended.
        (try? await eventLoop.submit { [connection] in connection.value?.isBehind ?? false }.get()) ?? false
    }
    func suspend() { pass(.suspend) }
    func resume() { pass(.resume) }
    func close(_ closure: SocketClosure) { pass(.close(closure)) }

    /// Orders that come while the loop has not taken the last ones yet go together: waking it is what costs.
    private func pass(_ order: DeviceExchange.Order) {
        let isFirst = orders.withLock { orders in
            orders.append(order)
            return orders.count == 1
        }
        if isFirst { eventLoop.execute { self.takeOrders() } }
    }

    private func takeOrders() {
        let taken = orders.withLock { orders in
            defer { orders = [] }
            return orders
        }
        for order in taken { connection.value?.ordered(order) }
    }
}
