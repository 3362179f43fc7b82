import Dispatch
import Logging
import ServiceLifecycle
import Synchronization

/// Connections to one database, shared by any number of tasks.
///
/// Each connection lives on a thread of its own; callers only suspend. The pool opens connections as they are
/// needed, replaces broken ones, and while the server is away refuses at once (`connectionFailed`) and keeps trying
/// by itself. It works from its creation on; `run()` ties its end to a service group. Without one, call `close()`.
public final class PostgresPool: Service, Sendable {
    private struct State {
        var machine: PoolMachine
        var jobs: [PoolMachine.JobID: Job] = [:]
        var workers: [PoolMachine.WorkerID: PoolWorker] = [:]
        var isClosed = false
        var closeWaiters: [CheckedContinuation<Void, Never>] = []
        /// Why the last attempt to connect failed.
        var connectError: PostgresError?
        /// Why nothing is asked of the server.
        var holdError: PostgresError?
        /// When a job last came to its end, which takes a server that answers.
        var lastAnswer: ContinuousClock.Instant?
    }

    let configuration: PostgresConfiguration
    private let logger: Logger
    private let metrics = PoolMetrics()
    private let lastJob = Atomic<Int>(0)
    private let state: Mutex<State>

    /// Makes a pool; opens no connection yet.
    public init(configuration: PostgresConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        state = Mutex(
            State(
                machine: PoolMachine(
                    maximumWorkers: configuration.maximumConnections,
                    maximumWaiters: configuration.maximumWaiters)))
    }

    // MARK: Use

    /// Runs `body` as one transaction, `BEGIN` to `COMMIT`, READ COMMITTED.
    ///
    /// `body` is synchronous and runs on the connection's own thread: it may take its time but must not wait for
    /// other tasks. If it throws, everything is rolled back and its error thrown on. Cancelling the calling task
    /// cancels the wait for a connection and the running statement, but not a commit under way.
    ///
    /// - Throws: whatever `body` throws; `PostgresError` otherwise, of which `commitOutcomeUnknown` alone leaves
    ///   open whether the transaction happened.
    public func transaction<Result: Sendable>(
        _ body: @escaping @Sendable (Transaction) throws -> Result
    ) async throws -> Result {
        try await perform { connection in try connection.transaction(body) }
    }

    /// A transaction whose statements may take as long as `statementLimit`, if they lift the server's own timeout.
    func transaction<Result: Sendable>(
        statementLimit: Duration, _ body: @escaping @Sendable (Transaction) throws -> Result
    ) async throws -> Result {
        try await perform { connection in
            try connection.withStatementLimit(statementLimit) { try connection.transaction(body) }
        }
    }

    /// Runs one statement as a transaction of its own and answers with its rows.
    ///
    /// - Throws: `PostgresError`. If the connection breaks before the answer it's `commitOutcomeUnknown`, since
    ///   the statement may have taken effect.
    public func query(_ sql: String, _ parameters: [PostgresValue] = []) async throws -> PostgresRows {
        try await perform { connection in try connection.statement(sql, parameters) }
    }

    /// Runs one statement as a transaction of its own and answers with the number of rows it affected.
    ///
    /// - Throws: like `query`.
    @discardableResult
    public func execute(_ sql: String, _ parameters: [PostgresValue] = []) async throws -> Int {
        try await query(sql, parameters).affected
    }

    /// Runs statements that change nothing in one round trip, and answers with each one's rows. Each sees what was
    /// committed before it.
    ///
    /// - Throws: `PostgresError`: of the first that fails.
    public func read(
        _ statements: [(sql: String, parameters: [PostgresValue])]
    ) async throws -> [PostgresRows] {
        try await perform { connection in
            let checked = try statements.map { try Statement($0.sql, $0.parameters) }
            do {
                return try connection.run(checked)
            } catch let error as PostgresError {
                // Prepared before a change of the schema; nothing was run.
                guard error.isOutdatedStatement, !connection.isSpent else { throw error }
                return try connection.run(checked)
            }
        }
    }

    /// Asks the server for a sign of life: at most a second for a connection and another for the answer.
    ///
    /// - Throws: `PostgresError`.
    public func ping() async throws {
        try await perform(acquireTimeout: .seconds(1)) { connection in
            try connection.withStatementLimit(.seconds(1)) { _ = try connection.query("SELECT 1") }
        }
    }

