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
            case .deliver(let messages):
                guard await deliver(messages, to: live) else { return }
                unchecked += messages.reduce(0) { $0 + $1.body.utf8.count + 1024 }
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

    /// Has messages to the device turned into frames by its channel, and sends them.
    ///
    /// One that the channel refuses for good, or fails on too often, comes to its end: the next follows. One that it
    /// fails on is tried again, and nothing overtakes it (I4).
    ///
    /// - Returns: whether the session goes on.
    private func deliver(_ messages: [PairingStore.StoredMessage], to live: Live) async -> Bool {
        let grant = live.grant
        guard
            let (session, suspects) = state.withLock({ state in
                state.work[live.id].map { ($0.channel, $0.suspects) }
            })
        else { return false }
        let results: [Result<[ChannelFrame], Refusal>]
        if let first = messages.first, first.sequence <= suspects.outbound {
            guard let result = await deliver(suspect: first, to: live, in: session) else { return false }
            if result.isBack { noteProof(of: live.id) }
            results = [result]
        } else {
            do throws(Refusal) {
                results = try await channels.deliver(
                    messages.map { ChannelAgentMessage($0, of: grant) }, in: session)
            } catch {
                results = [.failure(error)]
            }
        }
        guard state.withLock({ $0.table.isLive(live.id, grant) }) else { return false }
        for (index, (message, result)) in zip(messages, results).enumerated() {
            switch result {
            case .success(let frames):
                for frame in frames {
                    live.socket.deliver(frame.answering(message))
                }
                if frames.isEmpty { await leaveOut(message.sequence, for: grant) }
            case .failure(let refusal):
                change(live) { $0.handedOut(index) }
                logger.warning(
                    "A channel did not take a message for its device",
                    metadata: [
                        "channel": "\(grant.channel)", "senderId": "\(grant.senderID)",
                        "messageSeq": "\(message.sequence)", "reason": "\(refusal.reason)",
                        "message": "\(refusal.message)",
                    ])
                return await failed(message, refusal, live)
            }
        }
        change(live) { $0.handedOut(results.count) }
        return true
    }

    /// The same for a message that may have ended the process: recorded before.
    ///
    /// - Returns: `nil` where the session does not go on.
    private func deliver(
        suspect message: PairingStore.StoredMessage, to live: Live, in session: ChannelSession
    ) async -> Result<[ChannelFrame], Refusal>? {
        let result = Mutex<Result<[ChannelFrame], Refusal>>(.failure(.channelCrashed))
        do {
            let name = PairingStore.SuspectCall(delivering: message.sequence, to: live.grant.liveSession)
            _ = try await suspectCalls.make(name) { [channels] in
                do throws(Refusal) {
                    let said = ChannelAgentMessage(message, of: live.grant)
                    let frames = try await channels.deliver(said, in: session)
                    result.withLock { $0 = .success(frames) }
                } catch {
                    result.withLock { $0 = .failure(error) }
                }
                return result.withLock(\.isBack)
            }
            return result.withLock(\.self)
        } catch {
            if StoreFailure(error) == .cancelled { return nil }
            logger.warning("A delivery could not be recorded", metadata: ["error": "\(error)"])
            end(live.grant, on: live.socket, .authorityLost, because: "the database is away")
            return nil
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

extension ChannelAgentMessage {
    fileprivate init(_ message: PairingStore.StoredMessage, of grant: SessionGrant) {
        self.init(
            number: message.sequence, id: "\(grant.generation)-\(message.sequence)",
            agent: message.agent ?? "", body: message.body)
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

extension ChannelFrame {
    /// The event `message` with what it answers and the conversation that it belongs to, where its channel says nothing
    /// of that.
    func answering(_ message: PairingStore.StoredMessage) -> ChannelFrame {
        guard event == "message" else { return self }
        let frame = message.inReplyTo.map { adding("inReplyTo", $0) } ?? self
        return message.conversation.isMain
            ? frame : frame.adding("conversation", message.conversation.text)
    }

    private func adding(_ name: String, _ text: String) -> ChannelFrame {
        guard !payload.utf8.holds("\"\(name)\"".utf8),
            let end = payload.utf8.lastIndex(of: UInt8(ascii: "}"))
        else { return self }
        let last = payload.utf8[..<end].last { !" \n\r\t".utf8.contains($0) }
        let separator = last == UInt8(ascii: "{") ? "" : ","
        let member = "\(separator)\"\(name)\":\(JSONValue.string(text).text)}"
        return ChannelFrame(event: event, payload: payload[..<end] + member)
    }
}

extension String.UTF8View {
    /// Whether these bytes stand in it somewhere.
    fileprivate func holds(_ word: String.UTF8View) -> Bool {
        guard let first = word.first else { return true }
        var rest = self[...]
        while let place = rest.firstIndex(of: first) {
            rest = rest[place...]
            if rest.starts(with: word) { return true }
            rest = rest.dropFirst()
        }
        return false
    }
}
