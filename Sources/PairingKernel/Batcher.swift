import PairingCore
import PairingStore
import Synchronization
import Tracing

/// Carries out what arrives together as one: while a batch is under way, the next one gathers.
///
/// A batch that fails for a reason of its own is halved and tried again, so that one request's error stays
/// its own (I10); when the database is away, all of it fails at once. One that fails at another's lock is tried again
/// without the devices that are locked: these wait aside, for a bounded time, until they are not.
///
/// What waits is bounded in count, in bytes and in time.
final class Batcher<Request: Sendable, Result: Sendable>: Sendable {
    /// How much may wait, and how long.
    struct Bounds: Sendable {
        /// Requests that may wait; more are refused.
        var count = 16384
        /// Their bytes.
        var bytes = 32 << 20
        /// How long one waits for its turn, or for its device's lock.
        var time = Duration.seconds(3)
        /// How long those whose device is locked wait until they are tried again. They are not tried by waiting in
        /// the database, where each would hold a connection.
        var pause = Duration.milliseconds(50)
    }

    /// Keeps a device's requests in order where it is locked.
    struct Locks: Sendable {
        /// Which lock a request needs.
        let key: @Sendable (Request) -> String
        /// Which of these are held by somebody else.
        let held: @Sendable ([String]) async throws -> Set<String>
    }

    private struct Waiter {
        /// Its place in the order of submission.
        var number: Int
        var request: Request
        var cost: Int
        var deadline: ContinuousClock.Instant
        var continuation: CheckedContinuation<Result, any Error>
        /// What it is a part of, where that is recorded.
        var context = ServiceContext.current
    }

    private struct State {
        var queue: [Waiter] = []
        /// Those whose device is locked, and those that came after them from the same device; in their order.
        var aside: [Waiter] = []
        /// The locks that those aside wait for, or are being tried with.
        var locked: Set<String> = []
        var running = 0
        var lastNumber = 0
        /// The bytes of all that wait.
        var bytes = 0
        /// Whether somebody sees to it that nobody waits for too long.
        var isWatched = false
    }

    private let state = Mutex(State())
    private let maximumBatch: Int
    private let bounds: Bounds
    private let concurrency: Int
    private let key: (@Sendable (Request) -> String)?
    private let cost: (@Sendable (Request) -> Int)?
    private let locks: Locks?
    private let perform: @Sendable ([Request]) async throws -> [Result]

    /// - Parameters:
    ///   - maximumBatch: requests in one batch at most.
    ///   - bounds: what may wait.
    ///   - concurrency: batches under way at once. With one, results are in the order of submission, for each lock.
    ///   - key: no two requests of one key share a batch.
    ///   - cost: a request's bytes, where they vary; a batch has ``maximumCost`` of them, or one request.
    ///   - locks: the locks that requests need, where somebody may hold one for long.
    ///   - perform: answers each request, in their order.
    init(
        maximumBatch: Int = 256, bounds: Bounds = Bounds(), concurrency: Int = 1,
        key: (@Sendable (Request) -> String)? = nil, cost: (@Sendable (Request) -> Int)? = nil,
        locks: Locks? = nil, perform: @escaping @Sendable ([Request]) async throws -> [Result]
    ) {
        self.maximumBatch = maximumBatch
        self.bounds = bounds
        self.concurrency = concurrency
        self.key = key
        self.cost = cost
        self.locks = locks
        self.perform = perform
    }

    /// How many requests wait for their batch.
    var waiting: Int { state.withLock { $0.queue.count + $0.aside.count } }

    /// Waits for the request's own result.
    ///
    /// - Throws: what `perform` throws for this request; a `RESOURCE_EXHAUSTED` refusal where too many wait, and
    ///   `UNAVAILABLE` where its turn does not come in time.
    func submit(_ request: Request) async throws -> Result {
        let cost = cost?(request) ?? 0
        let lock = locks?.key(request)
        return try await withCheckedThrowingContinuation { continuation in
            let (isRefused, starts, watches) = state.withLock { state in
                let count = state.queue.count + state.aside.count
                guard count < bounds.count, count == 0 || state.bytes + cost <= bounds.bytes else {
                    return (true, false, false)
                }
                state.bytes += cost
                state.lastNumber += 1
                let waiter = Waiter(
                    number: state.lastNumber, request: request, cost: cost, deadline: .now + bounds.time,
                    continuation: continuation)
                // One that overtook an earlier one of its device would be stored before it.
                let isAside = lock.map(state.locked.contains) ?? false
                if isAside { state.aside.append(waiter) } else { state.queue.append(waiter) }
                let watches = !state.isWatched
                state.isWatched = true
                guard !isAside, state.running < concurrency else { return (false, false, watches) }
                state.running += 1
                return (false, true, watches)
            }
            if isRefused { continuation.resume(throwing: Refusal.overloaded) }
            if starts { Task.detached { await self.drain() } }
            if watches { Task.detached { await self.watch() } }
        }
    }

    /// Refuses what waits for too long, for as long as anything waits.
    private func watch() async {
        while let next = state.withLock({ state -> ContinuousClock.Instant? in
            let next = [state.queue.first?.deadline, state.aside.first?.deadline].compactMap { $0 }.min()
            state.isWatched = next != nil
            return next
        }) {
            try? await Task.sleep(until: next, clock: .continuous)
            let late = state.withLock { state in
                let now = ContinuousClock.now
                let late = (state.queue + state.aside).filter { $0.deadline <= now }
                if late.isEmpty { return late }
                state.queue.removeAll { $0.deadline <= now }
                state.aside.removeAll { $0.deadline <= now }
                state.bytes -= late.reduce(0) { $0 + $1.cost }
                return late
            }
            for waiter in late { waiter.continuation.resume(throwing: Refusal.noTurn) }
        }
    }

