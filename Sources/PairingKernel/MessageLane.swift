import PairingCore
import PairingStore

/// The way of one channel's messages to the database: a channel that moves much slows down only itself (I10).
struct MessageLane: Sendable {
    let numbers: Batcher<PairingStore.MessageKey, PairingStore.MessageNumber?>
    let inbound: Batcher<PairingStore.InboundMessage, Outcome<PairingStore.Acceptance>>
    let leftOut: Batcher<PairingStore.Acknowledgement, Void>

    init(of channel: ChannelID, store: PairingStore, dispatcher: AgentDispatcher) {
        numbers = Batcher { try await store.numbers(of: $0) }
        inbound = Batcher(cost: \.bytes, locks: .ofDevices(\.session.senderID, in: store)) { messages in
            do {
                let outcomes = try await store.accept(messages, claim: dispatcher.claim)
                // Here, where batches are in their order.
                dispatcher.accepted(messages, on: channel, outcomes)
                return outcomes
            } catch {
                if StoreFailure.leavesOpen(error) { dispatcher.want(messages.map(\.session.senderID)) }
                throw error
            }
        }
        leftOut = Batcher(locks: .ofDevices(\.session.senderID, in: store)) {
            try await store.leaveOut($0)
            return $0.map { _ in () }
        }
    }
}

extension Batcher.Locks {
    /// Each request needs the lock of one device.
    static func ofDevices(
        _ senderID: @escaping @Sendable (Request) -> SenderID, in store: PairingStore
    ) -> Self {
        Self(key: { senderID($0).key }, held: { try await store.lockedDevices(among: $0) })
    }
}

extension PairingStore.InboundMessage {
    fileprivate var bytes: Int { forwarded.reduce(body.utf8.count) { $0 + $1.body.utf8.count } }
}
