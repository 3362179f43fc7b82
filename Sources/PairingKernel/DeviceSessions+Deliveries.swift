import ChannelHost
import Logging
import Metrics
import PairingCore
import PairingStore
import Synchronization

/// Hands messages to devices: each session's machine says which is next, and here it is carried out.
extension DeviceSessions: AgentAudience {
    // MARK: What there is to deliver

    func stored(
        _ messages: [PairingStore.StoredMessage], for sender: PairingStore.PairedSender, epoch: Epoch
    ) {
        guard let live = state.withLock({ $0.table.session(ofKey: sender.senderID.key) }),
            live.grant.epoch == epoch, live.grant.generation == sender.generation
        else { return }
        deliver(to: live) { $0.stored(messages) }
    }

    func look(for settlement: PairingStore.Settlement) {
        look(for: [settlement.sender.senderID.key])
        wantsAnswers.continuation.yield()
    }

    /// Has the sessions of these devices look for what is stored for them.
    func look(for keys: [String]) {
        let sessions = state.withLock { state in keys.compactMap { state.table.session(ofKey: $0) } }
        for live in sessions { deliver(to: live) { $0.look() } }
    }

    func tell(_ notice: AgentNotice, _ sender: PairingStore.PairedSender) async {
        guard hasAuthority else { return }
        tellAskers(notice, sender)
        let live = state.withLock { $0.table.session(ofKey: sender.senderID.key) }
        guard let live, live.grant.generation == sender.generation, await !live.socket.isBehind() else {
            return
        }
        live.socket.deliver(notice.frame)
    }

    /// Changes what a session has to deliver, and has that carried out.
    func deliver(to live: Live, _ change: (inout SessionDelivery) -> Bool) {
        let starts = state.withLock { state -> Bool in
            guard state.table.isLive(live.id, live.grant), var work = state.work[live.id] else {
                return false
            }
            let starts = change(&work.delivery)
            state.work[live.id] = work
            return starts
        }
        if starts { deliveries.continuation.yield(live) }
    }

    // MARK: Carrying it out

    /// Carries out every session's deliveries, one at a time for each.
    func carryOutDeliveries() async {
        await withDiscardingTaskGroup { group in
            for await live in deliveries.stream {
                group.addTask { await self.deliver(to: live) }
            }
            group.cancelAll()
        }
    }

    private func deliver(to live: Live) async {
        var unchecked = 0
        while let step = state.withLock({ state -> SessionDelivery.Step? in
            guard state.table.isLive(live.id, live.grant) else { return nil }
            return state.work[live.id]?.delivery.next()
        }) {
            switch step {
            case .nothing: return
            case .read(let number):
                guard await read(after: number, for: live) else { return }
            case .deliver(let message):
                guard await deliver(message, to: live) else { return }
                unchecked += message.body.utf8.count + 1024
                // Asking takes a turn of the socket's loop: only where much was sent, or more follows.
                guard unchecked > 16 << 10 || hasMoreInHand(live) else { continue }
                unchecked = 0
                if await !keepsUp(live.socket) { change(live) { $0.putDown() } }
            }
        }
    }

    private func hasMoreInHand(_ live: Live) -> Bool {
        state.withLock { $0.work[live.id]?.delivery.hasMoreInHand ?? false }
    }

    private func change(_ live: Live, _ body: (inout SessionDelivery) -> Void) {
        state.withLock { state in
            guard state.table.isLive(live.id, live.grant), var work = state.work[live.id] else { return }
            body(&work.delivery)
            state.work[live.id] = work
        }
    }

    /// Claims what is stored for the device and was not handed out on this session.
    ///
    /// Where that can't be read the socket is closed: a device that acknowledged what came next would
    /// acknowledge what it never got as well (I4).
    ///
    /// - Returns: whether the session goes on.
    private func read(after number: Int64, for live: Live) async -> Bool {
        do {
            let page = try await store.openMessages(
                .outbound, of: live.grant.liveSession, after: number, upTo: .max)
            guard let page else { return false }
            change(live) { $0.read(page.messages, newest: page.newest) }
            return true
        } catch {
            if StoreFailure(error) == .cancelled { return false }
            logger.warning(
                "A session that could not catch up is closed",
                metadata: ["senderId": "\(live.grant.senderID)", "error": "\(error)"])
            end(live.grant, on: live.socket, .authorityLost, because: "the database is away")
            return false
        }
    }

