import ChannelHost
import Logging
import PairingCore
import PairingStore
import Synchronization

extension DeviceSessions {
    /// Delivers again what the device has not acknowledged. The gateway calls this once its answer to
    /// `connect`, or the event `device.pair.resolved`, is on its way.
    public func begin(_ grant: SessionGrant, on socket: any DeviceSocket) {
        let greeting = state.withLock { state -> [OutboundFrame] in
            guard state.table.isLive(socket.id, grant), let work = state.work[socket.id] else { return [] }
            state.work[socket.id]?.greeting = []
            return work.greeting
        }
        for frame in greeting { socket.deliver(frame) }
        deliver(to: (socket.id, socket, grant)) { $0.start() }
    }

    /// `message.send`: has the message checked by its channel and stores it under the device's lock; it is
    /// acknowledged by the return (I4).
    ///
    /// - Parameters:
    ///   - id: the device's identifier, 1 to 128 bytes; a repeat gets the first receipt.
    ///   - body: compact JSON text of up to ``maximumBodyBytes``.
    ///   - agent: who is to answer, where the channel names nobody; `nil` for the channel's default.
    /// - Throws: the channel's refusal, or the store's; nothing was accepted.
    public func send(
        id: String, body: String, agent: String? = nil, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) -> MessageReceipt {
        guard body.utf8.count <= Self.maximumBodyBytes else { throw .messageTooLarge(body.utf8.count) }
        guard let lane = lanes[grant.channel] else { throw .sessionEnded }
        let channel = try state.withLock { state -> Result<ChannelSession, Refusal> in
            guard state.lease.isHeld(now: .now) else { return .failure(.unavailable) }
            guard state.table.isLive(socket.id, grant), let channel = state.work[socket.id]?.channel else {
                return .failure(.sessionEnded)
            }
            return .success(channel)
        }.get()
        let output = try await receive(id: id, body: body, grant: grant, in: channel, lane)
        let message = PairingStore.InboundMessage(
            session: grant.liveSession, messageID: id, body: body,
            forwarded: output.messages.map {
                PairingStore.ForwardedMessage(agent: $0.agent.isEmpty ? agent ?? "" : $0.agent, body: $0.body)
            })
        let acceptance = try await refusing(logger) { try await lane.inbound.submit(message) }.get()
        return MessageReceipt(
            messageID: id, sequence: acceptance.sequence, frames: output.frames.map(OutboundFrame.init))
    }

    /// `message.ack`: the device has everything up to and including `sequence`.
    public func acknowledge(
        upTo sequence: Int64, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) {
        guard state.withLock({ $0.table.isLive(socket.id, grant) }) else { throw .sessionEnded }
        try await refusing(logger) {
            try await acknowledgements.submit(
                PairingStore.Acknowledgement(session: grant.liveSession, sequence: sequence))
        }
    }
}
