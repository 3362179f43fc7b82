import Logging
import PairingCore
import PairingStore

/// What an operator does with a database that was taken back to an earlier moment: by a backup, or a replica that had
/// not caught up when it took over.
public struct Restoration: Sendable {
    let store: PairingStore
    let audit: Audit
    let logger: Logger

    /// What a copy of the database is worth.
    public struct Verdict: Sendable, Equatable {
        /// What it holds.
        public var inventory: PairingStore.Inventory
        /// What contradicts itself in it; empty where it can be used.
        public var contradictions: [PairingStore.Contradiction]
        /// What the check of the chain of events found.
        public var chain: Result<Audit.Verdict, Refusal>

        /// Whether servers may run on it.
        public var isSound: Bool {
            guard case .success = chain else { return false }
            return contradictions.isEmpty
        }
    }

    /// Reads the whole database and looks for what contradicts itself. Changes nothing, so it may be run on a copy
    /// that nobody uses, and on one that servers work with.
    ///
    /// - Parameters:
    ///   - anchor: a head of the chain that was kept elsewhere.
    ///   - progress: told what is looked at, and how many of how many rows where that is known.
    public func verify(
        anchor: ChainHead?, by authority: Authority,
        progress: (_ what: String, _ done: Int64, _ of: Int64) -> Void = { _, _, _ in }
    ) async throws(Refusal) -> Verdict {
        try authority.require(.read)
        let (inventory, contradictions) = try await refusing(logger) {
            (
                try await store.inventory(),
                try await store.contradictions { progress($0, 0, 0) }
            )
        }
        let chain: Result<Audit.Verdict, Refusal>
        do throws(Refusal) {
            chain = .success(
                try await audit.verify(anchor: anchor, by: authority) { progress("chain", $0, $1) })
        } catch {
            guard error.reason == "broken_chain" else { throw error }
            chain = .failure(error)
        }
        return Verdict(inventory: inventory, contradictions: contradictions, chain: chain)
    }

    /// Says that this database was taken back to an earlier moment, before the servers are started on it. Positions of
    /// the feed, numbers of messages and epochs of sessions go on so much further that none that was given after that
    /// moment is given again, and whoever follows the feed is told.
    ///
    /// - Returns: the epoch of the feed that begins.
    /// - Throws: `FAILED_PRECONDITION` while a gateway runs on it.
    public func record(by authority: Authority) async throws(Refusal) -> Int64 {
        try authority.require(.administer)
        return try await refusing(logger) {
            let gateways = try await store.inventory().gateways
            guard gateways.isEmpty else {
                throw Refusal(
                    .failedPrecondition, "gateways_running",
                    """
                    Gateways run on this database: \(gateways.joined(separator: ", ")). Stop every server first; one that \
                    was killed counts as running until its lease ends, a few seconds later.
                    """)
            }
            return try await store.recordRestoration(by: authority.actor)
        }
    }
}
