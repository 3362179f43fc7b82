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
    ///   - body: compact JSON text of up to ``maximumBodyBytes``.
    /// - Throws: the channel's refusal, or the store's; nothing was accepted.
    public func send(
        id: String, body: String, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) -> MessageReceipt {
        guard body.utf8.count <= Self.maximumBodyBytes else { throw .messageTooLarge(body.utf8.count) }
        guard let lane = lanes[grant.channel] else { throw .sessionEnded }
        let channel = try state.withLock { state -> Result<ChannelSession, Refusal> in
            guard state.lease.isHeld(now: .now) else { return .failure(.unavailable) }
            guard state.table.isLive(socket.id, grant), let channel = state.work[socket.id]?.channel else {
                return .failure(.sessionEnded)
            }
            guard state.work[socket.id]?.queue.reserve() == true else { return .failure(.tooManyMessages) }
            return .success(channel)
        }.get()
        do {
            let output = try await receive(id: id, body: body, grant: grant, in: channel, lane)
            let message = PairingStore.InboundMessage(
                session: grant.liveSession, messageID: id, body: body,
                forwarded: output.messages.map {
                    PairingStore.ForwardedMessage(agent: $0.agent, body: $0.body)
                })
            let acceptance = try await refusing(logger) { try await lane.inbound.submit(message) }.get()
            if acceptance.isRepeat {
                state.withLock { $0.work[socket.id]?.queue.release() }
                // The commit that accepted it may have had no answer, so that nobody had it answered.
                enqueue(.answerOpen, for: grant, on: socket)
            } else if message.forwarded.isEmpty {
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
                case .answerOpen:
                    await answerOpen(for: grant, on: socket)
                case .catchUp:
                    await catchUp(grant, on: socket)
                }
            }
        }
    }

    /// Ends the work for a session that is none any more.
    private struct SessionOver: Error {}

    /// Greets the device, then delivers and answers what is open.
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
        await deliverOpen(upTo: .max, for: grant, on: socket)
        await answerOpen(for: grant, on: socket)
    }

    /// Claims and delivers what is stored for the device and was not handed out on this session.
    ///
    /// Where that can't be read the socket is closed: a device that acknowledged what came next would
    /// acknowledge what it never got as well (I4).
    private func deliverOpen(upTo last: Int64, for grant: SessionGrant, on socket: any DeviceSocket) async {
        do {
            try await deliverStored(upTo: last, for: grant, on: socket)
        } catch is SessionOver {
            return
        } catch {
            logger.warning(
                "A session that could not catch up is closed",
                metadata: ["senderId": "\(grant.senderID)", "error": "\(error)"])
            end(grant, on: socket, .authorityLost, because: "the database is away")
        }
    }

    private func deliverStored(
        upTo last: Int64, for grant: SessionGrant, on socket: any DeviceSocket
    ) async throws {
        guard let delivered = state.withLock({ $0.work[socket.id]?.delivered }) else { throw SessionOver() }
        try await forEachOpen(.outbound, of: grant, after: delivered, upTo: last) {
            guard await deliver($0, for: grant, on: socket) else { throw SessionOver() }
            return await keepsUp(socket)
        }
    }

    /// Has what is accepted and unanswered answered; where that can't be read, later.
    ///
    /// Before that it delivers what an earlier attempt stored without learning that it had: such an answer is not
    /// given again.
    private func answerOpen(for grant: SessionGrant, on socket: any DeviceSocket) async {
        do {
            try await deliverStored(upTo: .max, for: grant, on: socket)
            try await forEachOpen(.inbound, of: grant) {
                await answer($0.sequence, $0.forwarded, for: grant, on: socket)
                return await keepsUp(socket)
            }
        } catch is SessionOver {
            return
        } catch {
            retry(grant, on: socket, after: error)
        }
    }

    /// Has unanswered messages tried again after a while, longer each time, once for however many there are: a
    /// device may stay connected for weeks.
    private func retry(_ grant: SessionGrant, on socket: any DeviceSocket, after error: any Error) {
        let delay = state.withLock { state -> Duration? in
            guard state.table.isLive(socket.id, grant), let work = state.work[socket.id], !work.waitsToRetry
            else { return nil }
            state.work[socket.id]?.waitsToRetry = true
            state.work[socket.id]?.retryDelay = min(work.retryDelay * 2, .seconds(60))
            return work.retryDelay
        }
        // Said once for however many there are, too.
        guard let delay else { return }
        logger.warning(
            "Messages stay unanswered for now",
            metadata: ["senderId": "\(grant.senderID)", "error": "\(error)"])
        Task { [weak socket] in
            try? await Task.sleep(for: delay)
            guard let socket else { return }
            state.withLock { $0.work[socket.id]?.waitsToRetry = false }
            enqueue(.answerOpen, for: grant, on: socket)
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
        _ direction: PairingStore.MessageDirection, of grant: SessionGrant, after first: Int64 = 0,
        upTo final: Int64 = .max, _ body: (PairingStore.StoredMessage) async throws -> Bool
    ) async throws {
        var last = first
        // What this session accepts meanwhile waits in its queue.
        var newest = final
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

    /// Has what one message became answered. One that fails is tried again later; those after it don't wait for
    /// that.
    private func answer(
        _ sequence: Int64, _ forwarded: [PairingStore.ForwardedMessage], for grant: SessionGrant,
        on socket: any DeviceSocket
    ) async {
        guard let lane = lanes[grant.channel] else { return }
        do {
            var answers: [PairingStore.Reply.Answer] = []
            for (part, message) in forwarded.enumerated() {
                answers.append(try await answer(message, sequence: sequence, part: part, for: grant))
            }
            let reply = PairingStore.Reply(
                session: grant.liveSession, inReplyTo: sequence, answers: answers)
            let messages = try await lane.replies.submit(reply)
            state.withLock { $0.work[socket.id]?.retryDelay = SessionWork.firstRetryDelay }
            await handOut(messages, for: grant, on: socket)
        } catch {
            retry(grant, on: socket, after: error)
        }
    }

    /// Delivers answers that were just stored.
    ///
    /// Where they don't follow what was delivered last, a commit before stored some whose outcome nobody learnt; where
    /// there are none, one stored these. Either are read from the store, so that they are delivered by number and none
    /// is acknowledged by the number of a later one (I4).
    private func handOut(
        _ messages: [PairingStore.StoredMessage], for grant: SessionGrant, on socket: any DeviceSocket
    ) async {
        let delivered = state.withLock { $0.work[socket.id]?.delivered }
        guard let delivered else { return }
        guard let first = messages.first, let last = messages.last, first.sequence == delivered + 1 else {
            return await deliverOpen(upTo: messages.last?.sequence ?? .max, for: grant, on: socket)
        }
        for message in messages {
            guard await deliver(message, for: grant, on: socket) else { return }
            if await !keepsUp(socket), message.sequence < last.sequence {
                return await deliverOpen(upTo: last.sequence, for: grant, on: socket)
            }
        }
    }
}
