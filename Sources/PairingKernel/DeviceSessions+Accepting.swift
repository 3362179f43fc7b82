import Agents
import ChannelHost
import Logging
import Metrics
import PairingCore
import PairingStore
import Synchronization

/// A message as a device sends it.
public struct SentMessage: Sendable, Equatable {
    /// The device's identifier, 1 to 128 bytes; a repeat gets the first receipt.
    public var id: String
    /// Compact JSON text of up to ``DeviceSessions/maximumBodyBytes``.
    public var body: String
    /// Who is to answer, where the channel names nobody; `nil` for whoever answers the channel's devices.
    public var agent: String?
    /// Which of the device's conversations it belongs to.
    public var conversation: ConversationName

    /// Wraps the parts.
    public init(
        id: String, body: String, agent: String? = nil, conversation: ConversationName = .main
    ) {
        self.id = id
        self.body = body
        self.agent = agent
        self.conversation = conversation
    }
}

extension DeviceSessions {
    /// `message.send` of one message; as ``send(_:grant:on:)``.
    public func send(
        id: String, body: String, agent: String? = nil, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) -> MessageReceipt {
        let results = await send([SentMessage(id: id, body: body, agent: agent)], grant: grant, on: socket)
        guard let result = results.first else { throw .internal }
        return try result.get()
    }

    /// `message.send`, for messages that came together: has each checked by its channel and stores them under the
    /// device's lock; those that return a receipt are acknowledged by the return (I4).
    ///
    /// They get numbers in their order. One that its channel refuses does not hold up those after it; one for which
    /// there is no room does, so that none overtakes it. A session has one call of this under way.
    ///
    /// - Returns: for each message its receipt, or why it was not accepted: the channel's refusal or the store's.
    public func send(
        _ messages: [SentMessage], grant: SessionGrant, on socket: any DeviceSocket
    ) async -> [Result<MessageReceipt, Refusal>] {
        guard let lane = lanes[grant.channel] else { return messages.map { _ in .failure(.sessionEnded) } }
        var results = messages.map {
            $0.body.utf8.count <= Self.maximumBodyBytes
                ? nil : Result<MessageReceipt, Refusal>.failure(.messageTooLarge($0.body.utf8.count))
        }
        do throws(Refusal) {
            let channel = try channel(of: grant, on: socket)
            let candidates = messages.indices.filter { results[$0] == nil }
            let origin = MessageOrigin(session: grant.liveSession, channel: grant.channel, socket: socket.id)
            let outcomes = try await accept(
                candidates.map { messages[$0] }, from: origin, in: channel, lane)
            for (index, outcome) in zip(candidates, outcomes) { results[index] = outcome }
        } catch {
            for index in messages.indices where results[index] == nil { results[index] = .failure(error) }
        }
        return results.map { $0 ?? .failure(.internal) }
    }

    /// The session's channel, where messages may be accepted from it.
    private func channel(of grant: SessionGrant, on socket: any DeviceSocket) throws(Refusal)
        -> ChannelSession
    {
        try state.withLock { state -> Result<ChannelSession, Refusal> in
            guard state.lease.isHeld(now: .now) else { return .failure(.unavailable) }
            guard state.table.isLive(socket.id, grant), let channel = state.work[socket.id]?.channel else {
                return .failure(.sessionEnded)
            }
            return .success(channel)
        }.get()
    }

    /// Where messages come from.
    struct MessageOrigin: Sendable {
        /// The pairing, and the session where there is one.
        var session: PairingStore.LiveSession
        var channel: ChannelID
        /// The session's socket; `nil` for a single request.
        var socket: SocketID?
    }

    /// What a device's message came to before it is stored.
    fileprivate enum Received {
        case accepted(ChannelOutput)
        case refused(Refusal)
        /// It has ended the process too often.
        case crashes
    }

    /// How often messages are tried again between which another connection's message of the device came.
    private static let mostTries = 8

    /// Has messages checked and stored, whoever sends them.
    func accept(
        _ messages: [SentMessage], from origin: MessageOrigin, in channel: ChannelSession, _ lane: MessageLane
    ) async throws(Refusal) -> [Result<MessageReceipt, Refusal>] {
        dispatcher.traces.remember(messages, of: origin.session.senderID)
        var results = try await acceptOnce(messages, from: origin, in: channel, lane)
        for _ in 1..<Self.mostTries {
            let again = results.indices.filter { results[$0].isNumberTaken }
            if again.isEmpty { break }
            let outcomes = try await acceptOnce(again.map { messages[$0] }, from: origin, in: channel, lane)
            for (index, outcome) in zip(again, outcomes) { results[index] = outcome }
        }
        return results
    }