    /// As `watch` and `retry` it works for many, so that it is no part of whoever began it.
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
            let batch = takeBatch(&state.queue)
            state.bytes -= batch.reduce(0) { $0 + $1.cost }
            return batch
        }
    }

    private func takeBatch(_ queue: inout [Waiter]) -> [Waiter] {
        guard let key else {
            var room = Self.maximumCost
            let batch = Array(
                queue.prefix(maximumBatch).prefix { waiter in
                    let fits = room > 0
                    room -= waiter.cost
                    return fits
                })
            queue.removeFirst(batch.count)
            return batch
        }
        var keys: Set<String> = []
        var batch: [Waiter] = []
        var rest: [Waiter] = []
        for waiter in queue {
            if batch.count < maximumBatch, keys.insert(key(waiter.request)).inserted {
                batch.append(waiter)
            } else {
                rest.append(waiter)
            }
        }
        queue = rest
        return batch
    }

    private func run(_ batch: ArraySlice<Waiter>) async {
        let batch = withoutOvertaking(batch)
        if batch.isEmpty { return }
        do {
            // A batch of several is told of as a part of the first.
            let context = batch.lazy.compactMap(\.context).first
            let results = try await ServiceContext.withValue(context) {
                try await perform(batch.map(\.request))
            }
            for (waiter, result) in zip(batch, results) { waiter.continuation.resume(returning: result) }
        } catch {
            switch StoreFailure(error) {
            case let failure? where failure.concernsAll:
                for waiter in batch { waiter.continuation.resume(throwing: error) }
            case .busy:
                let rest = await setAside(batch)
                if rest.count < batch.count { await run(rest[...]) } else { await halve(batch, error) }
            default:
                await halve(batch, error)
            }
        }
    }

    private func halve(_ batch: ArraySlice<Waiter>, _ error: any Error) async {
        if batch.count == 1 {
            for waiter in batch { waiter.continuation.resume(throwing: error) }
            return
        }
        let middle = batch.startIndex + batch.count / 2
        await run(batch[..<middle])
        await run(batch[middle...])
    }

    // MARK: - Locked devices

    /// Puts those whose device is locked aside, with what waits in the queue behind them.
    ///
    /// - Returns: the others of the batch.
    private func setAside(_ batch: ArraySlice<Waiter>) async -> [Waiter] {
        guard let locks, let held = await held(by: batch.map { locks.key($0.request) }), !held.isEmpty else {
            return Array(batch)
        }
        let isHeld = { (waiter: Waiter) in held.contains(locks.key(waiter.request)) }
        let blocked = batch.filter(isHeld)
        let (starts, watches) = state.withLock { state in
            let starts = state.locked.isEmpty
            state.locked.formUnion(held)
            state.aside += state.queue.filter(isHeld)
            state.queue.removeAll(where: isHeld)
            Self.putAside(blocked, &state)
            defer { state.isWatched = true }
            return (starts, !state.isWatched)
        }
        if starts { Task.detached { await self.retry() } }
        if watches { Task.detached { await self.watch() } }
        return batch.filter { !isHeld($0) }
    }

    private static func putAside(_ waiters: [Waiter], _ state: inout State) {
        state.aside += waiters
        state.aside.sort { $0.number < $1.number }
        state.bytes += waiters.reduce(0) { $0 + $1.cost }
    }

    /// Puts those aside that came after one of their device that is: the batch was halved in between.
    private func withoutOvertaking(_ batch: ArraySlice<Waiter>) -> ArraySlice<Waiter> {
        guard let locks else { return batch }
        return state.withLock { state in
            if state.aside.isEmpty { return batch }
            let first = Dictionary(
                state.aside.map { (locks.key($0.request), $0.number) }, uniquingKeysWith: min)
            let overtakes = { (waiter: Waiter) in
                first[locks.key(waiter.request)].map { $0 < waiter.number } ?? false
            }
            let late = batch.filter(overtakes)
            if late.isEmpty { return batch }
            Self.putAside(late, &state)
            return batch.filter { !overtakes($0) }[...]
        }
    }

    private func held(by keys: [String]) async -> Set<String>? {
        do { return try await locks?.held(Array(Set(keys))) } catch { return nil }
    }

    /// Tries those aside again and again until there are none: each is answered, or refused in time.
    private func retry() async {
        while true {
            try? await Task.sleep(for: bounds.pause)
            guard let locks else { return }
            let keys = state.withLock { state in
                state.locked = Set(state.aside.map { locks.key($0.request) })
                return state.locked
            }
            if keys.isEmpty { return }
            guard let held = await held(by: Array(keys)) else { continue }
            let batch = state.withLock { state in
                var free = state.aside.filter { !held.contains(locks.key($0.request)) }
                let batch = takeBatch(&free)
                let taken = Set(batch.map(\.number))
                state.aside.removeAll { taken.contains($0.number) }
                state.bytes -= batch.reduce(0) { $0 + $1.cost }
                return batch
            }
            // Its locks stay in `locked` meanwhile: what comes after it waits behind it.
            if !batch.isEmpty { await run(batch[...]) }
        }
    }
}

extension Refusal {
    /// The request's turn did not come: the database is slow, or somebody has locked the device.
    fileprivate static let noTurn = Refusal(.databaseBusy)
}
