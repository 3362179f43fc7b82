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
            let outcomes = try await accept(candidates.map { messages[$0] }, grant: grant, in: channel, lane)
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

    private func accept(
        _ messages: [SentMessage], grant: SessionGrant, in channel: ChannelSession, _ lane: MessageLane
    ) async throws(Refusal) -> [Result<MessageReceipt, Refusal>] {
        var results: [Result<MessageReceipt, Refusal>?] = messages.map { _ in nil }
        var inbound: [(index: Int, message: PairingStore.InboundMessage, frames: [OutboundFrame])] = []
        for (index, output) in try await receive(messages, grant: grant, in: channel, lane).enumerated() {
            switch output {
            case .success(let output) where output.isEphemeral:
                results[index] = .success(
                    MessageReceipt(
                        messageID: messages[index].id, sequence: MessageReceipt.ephemeral,
                        frames: output.frames.map(OutboundFrame.init)))
            case .success(let output):
                let message = PairingStore.InboundMessage(
                    session: grant.liveSession, messageID: messages[index].id, body: messages[index].body,
                    forwarded: output.messages.map {
                        PairingStore.ForwardedMessage(
                            agent: $0.agent.isEmpty ? messages[index].agent ?? "" : $0.agent, body: $0.body)
                    })
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
                    results[entry.index] = try await accept(alone, grant: grant, in: channel, lane).first
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
    private func receive(
        _ messages: [SentMessage], grant: SessionGrant, in session: ChannelSession, _ lane: MessageLane
    ) async throws(Refusal) -> [Result<ChannelOutput, Refusal>] {
        let keys = messages.map { PairingStore.MessageKey(session: grant.liveSession, messageID: $0.id) }
        let known = try await refusing(logger) { try await lane.numbers.submit(keys) }
        // All are of one pairing.
        let numbers = known.compactMap(\.self)
        guard numbers.count == messages.count else { throw .pairingEnded }
        let group = Mutex(ReceivedGroup(messages, known: numbers))
        let receivedAt = clock()
        let results = try await channels.receive(count: messages.count, in: session) { _, before in
            let (number, message) = group.withLock { $0.next(after: before) }
            return ChannelDeviceMessage(
                number: number, id: message.id, receivedAt: receivedAt, body: message.body)
        }
        return zip(results, group.withLock(\.isRepeat)).map { ReceivedGroup.settled($0, isRepeat: $1) }
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