    private func acceptOnce(
        _ messages: [SentMessage], from origin: MessageOrigin, in channel: ChannelSession, _ lane: MessageLane
    ) async throws(Refusal) -> [Result<MessageReceipt, Refusal>] {
        var results: [Result<MessageReceipt, Refusal>?] = messages.map { _ in nil }
        var inbound: [(index: Int, message: PairingStore.InboundMessage, frames: [ChannelFrame])] = []
        for (index, (number, output)) in try await receive(messages, from: origin, in: channel, lane)
            .enumerated()
        {
            switch output {
            case .accepted(let output) where output.isEphemeral:
                try await note(output, from: origin)
                results[index] = .success(
                    MessageReceipt(
                        messageID: messages[index].id, sequence: MessageReceipt.ephemeral,
                        frames: output.frames))
            case .accepted(let output):
                // Before it is accepted: a device that gets no receipt repeats it.
                let answersCommand = try await takeAnswer(messages[index].body, from: origin.session.sender)
                try await note(output, from: origin)
                let notices = try await notices(of: output.receipts, from: origin.session.sender)
                let message = PairingStore.InboundMessage(
                    session: origin.session, messageID: messages[index].id, body: messages[index].body,
                    forwarded: answersCommand
                        ? notices
                        : output.messages.map {
                            PairingStore.ForwardedMessage(agent: $0.agent, body: $0.body)
                        } + notices,
                    agent: messages[index].agent.map {
                        PairingStore.NamedAgent(
                            name: $0,
                            answersChannel: $0 == dispatcher.agents.defaultAgent(for: origin.channel).name)
                    }, number: number, conversation: messages[index].conversation)
                inbound.append((index, message, output.frames))
            case .crashes:
                let message = PairingStore.InboundMessage(
                    session: origin.session, messageID: messages[index].id, body: messages[index].body,
                    forwarded: [], end: PairingStore.MessageEnd(.undeliverable, reason: "channel_crashed"),
                    number: number, conversation: messages[index].conversation)
                inbound.append(
                    (
                        index, message,
                        [
                            AgentNotice.failed(
                                messageID: messages[index].id, reason: "channel_crashed", isRetrying: false
                            ).frame
                        ]
                    ))
            case .refused(let refusal): results[index] = .failure(refusal)
            }
        }
        if let stored = try await store(inbound.map(\.message), lane) {
            for (entry, outcome) in zip(inbound, stored) {
                if entry.message.end != nil, case .success(let acceptance) = outcome, !acceptance.isRepeat {
                    crashed(entry.message)
                }
                results[entry.index] = outcome.map {
                    MessageReceipt(
                        messageID: messages[entry.index].id, sequence: $0.sequence, frames: entry.frames)
                }
            }
        } else {
            for entry in inbound {
                do throws(Refusal) {
                    let alone = [messages[entry.index]]
                    results[entry.index] = try await acceptOnce(alone, from: origin, in: channel, lane).first
                } catch {
                    results[entry.index] = .failure(error)
                }
            }
        }
        return results.map { $0 ?? .failure(.internal) }
    }

    /// Has messages checked and turned into agent messages and frames, before they are accepted.
    ///
    /// A repeat is what was accepted before, whatever it says now, and is no longer refused.
    ///
    /// - Returns: for each message the number that its channel was told, and what the channel made of it.
    private func receive(
        _ messages: [SentMessage], from origin: MessageOrigin, in session: ChannelSession, _ lane: MessageLane
    ) async throws(Refusal) -> [(number: Int64, Received)] {
        let keys = messages.map { PairingStore.MessageKey(session: origin.session, messageID: $0.id) }
        let known = try await refusing(logger) { try await lane.numbers.submit(keys) }
        // All are of one pairing.
        let numbers = known.compactMap(\.self)
        guard numbers.count == messages.count else { throw .pairingEnded }
        let group = ReceivedGroup(messages, known: numbers)
        // A single request belongs to no session that would know what happened before it.
        let isSuspect =
            origin.socket.map { socket in
                state.withLock { $0.work[socket]?.suspects.takeInbound(messages.count) ?? false }
            } ?? true
        if isSuspect {
            let results = try await receive(group, messages.count, origin.session, in: session)
            if let socket = origin.socket, !results.contains(where: \.1.isGivenUp) { noteProof(of: socket) }
            return results
        }
        let shared = Mutex(group)
        let receivedAt = clock()
        let results = try await channels.receive(count: messages.count, in: session) { _, before in
            shared.withLock { $0.next(after: before) }.received(at: receivedAt)
        }
        let told = shared.withLock(\.told)
        return zip(results, told).map { ($1.number, Received($0, isRepeat: $1.isRepeat)) }
    }

