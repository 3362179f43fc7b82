import Synchronization
import Unix

/// A connection with its thread.
final class PoolWorker: Sendable {
    enum Order: Sendable {
        case run(Job)
        case stop
    }

    /// What a worker tells the pool, from its own thread.
    struct Reports: Sendable {
        let connected: @Sendable () -> Void
        /// The worker ends, and with it the job it was given, if any.
        let connectFailed: @Sendable (PostgresError, PoolMachine.JobID?) -> Void
        /// If not reusable, the worker ends.
        let finished: @Sendable (_ isReusable: Bool, PoolMachine.JobID) -> Void
        /// The idle connection broke; an order follows.
        let lostConnection: @Sendable () -> Void
    }

    private let configuration: PostgresConfiguration
    private let reports: Reports
    private let metrics: PoolMetrics
    private let wakeup: Wakeup
    private let orders = Mutex<[Order]>([])
    private let givesUp = Atomic<Bool>(false)

    init(_ configuration: PostgresConfiguration, metrics: PoolMetrics, reports: Reports) throws(PostgresError)
    {
        self.configuration = configuration
        self.metrics = metrics
        self.reports = reports
        wakeup = try Wakeup()
    }

    /// Makes the thread connect and wait for orders.
    func start() {
        if !OSThread.start(named: "postgres", { self.work() }) {
            reports.connectFailed(
                PostgresError(.connectionFailed, summary: "the system has no thread left"), nil)
        }
    }

    func give(_ order: Order) {
        orders.withLock { $0.append(order) }
        wakeup.signal()
    }

    /// Makes the worker look whether its job is to be interrupted.
    func interrupt() { wakeup.signal() }

    /// Makes the worker wait no longer for what was given up.
    func giveUp() {
        givesUp.store(true, ordering: .releasing)
        wakeup.signal()
    }

    private func work() {
        do {
            var connection = try Connection(configuration, wakeup: wakeup)
            reports.connected()
            while case .run(let job) = nextOrder(connection) {
                if !isAlive(connection) {
                    do {
                        // Nothing of the job has run yet, so it needn't know.
                        connection = try Connection(configuration, wakeup: wakeup)
                    } catch {
                        reports.connectFailed(error, job.id)
                        job.refuse(error)
                        return
                    }
                }
                if !run(job, on: connection) { return }
            }
        } catch {
            reports.connectFailed(error, nil)
        }
    }

    /// - Returns: whether the connection can be used again.
    private func run(_ job: Job, on connection: Connection) -> Bool {
        let started = ContinuousClock.now
        connection.interruption = job.interruption
        connection.abandonment = job.abandonment
        let tellCaller = job.run(connection)
        connection.interruption = nil
        connection.abandonment = nil
        metrics.ran(for: .now - started)
        if connection.isAwaited {
            tellCaller()
            connection.awaitSignOfLife { givesUp.load(ordering: .acquiring) }
            reports.finished(false, job.id)
            return false
        }
        let isReusable = connection.isReusable
        reports.finished(isReusable, job.id)
        tellCaller()
        return isReusable
    }

    private func nextOrder(_ connection: Connection) -> Order {
        while true {
            if let order = orders.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return order }
            let ready = Readiness.wait(
                socket: connection.isSpent ? -1 : connection.socket, wakeup: wakeup, until: nil)
            if ready?.socketReadable ?? false, !connection.absorbInput() { reports.lostConnection() }
        }
    }

    /// Notices a connection that the server ended since it was last used.
    private func isAlive(_ connection: Connection) -> Bool {
        if connection.isSpent { return false }
        guard let ready = Readiness.wait(socket: connection.socket, wakeup: wakeup, until: .now),
            ready.socketReadable
        else { return true }
        return connection.absorbInput()
    }
}
