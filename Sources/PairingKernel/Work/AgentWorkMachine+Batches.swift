import ChannelHost
import PairingCore
import PairingStore

/// How a channel wants a device's messages handed to an agent: several at once.
struct Batching: Sendable, Equatable {
    /// Messages at once at most.
    var messages: Int
    /// How long the first of them waits for others.
    var time: Duration
}

extension AgentWorkMachine {
    /// The bytes of a batch at most, after its first message.
    static let batchBytes = 256 << 10

    /// Asks about those of the device's messages that wait as about one, once there are enough of them or the first has
    /// waited long enough. One batch of a device is under way at a time, so that nothing overtakes it.
    mutating func startBatch(of device: inout Device, _ key: String, _ rule: Batching, _ now: Instant) {
        var batch: [Int] = []
        var bytes = 0
        // What is in the store needs no waiting for.
        var isFull = device.hasMore
        scan: for (index, item) in device.items.enumerated() {
            switch item.phase {
            case .ready, .storing: continue
            case .asked: return
            case .delayed(let until) where until > now:
                isFull = true
                break scan
            case .waiting, .delayed: break
            }
            let first = batch.first.map { device.items[$0] }
            let isFitting =
                first.map { first in
                    item.agents == first.agents
                        && item.work.conversation == first.work.conversation && !item.standsAlone
                        && !first.standsAlone
                        && bytes + item.work.bytes <= Self.batchBytes
                } ?? true
            guard isFitting, batch.count < min(rule.messages, limits.perDevice) else {
                isFull = true
                break
            }
            batch.append(index)
            bytes += first == nil ? 0 : item.work.bytes
            if item.standsAlone || item.work.attempts > 0 { isFull = true }
        }
        guard let first = batch.first else { return }
        let due = device.items[first].since + rule.time
        guard isFull || batch.count >= min(rule.messages, limits.perDevice) || due <= now else {
            return remind(key, at: due)
        }
        if !ask(batch, asBatch: true, of: &device, key, now) { runnable.append(key) }
    }
}

extension AgentWorkMachine.Item {
    /// Whether it goes into no batch with others.
    fileprivate var standsAlone: Bool { isAlone || agents.count > 1 }
}

extension AgentWorkMachine.Answer {
    /// What an answer to a batch comes to for all messages but the last, which it answers.
    var ofEarlier: Self { if case .replied = self { .replied(nil) } else { self } }
}

extension DeviceSessions {
    /// What the channels that are loaded declare of batches.
    ///
    /// - Parameter longest: how long a message waits at most, whatever its channel declares; zero where none does.
    static func batching(
        of channels: ChannelHost, within longest: Duration
    ) -> @Sendable (ChannelID) -> Batching? {
        if longest == .zero { return { _ in nil } }
        let declared = channels.channels.compactMap { channel -> (ChannelID, Batching)? in
            guard let messages = channel.declarations.batchMessages, messages > 1 else { return nil }
            return (
                channel.id,
                Batching(messages: messages, time: min(channel.declarations.batchTime ?? .zero, longest))
            )
        }
        let rules = Dictionary(declared, uniquingKeysWith: { first, _ in first })
        return { rules[$0] }
    }

    /// How long an agent's message is worth delivering, as the channels that are loaded declare.
    static func lifetimes(of channels: ChannelHost) -> [ChannelID: Duration] {
        let declared = channels.channels.compactMap { channel in
            channel.declarations.commandLifetime.map { (channel.id, $0) }
        }
        return Dictionary(declared, uniquingKeysWith: { first, _ in first })
    }
}
