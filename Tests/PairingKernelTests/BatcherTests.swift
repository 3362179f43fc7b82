import PairingCore
import Synchronization
import Testing

@testable import PairingKernel

@Suite("The batcher")
struct BatcherTests {
    /// Lets batches begin one by one, and records them.
    private final class Gate: Sendable {
        private struct State {
            var batches: [[Int]] = []
            var waiters: [CheckedContinuation<Void, Never>] = []
            var isOpen = false
        }

        private let state = Mutex(State())

        var batches: [[Int]] { state.withLock(\.batches) }

        func pass(_ batch: [Int]) async {
            await withCheckedContinuation { continuation in
                let passes = state.withLock { state in
                    state.batches.append(batch)
                    if !state.isOpen { state.waiters.append(continuation) }
                    return state.isOpen
                }
                if passes { continuation.resume() }
            }
        }

        func open() {
            let waiters = state.withLock { state in
                state.isOpen = true
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.resume() }
        }
    }

    private struct Broken: Error {}

    /// A busy machine is not what most tests are about.
    private static var patient: Batcher<Int, Int>.Bounds { Batcher.Bounds(time: .seconds(600)) }

    private func submit(_ requests: [Int], to batcher: Batcher<Int, Int>) -> [Task<Int, any Error>] {
        requests.map { request in Task { try await batcher.submit(request) } }
    }

    private func values(_ tasks: [Task<Int, any Error>]) async -> [Int?] {
        var values: [Int?] = []
        for task in tasks { values.append(try? await task.value) }
        return values
    }

    @Test("What arrives while a batch is under way is the next batch, each request with its own result")
    func gathers() async throws {
        let gate = Gate()
        let batcher = Batcher<Int, Int>(bounds: Self.patient) { batch in
            await gate.pass(batch)
            return batch.map { $0 * 10 }
        }
        let first = submit([0], to: batcher)
        try await eventually("the first batch") { gate.batches.count == 1 }
        let rest = submit(Array(1...20), to: batcher)
        try await eventually("all waiting") { batcher.waiting == 20 }
        gate.open()
        #expect(await values(first + rest) == (0...20).map { $0 * 10 })
        #expect(gate.batches.count == 2)
        #expect(Set(gate.batches[1]) == Set(1...20))
    }

    @Test("A batch has a greatest size")
    func maximumBatch() async throws {
        let gate = Gate()
        let batcher = Batcher<Int, Int>(maximumBatch: 4, bounds: Self.patient) { batch in
            await gate.pass(batch)
            return batch
        }
        let tasks = submit(Array(0..<10), to: batcher)
        try await eventually("all waiting") { batcher.waiting == 10 - (gate.batches.first?.count ?? 99) }
        gate.open()
        #expect(await values(tasks) == Array(0..<10))
        #expect(gate.batches.allSatisfy { $0.count <= 4 })
    }

    @Test(
        "A batch has no more bytes than its measure and one request, so that nobody waits for all that others send"
    )
    func cost() async throws {
        let gate = Gate()
        let batcher = Batcher<Int, Int>(
            bounds: Self.patient, cost: { _ in Batcher<Int, Int>.maximumCost / 2 }
        ) { batch in
            await gate.pass(batch)
            return batch
        }
        let first = submit([0], to: batcher)
        try await eventually("the first batch") { gate.batches.count == 1 }
        let rest = submit(Array(1...6), to: batcher)
        try await eventually("six that wait") { batcher.waiting == 6 }
        gate.open()
        #expect(await values(first + rest) == Array(0...6))
        #expect(gate.batches.map(\.count) == [1, 2, 2, 2])
    }

