import PairingCore
import Postgres
import PostgresTestSupport
import Synchronization
import Testing

@testable import PairingKernel

/// Locked devices, and what waits for too long or takes too much room.
extension BatcherTests {
    /// What a statement is answered with that waited for a lock too long.
    private func lockTimeout() async throws -> any Error {
        let pool = PostgresPool(
            configuration: try PostgresConfiguration(await PostgresCluster.shared.url()), logger: quietLogger)
        do {
            try await pool.execute("DO $$ BEGIN RAISE EXCEPTION 'locked' USING ERRCODE = '55P03'; END $$")
        } catch {
            await pool.close()
            return error
        }
        throw TimedOut(description: "no error came of an exception")
    }

    /// Devices are the last digits of requests.
    private final class Table: Sendable {
        private let state = Mutex((locked: Set<String>(), done: [Int](), attempts: 0))
        let error: any Error

        init(error: any Error) { self.error = error }

        var done: [Int] { state.withLock(\.done) }
        var attempts: Int { state.withLock(\.attempts) }

        func lock(_ keys: Set<String>) { state.withLock { $0.locked = keys } }

        func held(_ keys: [String]) -> Set<String> { state.withLock { $0.locked.intersection(keys) } }

        func perform(_ batch: [Int]) throws -> [Int] {
            try state.withLock { state in
                state.attempts += 1
                if batch.contains(where: { state.locked.contains("\($0 % 10)") }) { throw error }
                state.done += batch
                return batch
            }
        }
    }

    private func batcher(
        over table: Table, _ bounds: Batcher<Int, Int>.Bounds
    ) -> Batcher<Int, Int> {
        Batcher<Int, Int>(
            bounds: bounds,
            locks: Batcher.Locks(key: { "\($0 % 10)" }, held: { table.held($0) })
        ) { try table.perform($0) }
    }

    @Test("A locked device's requests wait aside, in their order, and the others notice nothing (I10)")
    func lockedDevice() async throws {
        let table = Table(error: try await lockTimeout())
        let batcher = batcher(over: table, Batcher.Bounds(time: .seconds(600)))
        table.lock(["3"])
        let first = Task { try await batcher.submit(3) }
        try await eventually("the first one aside") { batcher.waiting == 1 && table.attempts > 0 }
        var blocked = [first]
        for request in [13, 23, 33] {
            blocked.append(Task { try await batcher.submit(request) })
            try await eventually("one more aside") { batcher.waiting == blocked.count }
        }
        for request in [1, 2, 11, 12, 4] { #expect(try await batcher.submit(request) == request) }
        #expect(table.done == [1, 2, 11, 12, 4])
        #expect(batcher.waiting == 4)
        table.lock([])
        for (task, request) in zip(blocked, [3, 13, 23, 33]) { #expect(try await task.value == request) }
        #expect(table.done == [1, 2, 11, 12, 4, 3, 13, 23, 33])
        #expect(try await batcher.submit(43) == 43)
    }

    @Test("A device that stays locked is answered UNAVAILABLE in time, and tried anew with its next request")
    func staysLocked() async throws {
        let table = Table(error: try await lockTimeout())
        let batcher = batcher(over: table, Batcher.Bounds(time: .milliseconds(300)))
        table.lock(["3"])
        for request in [3, 13] {
            let refusal = try await #require(
                throws: Refusal.self, performing: { _ = try await batcher.submit(request) })
            #expect(refusal.code == .unavailable && refusal.retryable)
        }
        #expect(batcher.waiting == 0)
        table.lock([])
        #expect(try await batcher.submit(23) == 23)
        #expect(table.done == [23])
    }

    @Test("What waits for too long is answered UNAVAILABLE, while what is under way goes on")
    func limitedWait() async throws {
        let (stream, release) = AsyncStream.makeStream(of: Void.self)
        let batches = Mutex(0)
        let batcher = Batcher<Int, Int>(bounds: Batcher.Bounds(time: .milliseconds(200))) { batch in
            batches.withLock { $0 += 1 }
            for await _ in stream { break }
            return batch
        }
        let underWay = Task { try await batcher.submit(1) }
        try await eventually("the first batch") { batches.withLock { $0 } == 1 }
        let refusal = try await #require(
            throws: Refusal.self, performing: { _ = try await batcher.submit(2) })
        #expect(refusal.code == .unavailable && refusal.reason == "database_busy" && refusal.retryable)
        #expect(batcher.waiting == 0)
        release.finish()
        #expect(try await underWay.value == 1)
        #expect(try await batcher.submit(3) == 3)
    }

    @Test("A queue is full when its bytes are, however few requests they are of")
    func boundedBytes() async throws {
        let (stream, release) = AsyncStream.makeStream(of: Void.self)
        let batches = Mutex(0)
        let batcher = Batcher<Int, Int>(
            bounds: Batcher.Bounds(bytes: 100, time: .seconds(600)), cost: { $0 }
        ) { batch in
            batches.withLock { $0 += 1 }
            for await _ in stream { break }
            return batch
        }
        let underWay = Task { try await batcher.submit(1000) }
        try await eventually("the first batch") { batches.withLock { $0 } == 1 }
        let waiting = Task { try await batcher.submit(70) }
        try await eventually("one that waits") { batcher.waiting == 1 }
        let refusal = try await #require(
            throws: Refusal.self, performing: { _ = try await batcher.submit(40) })
        #expect(refusal.reason == "overloaded")
        let small = Task { try await batcher.submit(30) }
        try await eventually("two that wait") { batcher.waiting == 2 }
        release.finish()
        #expect(try await underWay.value == 1000)
        #expect(try await waiting.value == 70)
        #expect(try await small.value == 30)
        #expect(try await batcher.submit(90) == 90)
    }
}
