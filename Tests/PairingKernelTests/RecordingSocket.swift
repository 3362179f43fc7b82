import PairingCore
import PairingKernel
import Synchronization

/// What an event `message` carries.
struct Message: Equatable {
    var sequence: Int64
    var agent: String
    var body: String
    var inReplyTo: String?

    init(sequence: Int64, agent: String, body: String, inReplyTo: String? = nil) {
        self.sequence = sequence
        self.agent = agent
        self.body = body
        self.inReplyTo = inReplyTo
    }

    init?(_ frame: ChannelFrame) {
        guard frame.event == "message", let payload = try? JSONValue(parsing: frame.payload.utf8),
            case .integer(let sequence)? = payload["messageSeq"], let agent = payload["agent"]?.string,
            let body = payload["message"]
        else { return nil }
        self.init(
            sequence: sequence, agent: agent, body: body.text, inReplyTo: payload["inReplyTo"]?.string)
    }
}

/// A socket that records what the kernel orders, and a device behind it that may acknowledge.
final class RecordingSocket: DeviceSocket {
    enum Order: Sendable, Equatable {
        case resolve(PairingResolution)
        case deliver(ChannelFrame)
        case proven
        case suspend
        case resume
        case close(SocketClosure)
    }

    private static let numbers = Atomic<UInt64>(0)

    let id: SocketID
    let address: ClientAddress
    private let recorded = Mutex<[Order]>([])

    init(address: ClientAddress) {
        id = SocketID(Self.numbers.add(1, ordering: .relaxed).newValue)
        self.address = address
    }

    func proven() { record(.proven) }
    func resolve(_ resolution: PairingResolution) { record(.resolve(resolution)) }
    func deliver(_ frame: ChannelFrame) { record(.deliver(frame)) }
    func isBehind() async -> Bool { false }
    func suspend() { record(.suspend) }
    func resume() { record(.resume) }
    func close(_ closure: SocketClosure) { record(.close(closure)) }

    private func record(_ order: Order) { recorded.withLock { $0.append(order) } }

    var orders: [Order] { recorded.withLock { $0 } }

    var closures: [SocketClosure] {
        orders.compactMap { if case .close(let closure) = $0 { closure } else { nil } }
    }

    var resolutions: [PairingResolution] {
        orders.compactMap { if case .resolve(let resolution) = $0 { resolution } else { nil } }
    }

    var frames: [ChannelFrame] {
        orders.compactMap { if case .deliver(let frame) = $0 { frame } else { nil } }
    }

    /// The events `message` of a channel that passes messages on as they are.
    var messages: [Message] { frames.compactMap(Message.init) }

    /// Waits for the socket's end.
    func closure(within limit: Duration = .seconds(60)) async throws -> SocketClosure {
        try await eventually("close", within: limit) { !self.closures.isEmpty }
        return self.closures[0]
    }

    /// Waits for the decision.
    func resolution(within limit: Duration = .seconds(60)) async throws -> PairingResolution {
        try await eventually("device.pair.resolved", within: limit) { !self.resolutions.isEmpty }
        return self.resolutions[0]
    }
}