    /// Lets a slow client take what it was sent: it has a thousand messages to catch up with at most, and room
    /// for far less. Closed for being slow, it would be sent the same again, for ever.
    ///
    /// - Returns: `false` where that took time: what was claimed before has to be claimed again (I3).
    private func keepsUp(_ socket: any DeviceSocket) async -> Bool {
        guard await socket.isBehind() else { return true }
        repeat {
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return false }
        } while await socket.isBehind()
        return false
    }

    /// Has an agent's message turned into frames by its channel, and sends them.
    ///
    /// One that the channel refuses for good, or fails on too often, comes to its end: the next follows. One that it
    /// fails on is tried again, and nothing overtakes it (I4).
    ///
    /// - Returns: whether the session goes on.
    private func deliver(_ message: PairingStore.StoredMessage, to live: Live) async -> Bool {
        let grant = live.grant
        guard let session = state.withLock({ $0.work[live.id]?.channel }) else { return false }
        let agentMessage = ChannelAgentMessage(
            number: message.sequence, id: "\(grant.generation)-\(message.sequence)",
            agent: message.agent ?? "", body: message.body)
        do throws(Refusal) {
            let frames = try await channels.deliver(agentMessage, in: session)
            guard state.withLock({ $0.table.isLive(live.id, grant) }) else { return false }
            for frame in frames {
                live.socket.deliver(OutboundFrame(frame).answering(message.inReplyTo))
            }
            change(live) { $0.handedOut() }
            if frames.isEmpty { await leaveOut(message.sequence, for: grant) }
            return true
        } catch {
            logger.warning(
                "A channel did not take a message for its device",
                metadata: [
                    "channel": "\(grant.channel)", "senderId": "\(grant.senderID)",
                    "messageSeq": "\(message.sequence)", "reason": "\(error.reason)",
                    "message": "\(error.message)",
                ])
            return await failed(message, error, live)
        }
    }

    private func failed(
        _ message: PairingStore.StoredMessage, _ refusal: Refusal, _ live: Live
    ) async -> Bool {
        switch DeliveryFault(refusal) {
        case .ofService:
            end(live.grant, on: live.socket, .channelUnavailable, because: "the channel is unavailable")
            return false
        case .ofMoment:
            return (try? await Task.sleep(for: refusal.retryAfter ?? .seconds(1))) != nil
        case .ofMessage:
            let place = PairingStore.Acknowledgement(
                session: live.grant.liveSession, sequence: message.sequence)
            do {
                let attempts =
                    refusal.retryable
                    ? try await store.countFailedDelivery(of: place) : settings.deliveryAttempts
                guard let attempts else { return false }
                if attempts >= settings.deliveryAttempts {
                    try await store.leaveOut(
                        [place], as: PairingStore.MessageEnd(.undeliverable, reason: refusal.reason))
                    MessageEnds.undeliverable.increment()
                    change(live) { $0.handedOut() }
                    return true
                }
                let pause = settings.deliveryPause * (1 << min(attempts - 1, 5))
                return (try? await Task.sleep(for: pause)) != nil
            } catch {
                if StoreFailure(error) == .cancelled { return false }
                logger.warning(
                    "A failed delivery could not be counted", metadata: ["error": "\(error)"])
                end(live.grant, on: live.socket, .authorityLost, because: "the database is away")
                return false
            }
        }
    }

    /// The device never hears of this message, so it can't acknowledge it either.
    private func leaveOut(_ sequence: Int64, for grant: SessionGrant) async {
        do {
            try await lanes[grant.channel]?.leftOut.submit(
                PairingStore.Acknowledgement(session: grant.liveSession, sequence: sequence))
        } catch {
            // It is offered to the channel again with the next session.
            logger.debug("A message that was left out is not settled", metadata: ["error": "\(error)"])
        }
    }
}

/// Whose fault it is that a channel did not deliver a message.
private enum DeliveryFault {
    /// The message's, as far as anybody can tell.
    case ofMessage
    /// The channel has too much to do, or this device's messages have made it fail: the message waits.
    case ofMoment
    /// The channel is out of service.
    case ofService

    init(_ refusal: Refusal) {
        switch refusal.reason {
        case "channel_out_of_service": self = .ofService
        case "channel_busy", "channel_failing_here": self = .ofMoment
        default: self = .ofMessage
        }
    }
}

extension OutboundFrame {
    /// The event `message` with what it answers, where its channel says nothing of that.
    func answering(_ messageID: String?) -> OutboundFrame {
        guard let messageID, event == "message", !payload.contains(#""inReplyTo""#),
            let end = payload.lastIndex(of: "}")
        else { return self }
        var frame = self
        let isEmpty = payload[..<end].last { !$0.isWhitespace } == "{"
        frame.payload.replaceSubrange(
            end..., with: "\(isEmpty ? "" : ",")\"inReplyTo\":\(JSONValue.string(messageID).text)}")
        return frame
    }
}
