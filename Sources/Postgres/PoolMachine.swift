/// The pool's decisions, without its threads, its clock and its connections.
///
/// A worker is a connection with its thread, a job is what a caller wants done on one. Every event is a method that
/// answers with what's to be done.
struct PoolMachine {
    typealias Instant = ContinuousClock.Instant

    struct WorkerID: Hashable { let number: Int }
    struct JobID: Hashable { let number: Int }

    enum Refusal: Hashable {
        case acquireTimedOut, tooManyWaiters, connectionFailed, held, shuttingDown, cancelled
    }

    enum Action: Equatable {
        /// Start a worker; it answers with `connected` or `connectFailed`.
        case start(WorkerID)
        /// Let an idle worker run a job; it answers with `finished` or `connectFailed`.
        case assign(JobID, WorkerID)
        /// Tell a job's caller that it won't run.
        case refuse(JobID, Refusal)
        /// Stop what a worker is running; it answers as it would otherwise.
        case interrupt(JobID, WorkerID)
        /// Tell a job's caller that its answer doesn't come; its worker answers when the server has.
        case abandon(JobID, WorkerID)
        /// Let a worker wait no longer for what was given up; it answers as it would otherwise.
        case giveUp(WorkerID)
        /// End a worker; it doesn't answer.
        case stop(WorkerID)
        /// Call `tick` at that time.
        case tick(at: Instant)
        /// Nothing runs any more, and nothing will.
        case closed
    }

    private enum Worker: Equatable {
        case connecting, idle
        case busy(JobID)
    }

    private enum Phase { case open, draining, closed }

    private struct Waiter {
        let job: JobID
        let deadline: Instant
    }

    private let maximumWorkers: Int
    private let maximumWaiters: Int

    private var phase = Phase.open
    private var isClosedTold = false
    private var workers: [WorkerID: Worker] = [:]
    /// The most recently used is last, and the next to be used.
    private var idle: [WorkerID] = []
    /// The oldest is first. While somebody waits, nobody is idle.
    private var waiters: [Waiter] = []
    /// Whatever was found not to serve is what they lead to: none of them gets another job.
    private var outdated: Set<WorkerID> = []
    private var lastWorker = 0
    private var nextTick: Instant?

    /// How many attempts to connect failed in a row.
    private var failures = 0
    /// No attempt before that; set while there are failures.
    private var retryAt: Instant?
    /// The last attempt failed and there's no connection: refuse at once instead of letting everybody wait.
    private(set) var isOutage = false
    /// Nothing is asked of the server, which is there but can't serve.
    private(set) var isHeld = false

    init(maximumWorkers: Int, maximumWaiters: Int) {
        self.maximumWorkers = max(1, maximumWorkers)
        self.maximumWaiters = max(0, maximumWaiters)
    }

    var connectionCount: Int { workers.values.count { $0 != .connecting } }
    var busyCount: Int { connectionCount - idle.count }
    var waiterCount: Int { waiters.count }

    // MARK: What callers do

    mutating func submit(_ job: JobID, deadline: Instant, now: Instant) -> [Action] {
        if phase == .closed { return [.refuse(job, .shuttingDown)] }
        if isHeld { return [.refuse(job, .held)] }
        if isOutage { return [.refuse(job, .connectionFailed)] }
        if idle.isEmpty, waiters.count >= maximumWaiters { return [.refuse(job, .tooManyWaiters)] }
        waiters.append(Waiter(job: job, deadline: deadline))
        return settle(now)
    }

    /// The job's caller no longer wants it.
    mutating func withdraw(_ job: JobID, now: Instant) -> [Action] {
        if let position = waiters.firstIndex(where: { $0.job == job }) {
            waiters.remove(at: position)
            return [.refuse(job, .cancelled)] + settle(now)
        }
        guard let worker = workers.first(where: { $0.value == .busy(job) })?.key else { return [] }
        return [.interrupt(job, worker)]
    }

    /// Refuse what waits and what comes. Once `release`d, every job gets a connection made since: one from before may
    /// lead to a host that is gone, or to a primary that was demoted and serves old data.
    ///
    /// - Parameter abandons: whether the server answers nobody, so that nobody waits for what runs either.
    mutating func hold(abandons: Bool, now: Instant) -> [Action] {
        isHeld = true
        let refused = waiters.map { Action.refuse($0.job, .held) }
        waiters.removeAll()
        let abandoned = workers.compactMap { worker, state in
            if abandons, case .busy(let job) = state { Action.abandon(job, worker) } else { nil }
        }
        let stopped = idle.map { Action.stop($0) }
        idle.forEach { workers[$0] = nil }
        idle.removeAll()
        outdated.formUnion(workers.keys)
        return refused + abandoned + stopped + settle(now)
    }

    /// The server serves again.
    mutating func release(now: Instant) -> [Action] {
        isHeld = false
        // Whoever knows that it's there needn't wait for the next attempt to connect.
        if retryAt != nil { retryAt = now }
        return settle(now)
    }

