import ChannelHost
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

    /// Wraps the parts.
    public init(id: String, body: String, agent: String? = nil) {
        self.id = id
        self.body = body
        self.agent = agent
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
            let outcomes = try await accept(
                candidates.map { messages[$0] }, of: grant.liveSession, in: channel, lane)
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

    /// How often messages are tried again between which another connection's message of the device came.
    private static let mostTries = 8

    func accept(
        _ messages: [SentMessage], of session: PairingStore.LiveSession, in channel: ChannelSession,
        _ lane: MessageLane
    ) async throws(Refusal) -> [Result<MessageReceipt, Refusal>] {
        var results = try await acceptOnce(messages, of: session, in: channel, lane)
        for _ in 1..<Self.mostTries {
            let again = results.indices.filter { results[$0].isNumberTaken }
            if again.isEmpty { break }
            let outcomes = try await acceptOnce(again.map { messages[$0] }, of: session, in: channel, lane)
            for (index, outcome) in zip(again, outcomes) { results[index] = outcome }
        }
        return results
    }

    private func acceptOnce(
        _ messages: [SentMessage], of session: PairingStore.LiveSession, in channel: ChannelSession,
        _ lane: MessageLane
    ) async throws(Refusal) -> [Result<MessageReceipt, Refusal>] {
        var results: [Result<MessageReceipt, Refusal>?] = messages.map { _ in nil }
        var inbound: [(index: Int, message: PairingStore.InboundMessage, frames: [OutboundFrame])] = []
        for (index, (number, output)) in try await receive(messages, of: session, in: channel, lane)
            .enumerated()
        {
            switch output {
            case .success(let output) where output.isEphemeral:
                results[index] = .success(
                    MessageReceipt(
                        messageID: messages[index].id, sequence: MessageReceipt.ephemeral,
                        frames: output.frames.map(OutboundFrame.init)))
            case .success(let output):
                let message = PairingStore.InboundMessage(
                    session: session, messageID: messages[index].id, body: messages[index].body,
                    forwarded: output.messages.map {
                        PairingStore.ForwardedMessage(
                            agent: $0.agent.isEmpty ? messages[index].agent ?? "" : $0.agent, body: $0.body)
                    }, number: number)
                inbound.append((index, message, output.frames.map(OutboundFrame.init)))
            case .failure(let refusal): results[index] = .failure(refusal)
            }
        }
        if let stored = try await store(inbound.map(\.message), lane) {
            for (entry, outcome) in zip(inbound, stored) {
                results[entry.index] = outcome.map {
                    MessageReceipt(
                        messageID: messages[entry.index].id, sequence: $0.sequence, frames: entry.frames)
                }
            }
        } else {
            for entry in inbound {
                do throws(Refusal) {
                    let alone = [messages[entry.index]]
                    results[entry.index] = try await acceptOnce(alone, of: session, in: channel, lane).first
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
        _ messages: [SentMessage], of session: PairingStore.LiveSession, in channel: ChannelSession,
        _ lane: MessageLane
    ) async throws(Refusal) -> [(number: Int64, Result<ChannelOutput, Refusal>)] {
        let keys = messages.map { PairingStore.MessageKey(session: session, messageID: $0.id) }
        let known = try await refusing(logger) { try await lane.numbers.submit(keys) }
        // Seldom does somebody else take a number meanwhile: the session sends one group at a time, and it is only
        // checked with the acceptance that nobody sent beside it. A message that is refused leaves its number to the
        // next.
        var taken: Int64 = 0
        var named: [String: (number: Int64, body: String)] = [:]
        var outputs: [(number: Int64, Result<ChannelOutput, Refusal>)] = []
        for (message, known) in zip(messages, known) {
            guard let known else { throw .pairingEnded }
            let repeated = named[message.id] ?? known.accepted.map { (known.number, $0) }
            let number = repeated?.number ?? known.number + taken
            do throws(Refusal) {
                var output = try await channels.receive(
                    ChannelDeviceMessage(
                        number: number, id: message.id, receivedAt: clock(),
                        body: repeated?.body ?? message.body),
                    in: channel)
                if repeated != nil {
                    // What was stored stays stored, whatever the channel thinks of it by now.
                    output.isEphemeral = false
                } else if !output.isEphemeral {
                    taken += 1
                    if messages.count > 1 { named[message.id] = (number, message.body) }
                }
                outputs.append((number, .success(output)))
            } catch {
                outputs.append((number, repeated == nil ? .failure(error) : .success(ChannelOutput())))
            }
        }
        return outputs
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

extension Result<MessageReceipt, Refusal> {
    /// Whether another message of the device came in between, so that this one is to be tried again.
    fileprivate var isNumberTaken: Bool {
        if case .failure(let refusal) = self { refusal == .numberTaken } else { false }
    }
}
