import PairingCore
import PairingStore
import Postgres
import Synchronization
import Testing

@testable import PairingKernel

@Suite("Following the event feed")
struct EventFeedTests {
    private struct Enough: Error {}

    @Test("A follower sees each event once and in order, from the position it has, through lost connections")
    func follows() async throws {
        try await System.withDatabase { url in
            let instance = try await Instance(1, url: url, settings: try System.settings)
            let first = try await instance.pair("tablet-0")
            try await instance.revoke(first)
            let listener = PostgresListener(
                configuration: try PostgresConfiguration(url), channels: StoreHints.channels,
                logger: quietLogger)
            let listening = Task { try await listener.run() }
            let seen = SeenEvents()
            let feed = instance.kernel.feed
            let following = Task {
                try await feed.follow(after: 2, hints: StoreHints(listener)) { seen.append($0) }
            }
            for round in 1...10 {
                _ = try await instance.pair("tablet-\(round)")
                if round.isMultiple(of: 3) {
                    _ = try await instance.pool.query(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND query LIKE 'LISTEN%'
                        """)
                }
            }
            try await eventually("all events") { seen.positions.count >= 21 }
            #expect(seen.positions == Array(3...23))
            #expect(try await feed.newestPosition() == 23)
            following.cancel()
            _ = await following.result
            listening.cancel()
            _ = await listening.result
            await instance.kill()
        }
    }

    @Test("A follower ends with what its reader throws")
    func ends() async throws {
        try await System.withDatabase { url in
            let instance = try await Instance(1, url: url, settings: try System.settings)
            _ = try await instance.pair("tablet-01")
            let listener = PostgresListener(
                configuration: try PostgresConfiguration(url), channels: StoreHints.channels,
                logger: quietLogger)
            let listening = Task { try await listener.run() }
            await #expect(throws: Enough.self) {
                try await instance.kernel.feed.follow(after: 0, hints: StoreHints(listener)) { _ in
                    throw Enough()
                }
            }
            listening.cancel()
            _ = await listening.result
            await instance.kill()
        }
    }

    @Test("A page of events holds 1 to 1,000, whatever is asked for")
    func limits() async throws {
        try await System.run { one, _ in
            for index in 0..<3 { _ = try await one.pair("tablet-\(index)") }
            let feed = one.kernel.feed
            #expect(try await feed.events(after: 0, limit: 0).count == 1)
            #expect(try await feed.events(after: 0, limit: .max).count == 6)
            #expect(try await feed.events(after: -5, limit: 100).count == 6)
            #expect(try await feed.events(after: .max, limit: 100).isEmpty)
        }
    }
}

/// Positions in the order in which they were seen.
private final class SeenEvents: Sendable {
    private let list = Mutex<[Int64]>([])

    var positions: [Int64] { list.withLock { $0 } }

    func append(_ events: [PairingStore.Event]) { list.withLock { $0 += events.map(\.position) } }
}