    /// A message of the session is back from its channel: what the session before was suspected of did not happen again.
    func noteProof(of socket: SocketID) { state.withLock { $0.work[socket]?.unproven = nil } }

    private func crashed(_ message: PairingStore.InboundMessage) {
        MessageEnds.undeliverable.increment()
        logger.error(
            "A device's message is not handed to its channel any more: each time the process ended",
            metadata: [
                "senderId": "\(message.session.senderID)",
                "messageId": "\(cleanDeviceText(message.messageID, maximumScalars: 128))",
            ])
    }

    /// The same for messages of which one may have ended the process: one by one, each recorded before.
    private func receive(
        _ group: ReceivedGroup, _ count: Int, _ live: PairingStore.LiveSession, in session: ChannelSession
    ) async throws(Refusal) -> [(number: Int64, Received)] {
        var group = group
        var results: [(number: Int64, Received)] = []
        var before: Result<ChannelOutput, Refusal>?
        for _ in 0..<count {
            let next = group.next(after: before)
            let message = next.received(at: clock())
            let result = Mutex<Result<ChannelOutput, Refusal>>(.failure(.internal))
            let isMade = try await refusing(logger) {
                try await suspectCalls.make(.init(receiving: message.id, of: live)) {
                    [channels] in
                    do throws(Refusal) {
                        let output = try await channels.receive(message, in: session)
                        result.withLock { $0 = .success(output) }
                    } catch {
                        result.withLock { $0 = .failure(error) }
                    }
                    return result.withLock(\.isBack)
                }
            }
            // One that crashes is stored as what it is, and takes its number.
            before = isMade ? result.withLock(\.self) : .success(ChannelOutput())
            let received: Received =
                isMade
                ? Received(before ?? .failure(.internal), isRepeat: next.isRepeat)
                : next.isRepeat ? .accepted(ChannelOutput()) : .crashes
            results.append((next.number, received))
        }
        return results
    }

    /// - Returns: for each message what came of it; `nil` where the database finds fault with one of several, so that
    ///   each has to be tried alone.
    private func store(
        _ messages: [PairingStore.InboundMessage], _ lane: MessageLane
    ) async throws(Refusal) -> [Result<PairingStore.Acceptance, Refusal>]? {
        if messages.isEmpty { return [] }
        return try await refusing(logger) {
            do {
                return try await lane.inbound.submit(messages).map(Self.result)
            } catch {
                guard messages.count > 1, case .broken? = StoreFailure(error) else { throw error }
                return nil
            }
        }
    }

    private static func result(
        _ outcome: Outcome<PairingStore.Acceptance>
    ) -> Result<PairingStore.Acceptance, Refusal> {
        do throws(Refusal) { return .success(try outcome.get()) } catch { return .failure(error) }
    }
}

extension DeviceSessions.Received {
    /// Whether the channel did not answer in time.
    fileprivate var isGivenUp: Bool {
        if case .refused(let refusal) = self { refusal.isOf(.channelTimeout) } else { false }
    }

    /// What counts of a channel's answer: what was stored stays stored, whatever the channel thinks of it by now.
    fileprivate init(_ result: Result<ChannelOutput, Refusal>, isRepeat: Bool) {
        switch result {
        case .success(var output):
            if isRepeat { output.isEphemeral = false }
            self = .accepted(output)
        case .failure(let refusal): self = isRepeat ? .accepted(ChannelOutput()) : .refused(refusal)
        }
    }
}

extension Result<MessageReceipt, Refusal> {
    /// Whether another message of the device came in between, so that this one is to be tried again.
    fileprivate var isNumberTaken: Bool {
        if case .failure(let refusal) = self { refusal == .numberTaken } else { false }
    }
}
