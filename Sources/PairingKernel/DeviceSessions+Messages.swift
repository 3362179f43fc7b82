import ChannelHost
import Logging
import PairingCore
import PairingStore
import Synchronization

extension DeviceSessions {
    /// Delivers again what the device has not acknowledged. The gateway calls this once its answer to
    /// `connect`, or the event `device.pair.resolved`, is on its way.
    public func begin(_ grant: SessionGrant, on socket: any DeviceSocket) {
        let work = state.withLock { state -> SessionWork? in
            guard state.table.isLive(socket.id, grant) else { return nil }
            defer { state.work[socket.id]?.greeting = [] }
            return state.work[socket.id]
        }
        for frame in work?.greeting ?? [] { socket.deliver(frame) }
        work?.channel.greeted()
        deliver(to: (socket.id, socket, grant)) { $0.start() }
    }

    /// `message.ack`: the device has everything up to and including `sequence`.
    public func acknowledge(
        upTo sequence: Int64, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) {
        let known = state.withLock { state in
            state.table.isLive(socket.id, grant) ? state.work[socket.id]?.acknowledged : nil
        }
        guard let known else { throw .sessionEnded }
        try await refusing(logger) {
            try await acknowledgements.submit(
                PairingStore.Acknowledgement(session: grant.liveSession, sequence: sequence, after: known))
        }
        state.withLock { state in
            guard state.table.isLive(socket.id, grant),
                let delivered = state.work[socket.id]?.delivery.delivered
            else { return }
            // Not beyond what there is: a device may claim to have more.
            state.work[socket.id]?.acknowledged = max(known, min(sequence, delivered))
        }
    }
}
