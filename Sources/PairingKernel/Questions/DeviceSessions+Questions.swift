import Agents
import ChannelHost
import Logging
import Metrics
import PairingCore
import PairingStore
import Synchronization

/// Devices without a session: each request shows a token, sends one message and waits for its answer. The message goes
/// the way of all others; only the answer has a second way out.
extension DeviceSessions {
    typealias AnswerReader = @Sendable (AnswerEvent) -> Void

    /// Who bears this token.
    ///
    /// - Throws: `UNAUTHORIZED` where nobody does; `NOT_PAIRED` with the reason where the token is known.
    public func device(
        bearing token: DeviceToken, from address: ClientAddress
    ) async throws(Refusal) -> PairedDevice {
        try await bearers.device(bearing: token, from: address)
    }

    /// The names of the agents that devices may ask for, in order.
    public var agentNames: [String] { agents.names }

    /// Of these, those that a device may ask for: whom an administrator chose for it, or else its channel's.
    public func agentNames(for device: PairedDevice) -> [String] {
        let chosen = device.agents.filter(agents.names.contains)
        return chosen.isEmpty ? [defaultAgentName(for: device.channel)] : chosen
    }

    /// Who answers a channel's devices where they ask for nobody.
    public func defaultAgentName(for channel: ChannelID) -> String { agents.defaultAgent(for: channel).name }

    /// Sends a message in a device's name, as `message.send` does, beside whatever session the device has.
    ///
    /// - Parameter reader: told what becomes of the answer, in order, on any thread; it must not block. Told nothing
    ///   more once it was told an end, or after ``giveUp(_:because:)``.
    /// - Throws: as ``send(id:body:agent:grant:on:)``; then `reader` is told nothing, or what it was told is void.
    public func ask(
        _ message: SentMessage, of device: PairedDevice, at address: ClientAddress,
        reading reader: @escaping @Sendable (AnswerEvent) -> Void
    ) async throws(Refusal) -> Question {
        guard let lane = lanes[device.channel] else { throw .channelNotLoaded(device.channel) }
        guard message.body.utf8.count <= Self.maximumBodyBytes else {
            throw .messageTooLarge(message.body.utf8.count)
        }
        guard hasAuthority else { throw .unavailable }
        let sender = PairingStore.PairedSender(senderID: device.senderID, generation: device.generation)
        // Before the message is accepted: its answer may come at once.
        let id = questions.withLock { $0.add(message.id, of: sender, reader) }
        do throws(Refusal) {
            let opening = ChannelSessionOpening(
                channel: device.channel, senderID: device.senderID, hasKey: device.credential.isKey,
                metadata: device.profile.metadata, openedAt: clock())
            let (channel, _) = try await channels.open(opening, onCloseRequest: { _ in })
            defer { channels.close(channel, reason: "a single request") }
            let session = PairingStore.LiveSession(
                senderID: device.senderID, generation: device.generation, epoch: .none)
            let origin = MessageOrigin(session: session, channel: device.channel, socket: nil)
            guard let result = try await accept([message], from: origin, in: channel, lane).first else {
                throw .internal
            }
            let receipt = try result.get()
            noteSeen(sender, at: address)
            let isAwaited = questions.withLock { questions in
                if receipt.isEphemeral { questions.remove(id) }
                return !receipt.isEphemeral && questions.accepted(id, as: receipt.sequence)
            }
            if isAwaited, !dispatcher.holds(receipt.sequence, of: device.senderID) {
                // A repeat may be answered already, or its answer be made on another instance.
                wantsAnswers.continuation.yield()
            }
            return Question(
                id: id, messageID: message.id, sequence: receipt.sequence, channel: device.channel,
                sender: sender)
        } catch {
            questions.withLock { _ = $0.remove(id) }
            throw error
        }
    }

    /// Whoever asked has been handed the answers: they count as acknowledged.
    public func handedOver(_ answers: [AnsweredMessage], to question: Question) {
        settle(answers, of: question, as: nil)
    }

    /// Whoever asked is gone before the answer was.
    ///
    /// - Parameters:
    ///   - answers: those that could not be handed over; they stay for whoever asks again with the same identifier.
    ///   - aborts: whether nobody will ask again, so that the agent may stop.
    public func giveUp(_ question: Question, aborts: Bool, _ answers: [AnsweredMessage] = []) {
        questions.withLock { _ = $0.remove(question.id) }
        guard answers.isEmpty else {
            return settle(
                answers, of: question, as: PairingStore.MessageEnd(.undeliverable, reason: "client_gone"))
        }
        guard aborts, question.sequence != MessageReceipt.ephemeral else { return }
        let key = PairingStore.MessageKey(session: question.session, messageID: question.messageID)
        Task {
            do {
                guard let aborted = try await store.abort(key, by: instanceID).get(), aborted.isNew else {
                    return
                }
                MessageEnds.aborted.increment()
                dispatcher.abort(aborted.report.sequence, of: question.sender.senderID.key)
            } catch {
                logger.debug("A message could not be given up", metadata: ["error": "\(error)"])
            }
        }
    }