    @Test("No two requests of one key share a batch")
    func keys() async throws {
        let gate = Gate()
        let batcher = Batcher<Int, Int>(bounds: Self.patient, key: { "\($0 % 2)" }) { batch in
            await gate.pass(batch)
            return batch
        }
        let blocker = submit([100], to: batcher)
        try await eventually("the first batch") { gate.batches.count == 1 }
        let tasks = submit(Array(0..<6), to: batcher)
        try await eventually("all waiting") { batcher.waiting == 6 }
        gate.open()
        #expect(await values(blocker + tasks) == [100] + Array(0..<6))
        for batch in gate.batches { #expect(Set(batch.map { $0 % 2 }).count == batch.count) }
        for key in 0...1 {
            let order = gate.batches.dropFirst().flatMap { $0 }.filter { $0 % 2 == key }
            #expect(order.count == 3)
        }
    }

    @Test("One request's failure is its own: the batch is halved until it is alone (I10)")
    func bisect() async throws {
        let attempts = Mutex(0)
        let gate = Gate()
        let batcher = Batcher<Int, Int>(bounds: Self.patient) { batch in
            await gate.pass(batch)
            attempts.withLock { $0 += 1 }
            if batch.contains(13) { throw Broken() }
            return batch
        }
        let blocker = submit([100], to: batcher)
        try await eventually("the first batch") { gate.batches.count == 1 }
        let tasks = submit(Array(0..<32), to: batcher)
        try await eventually("all waiting") { batcher.waiting == 32 }
        gate.open()
        let values = await values(tasks)
        for index in 0..<32 { #expect(values[index] == (index == 13 ? nil : index)) }
        _ = await self.values(blocker)
        await #expect(throws: Broken.self) { try await tasks[13].value }
        #expect(attempts.withLock { $0 } <= 1 + 1 + 2 * 5)
    }

    @Test("A refusal of one request passes through unchanged")
    func refusal() async {
        let batcher = Batcher<Int, Int> { _ in throw Refusal.unavailable }
        await #expect(throws: Refusal.unavailable) { try await batcher.submit(1) }
    }

    @Test("When the database is away all of a batch fails at once")
    func unavailable() async throws {
        let gate = Gate()
        let batcher = Batcher<Int, Int>(bounds: Self.patient) { batch in
            await gate.pass(batch)
            throw try await databaseUnavailable()
        }
        let blocker = submit([100], to: batcher)
        try await eventually("the first batch") { gate.batches.count == 1 }
        let tasks = submit(Array(0..<32), to: batcher)
        try await eventually("all waiting") { batcher.waiting == 32 }
        gate.open()
        #expect(await values(blocker + tasks).allSatisfy { $0 == nil })
        #expect(gate.batches.count == 2)
    }

    @Test("A full queue refuses more, and takes them again when there is room")
    func bounded() async throws {
        let gate = Gate()
        let batcher = Batcher<Int, Int>(bounds: Batcher.Bounds(count: 8, time: .seconds(600))) { batch in
            await gate.pass(batch)
            return batch
        }
        let blocker = submit([100], to: batcher)
        try await eventually("the first batch") { gate.batches.count == 1 }
        let waiting = submit(Array(0..<8), to: batcher)
        try await eventually("all waiting") { batcher.waiting == 8 }
        do {
            _ = try await batcher.submit(8)
            Issue.record("expected to be refused")
        } catch let refusal as Refusal {
            #expect(refusal.code == .resourceExhausted)
            #expect(refusal.retryable)
        }
        gate.open()
        #expect(await values(blocker + waiting) == [100] + Array(0..<8))
        #expect(try await batcher.submit(9) == 9)
    }

    @Test("So many batches are under way at once, and no more")
    func concurrency() async throws {
        let gate = Gate()
        let batcher = Batcher<Int, Int>(maximumBatch: 1, bounds: Self.patient, concurrency: 3) { batch in
            await gate.pass(batch)
            return batch
        }
        let tasks = submit(Array(0..<9), to: batcher)
        try await eventually("three batches") { gate.batches.count == 3 && batcher.waiting == 6 }
        gate.open()
        #expect(await values(tasks) == Array(0..<9))
    }
}
