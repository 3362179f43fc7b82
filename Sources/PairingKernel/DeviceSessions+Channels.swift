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
            return (value, state.table.takeDeparted().compactMap { state.work.removeValue(forKey: $0) })
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
            // A paired device's channel exists: an instance that lacks it must not send its devices away for good.
            throw Refusal(
                .unavailable, "channel_not_loaded",
                "The channel \(device.channel) is not loaded on this instance. Try again later.",
                retryable: true, retryAfter: .seconds(5))
        }
        let opening = ChannelSessionOpening(
            channel: device.channel, senderID: device.senderID, hasKey: device.credential.isKey,
            metadata: device.profile.metadata, openedAt: clock())
        let (session, frames) = try await channels.open(opening) { [weak socket] reason in
            socket?.close(.endedByChannel(reason))
        }
        return SessionWork(channel: session, greeting: frames.map(OutboundFrame.init))
    }

    /// What a channel allows its devices.
    func sessionLimits(of channel: ChannelID) -> SessionLimits {
        var limits = SessionLimits()
        guard let declared = channels.channel(channel)?.limits else { return limits }
        limits.maximumMessageBytes = declared.maximumMessageBytes
        limits.messagesPerSecond = declared.messagesPerSecond
        limits.burst = declared.allowedBurst
        limits.heartbeat = declared.heartbeat
        limits.silence = declared.silence
        return limits
    }

    /// Has a message of a device checked and turned into agent messages and frames, before it is accepted.
    ///
    /// A repeat is what was accepted before, whatever it says now, and is no longer refused.
    func receive(
        id: String, body: String, grant: SessionGrant, in session: ChannelSession, _ lane: MessageLane
    ) async throws(Refusal) -> ChannelOutput {
        let key = PairingStore.MessageKey(session: grant.liveSession, messageID: id)
        // A socket sends one message at a time, so nobody else takes the number.
        guard let known = try await refusing(logger, { try await lane.numbers.submit(key) }) else {
            throw .pairingEnded
        }
        do throws(Refusal) {
            return try await channels.receive(
                ChannelDeviceMessage(
                    number: known.number, id: id, receivedAt: clock(), body: known.accepted ?? body),
                in: session)
        } catch {
            guard known.accepted != nil else { throw error }
            return ChannelOutput()
        }
    }
}

extension OutboundFrame {
    init(_ frame: ChannelFrame) { self.init(event: frame.event, payload: frame.payload) }
}