    private func settle(
        _ answers: [AnsweredMessage], of question: Question, as end: PairingStore.MessageEnd?
    ) {
        let places = answers.map {
            PairingStore.Acknowledgement(session: question.session, sequence: $0.sequence)
        }
        if places.isEmpty { return }
        Task {
            do {
                if end != nil {
                    try await store.leaveOut(places, as: end)
                    MessageEnds.undeliverable.increment(by: places.count)
                } else if let lane = lanes[question.channel] {
                    for place in places { try await lane.leftOut.submit(place) }
                }
            } catch {
                // It is handed to the device's next session.
                logger.debug("An answer is not settled", metadata: ["error": "\(error)"])
            }
        }
    }

    // MARK: Telling

    /// Tells whoever waits what is told of an answer under way.
    func tellAskers(_ notice: AgentNotice, _ sender: PairingStore.PairedSender) {
        let readers = questions.withLock { $0.readers(of: notice.messageID, from: sender) }
        for reader in readers {
            switch notice {
            case .part(_, let agent, let number, let text):
                reader(.part(agent: agent, number: number, text: text))
            case .failed(_, let reason, isRetrying: true): reader(.retrying(reason: reason))
            // The end itself follows; and who waits knows that an answer is made.
            case .failed, .typing: break
            }
        }
    }

    /// The work on a message has come to an end here; its answers were claimed with that.
    func settled(_ settlement: PairingStore.Settlement, _ messages: [PairingStore.StoredMessage]) {
        let event: AnswerEvent
        switch settlement.result {
        case .answered: event = .answered(messages.map(AnsweredMessage.init))
        case .undeliverable(let reason):
            event = .unanswered(state: PairingStore.MessageEnd.State.undeliverable.rawValue, reason: reason)
        case .failed: return
        }
        let readers = questions.withLock { $0.take(settlement.messageID, of: settlement.sender) }
        for reader in readers { reader(event) }
    }

    /// The device's pairing has ended.
    func endQuestions(of senderID: SenderID, below generation: Generation) {
        let readers = questions.withLock { $0.revoke(senderID, below: generation) }
        for reader in readers { reader(.ended(.pairingEnded)) }
    }

    /// Nobody is told anything here any more.
    func endQuestions(_ refusal: Refusal) {
        for reader in questions.withLock({ $0.takeAll() }) { reader(.ended(refusal)) }
    }

    // MARK: Answers that come from elsewhere

    /// Whether somebody here waits for the answer to a message that is not worked on here.
    var isAnsweredElsewhere: Bool {
        questions.withLock { $0.awaited }.contains {
            !dispatcher.holds($0.message.sequence, of: $0.message.sender.senderID)
        }
    }

    /// Looks for answers that another instance made, when there may be some and once in a while.
    func lookForAnswers() async {
        for await _ in wantsAnswers.stream {
            let awaited = questions.withLock { $0.awaited }
            var rest = awaited[...]
            while !rest.isEmpty, !Task.isCancelled {
                let chunk = Array(rest.prefix(1000))
                rest = rest.dropFirst(1000)
                do {
                    let states = try await store.answerStates(of: chunk.map(\.message))
                    for ((id, message), state) in zip(chunk, states) {
                        try await pass(state, of: message, to: id)
                    }
                } catch {
                    if StoreFailure(error) == .cancelled { return }
                    logger.warning("No look for answers", metadata: ["error": "\(error)"])
                    break
                }
            }
        }
    }

    private func pass(
        _ state: PairingStore.AnswerState, of message: PairingStore.AwaitedMessage, to id: QuestionID
    ) async throws {
        let event: AnswerEvent
        switch state {
        case .open: return
        case .pairingEnded: event = .ended(.pairingEnded)
        case .gone:
            event = .unanswered(state: PairingStore.MessageEnd.State.expired.rawValue, reason: "not_kept")
        case .over(let end?): event = .unanswered(state: end.state.rawValue, reason: end.reason)
        case .over(nil):
            guard hasAuthority else { return }
            let answers = try await store.claimAnswers(to: message)
            event = answers.map { .answered($0.map(AnsweredMessage.init)) } ?? .ended(.pairingEnded)
        }
        questions.withLock { $0.remove(id) }?(event)
    }

    // MARK: Last seen

    /// Remembers that a device was there; written once in a while only.
    private func noteSeen(_ sender: PairingStore.PairedSender, at address: ClientAddress) {
        let isDue = seen.withLock { seen in
            let now = ContinuousClock.now
            if let last = seen[sender.senderID.key], now - last < .seconds(30) { return false }
            // Those that were not there lately are forgotten in bulk.
            if seen.count >= 10_000 { seen = seen.filter { now - $0.value < .seconds(30) } }
            seen[sender.senderID.key] = now
            return true
        }
        guard isDue else { return }
        Task {
            do {
                try await store.noteSeen([(sender, address)])
            } catch {
                logger.debug("A device's time is not written", metadata: ["error": "\(error)"])
            }
        }
    }
}

extension Question {
    fileprivate var session: PairingStore.LiveSession {
        PairingStore.LiveSession(
            senderID: sender.senderID, generation: sender.generation, epoch: .none)
    }
}