    /// Refuses everything with `error`, at once, until `release`.
    ///
    /// - Parameter abandons: whether callers get no answer either to what runs. It is given up, which leaves the
    ///   outcome of a commit unknown.
    func hold(_ error: PostgresError, abandons: Bool) {
        state.withLock { $0.holdError = error }
        apply { $0.hold(abandons: abandons, now: .now) }
    }

    /// Whether the server has answered anybody since then.
    func hasAnswered(since instant: ContinuousClock.Instant) -> Bool {
        state.withLock { $0.lastAnswer.map { $0 > instant } ?? false }
    }

    /// Ends `hold`.
    func release() { apply { $0.release(now: .now) } }

    private func perform<Result: Sendable>(
        acquireTimeout: Duration? = nil, _ work: @escaping @Sendable (Connection) throws -> Result
    ) async throws -> Result {
        let id = PoolMachine.JobID(number: lastJob.add(1, ordering: .relaxed).newValue)
        let deadline = ContinuousClock.now + (acquireTimeout ?? configuration.acquireTimeout)
        let interruption = Interruption()
        let trace = StatementTrace(program: configuration.applicationName)
        let submitted = ContinuousClock.now
        do {
            let result = try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    submit(
                        Job(
                            id: id, deadline: deadline, interruption: interruption,
                            run: { connection in
                                trace?.begins(after: .now - submitted)
                                connection.trace = trace
                                let result = Swift.Result { try work(connection) }
                                connection.trace = nil
                                return { continuation.resume(with: result) }
                            },
                            refuse: { continuation.resume(throwing: $0) }))
                }
            } onCancel: {
                interruption.request(.cancelled)
                apply { $0.withdraw(id, now: .now) }
            }
            trace?.ends(nil)
            return result
        } catch {
            trace?.ends(error as? PostgresError)
            if let error = error as? PostgresError { metrics.failed(error) }
            throw error
        }
    }

    // MARK: End

    /// Waits until the pool is to end, then closes it.
    ///
    /// On graceful shutdown the pool stays usable until nothing runs or waits any more, and then closes. On
    /// cancellation it closes at once: what waits gets `shuttingDown`, and so does what runs, unless it's already
    /// committing. Never returns or throws because the database is away.
    public func run() async throws {
        try? await gracefulShutdown()
        await withTaskCancellationHandler {
            apply { $0.drain(now: .now) }
            await closed()
        } onCancel: {
            apply { $0.close(now: .now) }
        }
    }

    /// Closes at once, as a cancelled `run()` does; returns when no transaction runs any more.
    public func close() async {
        apply { $0.close(now: .now) }
        await closed()
    }

    private func closed() async {
        await withCheckedContinuation { continuation in
            let isClosed = state.withLock { state in
                if !state.isClosed { state.closeWaiters.append(continuation) }
                return state.isClosed
            }
            if isClosed { continuation.resume() }
        }
    }

    // MARK: Events and effects

    /// What an action comes to, with everything it needs, so that it runs after unlocking.
    private enum Effect {
        case start(PoolMachine.WorkerID)
        case order(PoolWorker, PoolWorker.Order)
        case refuse(Job, PostgresError)
        case interrupt(PoolWorker)
        case giveUp(PoolWorker)
        case tick(ContinuousClock.Instant)
        case closed([CheckedContinuation<Void, Never>])
    }

    private func submit(_ job: Job) {
        apply(registering: job) { machine in
            // A task cancelled before it got here has withdrawn a job the machine didn't know yet.
            job.interruption.code == nil
                ? machine.submit(job.id, deadline: job.deadline, now: .now) : [.refuse(job.id, .cancelled)]
        }
    }

    private func apply(registering job: Job? = nil, _ event: (inout PoolMachine) -> [PoolMachine.Action]) {
        let effects = state.withLock { state in
            if let job { state.jobs[job.id] = job }
            let actions = event(&state.machine)
            metrics.state(
                connections: state.machine.connectionCount, busy: state.machine.busyCount,
                waiting: state.machine.waiterCount,
                isOutage: state.machine.isOutage || state.machine.isHeld)
            return actions.compactMap { effect(of: $0, &state) }
        }
        effects.forEach(run)
    }

    private func effect(of action: PoolMachine.Action, _ state: inout State) -> Effect? {
        switch action {
        case .start(let worker):
            return .start(worker)
        case .assign(let job, let worker):
            guard let job = state.jobs[job], let worker = state.workers[worker] else { return nil }
            return .order(worker, .run(job))
        case .refuse(let job, let refusal):
            guard let job = state.jobs.removeValue(forKey: job) else { return nil }
            return .refuse(job, error(for: refusal, state))
        case .interrupt(let job, let worker):
            // Whoever cancelled has said so already, and the first reason stays.
            state.jobs[job]?.interruption.request(.shuttingDown)
            return state.workers[worker].map { .interrupt($0) }
        case .abandon(let job, let worker):
            state.jobs[job]?.abandonment.request()
            return state.workers[worker].map { .interrupt($0) }
        case .giveUp(let worker):
            return state.workers[worker].map { .giveUp($0) }
        case .stop(let worker):
            return state.workers.removeValue(forKey: worker).map { .order($0, .stop) }
        case .tick(let time):
            return .tick(time)
        case .closed:
            state.isClosed = true
            defer { state.closeWaiters = [] }
            return .closed(state.closeWaiters)
        }
    }

    private func run(_ effect: Effect) {
        switch effect {
        case .start(let id): start(id)
        case .order(let worker, let order):
            if case .run(let job) = order { metrics.waited(for: .now - job.submitted) }
            worker.give(order)
        case .refuse(let job, let error): job.refuse(error)
        case .interrupt(let worker): worker.interrupt()
        case .giveUp(let worker): worker.giveUp()
        case .tick(let time):
            let delay = Int((max(.now, time) - .now).milliseconds)
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(delay)) {
                self.apply { $0.tick(now: .now) }
            }
        case .closed(let waiters): waiters.forEach { $0.resume() }
        }
    }

    private func error(for refusal: PoolMachine.Refusal, _ state: State) -> PostgresError {
        switch refusal {
        case .acquireTimedOut: PostgresError(.acquireTimedOut)
        case .tooManyWaiters: PostgresError(.tooManyWaiters)
        case .connectionFailed: state.connectError ?? PostgresError(.connectionFailed)
        case .held: state.holdError ?? PostgresError(.unresponsive)
        case .shuttingDown: PostgresError(.shuttingDown)
        case .cancelled: PostgresError(.cancelled)
        }
    }

    private func start(_ id: PoolMachine.WorkerID) {
        let reports = PoolWorker.Reports(
            connected: { self.connected(id) },
            connectFailed: { error, job in self.connectFailed(id, job, error) },
            finished: { isReusable, job in self.finished(id, job, isReusable) },
            lostConnection: { self.apply { $0.lostConnection(id, now: .now) } })
        do {
            let worker = try PoolWorker(configuration, metrics: metrics, reports: reports)
            state.withLock { $0.workers[id] = worker }
            worker.start()
        } catch {
            connectFailed(id, nil, error)
        }
    }

    private func connected(_ id: PoolMachine.WorkerID) {
        let wasOutage = state.withLock { state in
            defer { state.connectError = nil }
            return state.machine.isOutage
        }
        if wasOutage { logger.notice("PostgreSQL can be reached again") }
        apply { $0.connected(id, now: .now) }
    }

    private func connectFailed(_ id: PoolMachine.WorkerID, _ job: PoolMachine.JobID?, _ error: PostgresError)
    {
        let isNews = state.withLock { state in
            defer { state.connectError = error }
            state.workers[id] = nil
            if let job { state.jobs[job] = nil }
            return state.connectError == nil
        }
        logger.log(
            level: isNews ? .error : .debug, "Connecting to PostgreSQL failed; trying again",
            metadata: ["error": "\(String(reflecting: error))"])
        apply { $0.connectFailed(id, jitter: .random(in: 0...1), now: .now) }
    }

    private func finished(_ id: PoolMachine.WorkerID, _ job: PoolMachine.JobID, _ isReusable: Bool) {
        state.withLock { state in
            state.jobs[job] = nil
            state.lastAnswer = .now
            if !isReusable { state.workers[id] = nil }
        }
        apply { $0.finished(id, isReusable: isReusable, now: .now) }
    }
}
