import ChannelHost
import Logging
import PairingCore
import PairingStore
import Synchronization

extension DeviceSessions {
    /// Delivers again what the device has not acknowledged. The gateway calls this once its answer to
    /// `connect`, or the event `device.pair.resolved`, is on its way.
    public func begin(_ grant: SessionGrant, on socket: any DeviceSocket) {
        enqueue(.catchUp, for: grant, on: socket)
    }

    /// `message.send`: has the message checked by its channel and stores it under the device's lock; it is
    /// acknowledged by the return (I4).
    ///
    /// - Parameters:
    ///   - id: the device's identifier, 1 to 128 bytes; a repeat gets the first receipt.
    ///   - body: compact JSON text.
    /// - Throws: the channel's refusal, or the store's; nothing was accepted.
    public func send(
        id: String, body: String, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) -> MessageReceipt {
        let channel = try state.withLock { state -> Result<ChannelSession, Refusal> in
            guard state.lease.isHeld(now: .now) else { return .failure(.unavailable) }
            guard state.table.isLive(socket.id, grant), let channel = state.work[socket.id]?.channel else {
                return .failure(.sessionEnded)
            }
            guard state.work[socket.id]?.queue.reserve() == true else { return .failure(.tooManyMessages) }
            return .success(channel)
        }.get()
        do {
            let output = try await receive(id: id, body: body, grant: grant, in: channel)
            let message = PairingStore.InboundMessage(
                session: grant.liveSession, messageID: id, body: body,
                forwarded: output.messages.map {
                    PairingStore.ForwardedMessage(agent: $0.agent, body: $0.body)
                })
            let acceptance = try await refusing(logger) { try await inbound.submit(message) }.get()
            if acceptance.isRepeat || message.forwarded.isEmpty {
                state.withLock { $0.work[socket.id]?.queue.release() }
            } else {
                enqueue(
                    .answer(sequence: acceptance.sequence, forwarded: message.forwarded), reserved: true,
                    for: grant, on: socket)
            }
            return MessageReceipt(
                messageID: id, sequence: acceptance.sequence, frames: output.frames.map(OutboundFrame.init))
        } catch {
            state.withLock { $0.work[socket.id]?.queue.release() }
            throw error
        }
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

    private func enqueue(
        _ step: SessionQueue.Work, reserved: Bool = false, for grant: SessionGrant,
        on socket: any DeviceSocket
    ) {
        let starts = state.withLock { state -> Bool in
            guard state.table.isLive(socket.id, grant) else { return false }
            return
                (reserved
                ? state.work[socket.id]?.queue.fill(step) : state.work[socket.id]?.queue.append(step))
                ?? false
        }
        if starts { Task { await self.runQueue(of: grant, on: socket) } }
    }

    /// Answers one session's messages, in order.
    private func runQueue(of grant: SessionGrant, on socket: any DeviceSocket) async {
        while let steps = state.withLock({ $0.work[socket.id]?.queue.take() }), !steps.isEmpty {
            for step in steps {
                switch step {
                case .answer(let sequence, let forwarded):
                    await answer(sequence, forwarded, for: grant, on: socket)
                case .catchUp:
                    await catchUp(grant, on: socket)
                }
            }
        }
    }

    /// Ends the work for a session that is none any more.
    private struct SessionOver: Error {}

    /// Delivers and answers what is open.
    ///
    /// Where that can't be read the socket is closed: a device that acknowledged what came next would
    /// acknowledge what it never got as well (I4).
    private func catchUp(_ grant: SessionGrant, on socket: any DeviceSocket) async {
        let work = state.withLock { state -> SessionWork? in
            guard state.table.isLive(socket.id, grant) else { return nil }
            defer {
                state.work[socket.id]?.greeting = []
                state.work[socket.id]?.hasBacklog = false
            }
            return state.work[socket.id]
        }
        guard let work else { return }
        for frame in work.greeting { socket.deliver(frame) }
        guard work.hasBacklog else { return }
        do {
            try await forEachOpen(.outbound, of: grant) {
                guard await deliver($0, for: grant, on: socket) else { throw SessionOver() }
                return await keepsUp(socket)
            }
            try await forEachOpen(.inbound, of: grant) {
                await answer($0.sequence, $0.forwarded, for: grant, on: socket)
                return await keepsUp(socket)
            }
        } catch is SessionOver {
            return
        } catch {
            logger.warning(
                "A session that could not catch up is closed",
                metadata: ["senderId": "\(grant.senderID)", "error": "\(error)"])
            end(grant, on: socket, .authorityLost, because: "the database is away")
        }
    }

    /// Lets a slow client take what it was sent: it has a thousand messages to catch up with at most, and room
    /// for far less. Closed for being slow, it would be sent the same again, for ever.
    ///
    /// - Returns: `false` where that took time: what was claimed before has to be claimed again (I3).
    private func keepsUp(_ socket: any DeviceSocket) async -> Bool {
        guard await socket.isBehind() else { return true }
        repeat {
            try? await Task.sleep(for: .milliseconds(20))
        } while await socket.isBehind()
        return false
    }

    /// - Parameter body: whether to go on with the messages that were claimed together with this one.
    private func forEachOpen(
        _ direction: PairingStore.MessageDirection, of grant: SessionGrant,
        _ body: (PairingStore.StoredMessage) async throws -> Bool
    ) async throws {
        var last: Int64 = 0
        // What this session accepts meanwhile waits in its queue.
        var newest = Int64.max
        while last < newest,
            let page = try await store.openMessages(
                direction, of: grant.liveSession, after: last, upTo: newest),
            !page.messages.isEmpty
        {
            newest = min(newest, page.newest)
            for message in page.messages {
                last = message.sequence
                guard try await body(message) else { break }
            }
        }
    }

    /// Has what one message became answered. One that fails stays unanswered until its device connects again;
    /// those after it don't wait for that.
    private func answer(
        _ sequence: Int64, _ forwarded: [PairingStore.ForwardedMessage], for grant: SessionGrant,
        on socket: any DeviceSocket
    ) async {
        do {
            var answers: [PairingStore.Reply.Answer] = []
            for message in forwarded {
                let body = try await agent.answer(to: message.body, from: grant.senderID)
                answers.append(PairingStore.Reply.Answer(agent: agent.name, body: body))
            }
            let reply = PairingStore.Reply(
                session: grant.liveSession, inReplyTo: sequence, answers: answers)
            for message in try await replies.submit(reply) {
                guard await deliver(message, for: grant, on: socket) else { return }
            }
        } catch {
            logger.warning(
                "A message stays unanswered until its device connects again",
                metadata: ["senderId": "\(grant.senderID)", "error": "\(error)"])
        }
    }
}
