import PairingCore
import PairingStore
import Synchronization

/// Carries out what arrives together as one: while a batch is under way, the next one gathers.
///
/// A batch that fails for a reason of its own is halved and tried again, so that one request's error stays
/// its own (I10); when the database is away, all of it fails at once.
final class Batcher<Request: Sendable, Result: Sendable>: Sendable {
    private struct Waiter {
        var request: Request
        var continuation: CheckedContinuation<Result, any Error>
    }

    private struct State {
        var queue: [Waiter] = []
        var running = 0
    }

    private let state = Mutex(State())
    private let maximumBatch: Int
    private let maximumQueue: Int
    private let concurrency: Int
    private let key: (@Sendable (Request) -> String)?
    private let cost: (@Sendable (Request) -> Int)?
    private let perform: @Sendable ([Request]) async throws -> [Result]

    /// - Parameters:
    ///   - maximumBatch: requests in one batch at most.
    ///   - maximumQueue: requests that may wait; more are refused.
    ///   - concurrency: batches under way at once. With one, results are in the order of submission.
    ///   - key: no two requests of one key share a batch.
    ///   - cost: a request's bytes, where they vary; a batch has ``maximumCost`` of them, or one request.
    ///   - perform: answers each request, in their order.
    init(
        maximumBatch: Int = 256, maximumQueue: Int = 16384, concurrency: Int = 1,
        key: (@Sendable (Request) -> String)? = nil, cost: (@Sendable (Request) -> Int)? = nil,
        perform: @escaping @Sendable ([Request]) async throws -> [Result]
    ) {
        self.maximumBatch = maximumBatch
        self.maximumQueue = maximumQueue
        self.concurrency = concurrency
        self.key = key
        self.cost = cost
        self.perform = perform
    }

    /// How many requests wait for their batch.
    var waiting: Int { state.withLock(\.queue.count) }

    /// Waits for the request's own result.
    ///
    /// - Throws: what `perform` throws for this request; a `RESOURCE_EXHAUSTED` refusal where too many wait.
    func submit(_ request: Request) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            let (isRefused, starts) = state.withLock { state in
                guard state.queue.count < maximumQueue else { return (true, false) }
                state.queue.append(Waiter(request: request, continuation: continuation))
                guard state.running < concurrency else { return (false, false) }
                state.running += 1
                return (false, true)
            }
            if isRefused {
                continuation.resume(throwing: Refusal.overloaded)
            }
            if starts { Task { await self.drain() } }
        }
    }

    private func drain() async {
        while let batch = nextBatch() { await run(batch[...]) }
    }

    /// Bytes that go to the database at once: what comes next waits for no more than these.
    static var maximumCost: Int { 1 << 20 }

    private func nextBatch() -> [Waiter]? {
        state.withLock { state in
            if state.queue.isEmpty {
                state.running -= 1
                return nil
            }
            guard let key else {
                var room = Self.maximumCost
                let batch = state.queue.prefix(maximumBatch).prefix { waiter in
                    let fits = room > 0
                    room -= cost?(waiter.request) ?? 0
                    return fits
                }
                state.queue.removeFirst(batch.count)
                return Array(batch)
            }
            var keys: Set<String> = []
            var batch: [Waiter] = []
            var rest: [Waiter] = []
            for waiter in state.queue {
                if batch.count < maximumBatch, keys.insert(key(waiter.request)).inserted {
                    batch.append(waiter)
                } else {
                    rest.append(waiter)
                }
            }
            state.queue = rest
            return batch
        }
    }

    private func run(_ batch: ArraySlice<Waiter>) async {
        do {
            let results = try await perform(batch.map(\.request))
            for (waiter, result) in zip(batch, results) { waiter.continuation.resume(returning: result) }
        } catch {
            if batch.count == 1 || StoreFailure(error)?.concernsAll == true {
                for waiter in batch { waiter.continuation.resume(throwing: error) }
                return
            }
            let middle = batch.startIndex + batch.count / 2
            await run(batch[..<middle])
            await run(batch[middle...])
        }
    }
}
