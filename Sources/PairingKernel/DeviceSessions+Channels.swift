import ChannelHost
import Logging
import PairingCore
import PairingStore
import Synchronization

extension DeviceSessions {
    /// Changes the state, and tells the channels of the sessions that ended by it.
    ///
    /// - Parameter reason: why they ended, for the channels.
    @discardableResult
    func change<Value: Sendable>(because reason: String, _ body: (inout State) -> Value) -> Value {
        let (value, ended) = state.withLock { state in
            let value = body(&state)
            let ended = state.table.takeDeparted().compactMap { state.work.removeValue(forKey: $0) }
            state.unproven.formUnion(ended.compactMap(\.unproven))
            return (value, ended)
        }
        for work in ended { channels.close(work.channel, reason: reason) }
        return value
    }

    /// Ends a session, if it is still this socket's, and closes its socket.
    func end(
        _ grant: SessionGrant, on socket: any DeviceSocket, _ closure: SocketClosure, because reason: String
    ) {
        let wasLive = change(because: reason) { state in
            guard state.table.isLive(socket.id, grant) else { return false }
            state.table.leave(socket.id)
            return true
        }
        if wasLive { socket.close(closure) }
    }

    /// Asks the device's channel whether it takes a session on this socket.
    ///
    /// - Throws: the channel's refusal; `UNAVAILABLE` where this instance does not have the channel.
    func open(_ device: PairedDevice, on socket: any DeviceSocket) async throws(Refusal) -> SessionWork {
        guard channels.channel(device.channel) != nil else {
            throw .channelNotLoaded(device.channel)
        }
        let opening = ChannelSessionOpening(
            channel: device.channel, senderID: device.senderID, hasKey: device.credential.isKey,
            metadata: device.profile.metadata, openedAt: clock())
        let (session, frames) = try await channels.open(
            opening,
            onFrame: { [weak socket] in socket?.deliver($0) },
            onCloseRequest: { [weak socket] in socket?.close(.endedByChannel($0)) })
        return SessionWork(channel: session, greeting: frames)
    }

    /// What a channel allows its devices.
    func limits(of channel: ChannelID) -> ChannelLimits {
        channels.channel(channel)?.limits ?? ChannelLimits()
    }
}

extension Refusal {
    /// A paired device's channel exists: an instance that lacks it must not send its devices away for good.
    static func channelNotLoaded(_ channel: ChannelID) -> Refusal {
        Refusal(.channelNotLoaded, "The channel \(channel) is not loaded on this instance. Try again later.")
    }
}
