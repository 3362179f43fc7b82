import PairingCore
import PairingStore
import Synchronization

/// Looks API tokens up, those that arrive together in one statement, so that thousands a second that are none keep
/// nobody waiting.
///
/// Tokens that were good before have a queue of their own; each is looked up all the same, since it may have been
/// revoked meanwhile. What nobody has seen before shares its queue by network block (I13).
final class TokenLookup: Sendable {
    private struct State {
        /// Hashes that were a live token's.
        var familiar: Set<[UInt8]> = []
        var strangersByBlock: [String: Int] = [:]
    }

    private static let strangersPerBlock = 64
    private static let familiarLimit = 1024

    private let state = Mutex(State())
    private let familiar: Batcher<[UInt8], PairingStore.TokenRow?>
    private let strangers: Batcher<[UInt8], PairingStore.TokenRow?>

    init(store: PairingStore) {
        familiar = Batcher(bounds: .init(count: 1024)) { try await store.tokens(hashes: $0) }
        strangers = Batcher(bounds: .init(count: 2048)) { try await store.tokens(hashes: $0) }
    }

    /// The live token with this hash.
    ///
    /// - Parameter address: where it came from.
    /// - Throws: a `RESOURCE_EXHAUSTED` refusal where too many wait whom nobody knows, from there or in all.
    func token(hash: [UInt8], from address: ClientAddress) async throws -> PairingStore.TokenRow? {
        guard state.withLock({ !$0.familiar.contains(hash) }) else {
            let row = try await familiar.submit(hash)
            if row == nil { state.withLock { _ = $0.familiar.remove(hash) } }
            return row
        }
        let block = address.networkBlock
        let isIn = state.withLock { state in
            guard state.strangersByBlock[block, default: 0] < Self.strangersPerBlock else { return false }
            state.strangersByBlock[block, default: 0] += 1
            return true
        }
        guard isIn else { throw Refusal.overloaded }
        defer {
            state.withLock { state in
                let left = state.strangersByBlock[block, default: 1] - 1
                state.strangersByBlock[block] = left == 0 ? nil : left
            }
        }
        let row = try await strangers.submit(hash)
        if row != nil {
            state.withLock { state in
                // Forgetting one costs its owner a place among strangers, once.
                if state.familiar.count >= Self.familiarLimit { _ = state.familiar.popFirst() }
                state.familiar.insert(hash)
            }
        }
        return row
    }
}
