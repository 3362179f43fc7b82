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

    /// `message.send`: stores the message under the device's lock; it is acknowledged by the return (I4).
    ///
    /// - Parameters:
    ///   - id: the device's identifier, 1 to 128 bytes; a repeat gets the first receipt.
    ///   - body: compact JSON text.
    public func send(
        id: String, body: String, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) -> MessageReceipt {
        let admission = state.withLock { state -> Refusal? in
            guard state.lease.isHeld(now: .now) else { return .unavailable }
            guard state.table.isLive(socket.id, grant) else { return .sessionEnded }
            guard state.queues[socket.id, default: SessionQueue()].reserve() else { return .tooManyMessages }
            return nil
        }
        if let admission { throw admission }
        let message = PairingStore.InboundMessage(session: grant.liveSession, messageID: id, body: body)
        do {
            let acceptance = try await refusing(logger) { try await inbound.submit(message) }.get()
            if acceptance.isRepeat {
                state.withLock { $0.queues[socket.id]?.release() }
            } else {
                enqueue(
                    .answer(sequence: acceptance.sequence, body: body), reserved: true, for: grant, on: socket
                )
            }
            return MessageReceipt(messageID: id, sequence: acceptance.sequence)
        } catch {
            state.withLock { $0.queues[socket.id]?.release() }
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
        _ work: SessionQueue.Work, reserved: Bool = false, for grant: SessionGrant,
        on socket: any DeviceSocket
    ) {
        let starts = state.withLock { state -> Bool in
            guard state.table.isLive(socket.id, grant) else {
                state.queues[socket.id] = nil
                return false
            }
            return reserved
                ? state.queues[socket.id, default: SessionQueue()].fill(work)
                : state.queues[socket.id, default: SessionQueue()].append(work)
        }
        if starts { Task { await self.runQueue(of: grant, on: socket) } }
    }

    /// Answers one session's messages, in order.
    private func runQueue(of grant: SessionGrant, on socket: any DeviceSocket) async {
        while let work = state.withLock({ $0.queues[socket.id]?.take() }), !work.isEmpty {
            for step in work {
                switch step {
                case .answer(let sequence, let body):
                    await answer(sequence, body, for: grant, on: socket)
                case .catchUp:
                    await catchUp(grant, on: socket)
                }
            }
        }
    }

    /// Delivers and answers what is open.
    ///
    /// Where that can't be read the socket is closed: a device that acknowledged what came next would
    /// acknowledge what it never got as well (I4).
    private func catchUp(_ grant: SessionGrant, on socket: any DeviceSocket) async {
        do {
            try await forEachOpen(.outbound, of: grant) {
                deliver($0, for: grant, on: socket)
                return await keepsUp(socket)
            }
            try await forEachOpen(.inbound, of: grant) {
                await answer($0.sequence, $0.body, for: grant, on: socket)
                return await keepsUp(socket)
            }
        } catch {
            logger.warning(
                "A session that could not catch up is closed",
                metadata: ["senderId": "\(grant.senderID)", "error": "\(error)"])
            let isLive = state.withLock { state in
                guard state.table.isLive(socket.id, grant) else { return false }
                state.table.leave(socket.id)
                return true
            }
            if isLive { socket.close(.authorityLost) }
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

    /// Answers one message. One that fails stays unanswered until its device connects again; those after it
    /// don't wait for that.
    private func answer(
        _ sequence: Int64, _ body: String, for grant: SessionGrant, on socket: any DeviceSocket
    ) async {
        do {
            let answer = try await agent.answer(to: body, from: grant.senderID)
            let reply = PairingStore.Reply(
                session: grant.liveSession, inReplyTo: sequence, agent: agent.name, body: answer)
            guard let message = try await replies.submit(reply) else { return }
            deliver(message, for: grant, on: socket)
        } catch {
            logger.warning(
                "A message stays unanswered until its device connects again",
                metadata: ["senderId": "\(grant.senderID)", "error": "\(error)"])
        }
    }

    private func deliver(
        _ message: PairingStore.StoredMessage, for grant: SessionGrant, on socket: any DeviceSocket
    ) {
        guard state.withLock({ $0.table.isLive(socket.id, grant) }) else { return }
        socket.deliver(
            OutboundMessage(
                sequence: message.sequence, agent: message.agent ?? agent.name, body: message.body))
    }
}
