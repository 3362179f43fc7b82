import Logging
import PairingCore
import PairingStore

/// The append-only record of what happened.
public struct EventFeed: Sendable {
    let store: PairingStore
    let logger: Logger

    /// The newest position; 0 where nothing has happened.
    public func newestPosition() async throws(Refusal) -> Int64 {
        try await refusing(logger) { try await store.newestPosition() }
    }

    /// The events after a position, oldest first.
    ///
    /// - Parameter limit: 1...1000.
    public func events(
        after position: Int64, limit: Int
    ) async throws(Refusal) -> [PairingStore.Event] {
        try await refusing(logger) {
            try await store.events(after: position, limit: min(max(limit, 1), 1000))
        }
    }

    /// Follows the feed from a position on, each event once and in order, until its task is cancelled.
    ///
    /// It reads on every hint of `hints`, after every loss of its connection, and every few seconds; while
    /// the database is away it waits.
    ///
    /// - Parameters:
    ///   - hints: run by the caller, and read by nobody else.
    ///   - restored: told where the feed goes on when the database was taken back to before what was read.
    /// - Throws: what `body` throws.
    public func follow(
        after position: Int64, hints: StoreHints,
        restored: @Sendable (Int64) async throws -> Void = { _ in },
        _ body: @Sendable ([PairingStore.Event]) async throws -> Void
    ) async throws {
        let wakes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in hints.hints { wakes.continuation.yield() }
            }
            group.addTask {
                while !Task.isCancelled {
                    wakes.continuation.yield()
                    try? await Task.sleep(for: .seconds(3))
                }
                wakes.continuation.finish()
            }
            var position = position
            for await _ in wakes.stream {
                while true {
                    let events: [PairingStore.Event]
                    let newest: Int64
                    do {
                        events = try await store.events(after: position, limit: 500)
                        newest = events.isEmpty ? try await store.newestPosition() : position
                    } catch {
                        if StoreFailure(error) == .cancelled { break }
                        logger.warning("The event feed could not be read", metadata: ["error": "\(error)"])
                        break
                    }
                    if newest < position {
                        position = newest
                        try await restored(newest)
                    }
                    guard let last = events.last else { break }
                    try await body(events)
                    position = last.position
                }
            }
            group.cancelAll()
        }
    }
}