    /// Close as soon as nothing runs or waits.
    mutating func drain(now: Instant) -> [Action] {
        if phase == .open { phase = .draining }
        return settle(now)
    }

    /// Close now: refuse what waits, interrupt what runs.
    mutating func close(now: Instant) -> [Action] {
        phase = .closed
        let refused = waiters.map { Action.refuse($0.job, .shuttingDown) }
        waiters.removeAll()
        let interrupted = workers.flatMap { worker, state -> [Action] in
            if case .busy(let job) = state { [.interrupt(job, worker), .giveUp(worker)] } else { [] }
        }
        return refused + interrupted + settle(now)
    }

    // MARK: What workers report

    mutating func connected(_ worker: WorkerID, now: Instant) -> [Action] {
        failures = 0
        retryAt = nil
        isOutage = false
        return makeIdle(worker) + settle(now)
    }

    /// The worker ends, having neither a connection nor a job any more.
    ///
    /// - Parameter jitter: 0 to 1, at random.
    mutating func connectFailed(_ worker: WorkerID, jitter: Double, now: Instant) -> [Action] {
        workers[worker] = nil
        outdated.remove(worker)
        failures += 1
        retryAt = now + Backoff.delay(failures: failures, jitter: jitter)
        guard workers.isEmpty else { return settle(now) }
        isOutage = true
        let refused = waiters.map { Action.refuse($0.job, .connectionFailed) }
        waiters.removeAll()
        return refused + settle(now)
    }

    /// A worker is done with its job.
    ///
    /// - Parameter isReusable: whether it still has a connection; without, it ends.
    mutating func finished(_ worker: WorkerID, isReusable: Bool, now: Instant) -> [Action] {
        if isReusable { return makeIdle(worker) + settle(now) }
        workers[worker] = nil
        outdated.remove(worker)
        return settle(now)
    }

    /// A worker without a job lost its connection. It's stopped, unless it was given a job meanwhile.
    mutating func lostConnection(_ worker: WorkerID, now: Instant) -> [Action] {
        guard workers[worker] == .idle else { return [] }
        workers[worker] = nil
        idle.removeAll { $0 == worker }
        return [.stop(worker)] + settle(now)
    }

    /// The time that was asked for has come.
    mutating func tick(now: Instant) -> [Action] {
        nextTick = nil
        let late = waiters.filter { $0.deadline <= now }.map { Action.refuse($0.job, .acquireTimedOut) }
        waiters.removeAll { $0.deadline <= now }
        return late + settle(now)
    }

    // MARK: Consequences

    private mutating func makeIdle(_ worker: WorkerID) -> [Action] {
        if outdated.remove(worker) != nil {
            workers[worker] = nil
            return [.stop(worker)]
        }
        workers[worker] = .idle
        idle.append(worker)
        return []
    }

    /// What follows from the state, whichever event led to it.
    private mutating func settle(_ now: Instant) -> [Action] {
        var actions: [Action] = []
        while !waiters.isEmpty, let worker = idle.popLast() {
            let job = waiters.removeFirst().job
            workers[worker] = .busy(job)
            actions.append(.assign(job, worker))
        }
        actions += startWorkers(now)
        actions += endIfDone()
        if let action = nextTickIfSooner() { actions.append(action) }
        return actions
    }

    private mutating func startWorkers(_ now: Instant) -> [Action] {
        guard phase != .closed else { return [] }
        let connecting = workers.values.count { $0 == .connecting }
        let wanted: Int
        if let retryAt {
            // One attempt at a time finds out whether the server is back.
            wanted = now >= retryAt && connecting == 0 && (isOutage || !waiters.isEmpty) ? 1 : 0
        } else {
            wanted = waiters.count - connecting
        }
        let count = min(wanted, maximumWorkers - workers.count)
        guard count > 0 else { return [] }
        return (0..<count).map { _ in
            lastWorker += 1
            let worker = WorkerID(number: lastWorker)
            workers[worker] = .connecting
            return .start(worker)
        }
    }

    private mutating func endIfDone() -> [Action] {
        let isBusy = busyCount > 0
        if phase == .draining, waiters.isEmpty, !isBusy { phase = .closed }
        guard phase == .closed else { return [] }
        let stopped = idle.map { Action.stop($0) }
        idle.forEach { workers[$0] = nil }
        idle.removeAll()
        if isBusy || isClosedTold { return stopped }
        isClosedTold = true
        return stopped + [.closed]
    }

    private mutating func nextTickIfSooner() -> Action? {
        guard phase != .closed else { return nil }
        var due = waiters.map(\.deadline).min()
        if let retryAt, isOutage || !waiters.isEmpty, !workers.values.contains(.connecting) {
            due = min(due ?? retryAt, retryAt)
        }
        guard let due, nextTick.map({ due < $0 }) ?? true else { return nil }
        nextTick = due
        return .tick(at: due)
    }
}
