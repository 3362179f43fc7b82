import PairingCore
import PairingStore

/// The way of one channel's messages to the database: a channel that moves much slows down only itself (I10).
///
/// Messages of one session that came together go as one.
struct MessageLane: Sendable {
    let numbers: Batcher<[PairingStore.MessageKey], [PairingStore.MessageNumber?]>
    let inbound: Batcher<[PairingStore.InboundMessage], [Outcome<PairingStore.Acceptance>]>
    let leftOut: Batcher<PairingStore.Acknowledgement, Void>

    init(of channel: ChannelID, store: PairingStore, dispatcher: AgentDispatcher) {
        numbers = Batcher { try await store.numbers(of: $0.flatMap(\.self)).split(like: $0) }
        inbound = Batcher(cost: \.cost, locks: .ofDevices(\.senderID, in: store)) { groups in
            let messages = groups.flatMap(\.self)
            do {
                let outcomes = try await store.accept(messages, claim: dispatcher.claim)
                // Here, where batches are in their order.
                dispatcher.accepted(messages, on: channel, outcomes)
                return outcomes.split(like: groups)
            } catch {
                if StoreFailure.leavesOpen(error) { dispatcher.want(groups.map(\.senderID)) }
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

extension [PairingStore.InboundMessage] {
    /// What a message costs a batch beside its bytes.
    private static var overhead: Int { 4096 }

    fileprivate var cost: Int {
        reduce(0) { $1.forwarded.reduce($0 + Self.overhead + $1.body.utf8.count) { $0 + $1.body.utf8.count } }
    }

    /// All are of one session.
    fileprivate var senderID: SenderID { self[0].session.senderID }
}

extension Array {
    /// The elements in pieces as long as those groups, in their order.
    fileprivate func split(like groups: [[some Any]]) -> [[Element]] {
        var rest = self[...]
        return groups.map { group in
            defer { rest = rest.dropFirst(group.count) }
            return Array(rest.prefix(group.count))
        }
    }
}
