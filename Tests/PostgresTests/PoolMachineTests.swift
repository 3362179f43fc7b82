import Testing

@testable import Postgres

/// The pool's decisions, as sequences of events and what each leads to.
@Suite struct PoolMachineTests {
    private typealias Machine = PoolMachine
    private let start = ContinuousClock.now

    private func job(_ number: Int) -> PoolMachine.JobID { PoolMachine.JobID(number: number) }
    private func worker(_ number: Int) -> PoolMachine.WorkerID { PoolMachine.WorkerID(number: number) }
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }

    /// A machine with that many idle connections.
    private func connected(_ count: Int, maximum: Int, waiters: Int = 10) -> PoolMachine {
        var machine = PoolMachine(maximumWorkers: maximum, maximumWaiters: waiters)
        for number in 0..<count { _ = machine.submit(job(-number - 1), deadline: at(5), now: start) }
        for number in 0..<count { _ = machine.connected(worker(number + 1), now: start) }
        for number in 0..<count { _ = machine.finished(worker(number + 1), isReusable: true, now: start) }
        _ = machine.tick(now: start)
        return machine
    }

    @Test("The first job starts a connection, gets it, and the next one gets the same")
    func firstJob() {
        var machine = PoolMachine(maximumWorkers: 2, maximumWaiters: 10)
        #expect(
            machine.submit(job(1), deadline: at(5), now: start) == [.start(worker(1)), .tick(at: at(5))])
        #expect(machine.connected(worker(1), now: start) == [.assign(job(1), worker(1))])
        #expect(machine.finished(worker(1), isReusable: true, now: start) == [])
        #expect(machine.submit(job(2), deadline: at(5), now: start) == [.assign(job(2), worker(1))])
    }

    @Test("While nothing may be asked everybody is refused at once; what runs goes on, or is abandoned")
    func hold() {
        var machine = connected(1, maximum: 1)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        _ = machine.submit(job(2), deadline: at(5), now: start)
        #expect(machine.hold(abandons: false, now: start) == [.refuse(job(2), .held)])
        #expect(machine.submit(job(3), deadline: at(5), now: start) == [.refuse(job(3), .held)])
        #expect(machine.hold(abandons: true, now: start) == [.abandon(job(1), worker(1))])
        #expect(machine.finished(worker(1), isReusable: true, now: start) == [.stop(worker(1))])
        #expect(machine.release(now: start) == [])
        #expect(machine.submit(job(4), deadline: at(5), now: start) == [.start(worker(2))])
    }

    @Test(
        "Nobody gets a connection from before a hold: it may lead to a demoted primary or a host that is gone"
    )
    func holdEndsConnections() {
        var machine = connected(3, maximum: 4)
        for number in 1...4 { _ = machine.submit(job(number), deadline: at(5), now: start) }
        // The last job gets a connection that is free sooner than the one that was started for it.
        _ = machine.finished(worker(1), isReusable: true, now: start)
        _ = machine.finished(worker(1), isReusable: true, now: start)
        #expect(machine.busyCount == 2)
        #expect(machine.hold(abandons: false, now: start) == [.stop(worker(1))])
        #expect(machine.connected(worker(4), now: start) == [.stop(worker(4))])
        #expect(machine.finished(worker(3), isReusable: true, now: start) == [.stop(worker(3))])
        #expect(machine.finished(worker(2), isReusable: false, now: start) == [])
        #expect(machine.connectionCount == 0)
        #expect(machine.release(now: start) == [])
        #expect(machine.submit(job(5), deadline: at(5), now: start).contains(.start(worker(5))))
        #expect(machine.connected(worker(5), now: start) == [.assign(job(5), worker(5))])
        #expect(machine.finished(worker(5), isReusable: true, now: start) == [])
    }

    @Test("Whoever knows that the server is back lets the pool connect at once")
    func releaseDuringOutage() {
        var machine = PoolMachine(maximumWorkers: 1, maximumWaiters: 10)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        _ = machine.connectFailed(worker(1), jitter: 1, now: start)
        _ = machine.hold(abandons: true, now: start)
        #expect(machine.release(now: start) == [.start(worker(2))])
    }

    @Test("Closing lets a worker wait no longer for what was given up")
    func closingGivesUp() {
        var machine = connected(1, maximum: 1)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        #expect(machine.close(now: start) == [.interrupt(job(1), worker(1)), .giveUp(worker(1))])
    }

    @Test("No more connections are opened than the maximum, and jobs get them in the order they came")
    func limit() {
        var machine = connected(1, maximum: 1)
        #expect(machine.submit(job(1), deadline: at(5), now: start) == [.assign(job(1), worker(1))])
        #expect(machine.submit(job(2), deadline: at(5), now: start) == [.tick(at: at(5))])
        #expect(machine.submit(job(3), deadline: at(6), now: start) == [])
        #expect(machine.finished(worker(1), isReusable: true, now: start) == [.assign(job(2), worker(1))])
        #expect(machine.finished(worker(1), isReusable: true, now: start) == [.assign(job(3), worker(1))])
    }

    @Test("The most recently used connection is used first")
    func mostRecent() {
        var machine = connected(2, maximum: 2)
        #expect(machine.submit(job(1), deadline: at(5), now: start) == [.assign(job(1), worker(2))])
    }

    @Test("A job that waited too long is refused, and only that one")
    func acquireTimeout() {
        var machine = connected(1, maximum: 1)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        _ = machine.submit(job(2), deadline: at(5), now: start)
        #expect(machine.submit(job(3), deadline: at(1), now: start) == [.tick(at: at(1))])
        #expect(machine.tick(now: at(1)) == [.refuse(job(3), .acquireTimedOut), .tick(at: at(5))])
        #expect(machine.tick(now: at(5)) == [.refuse(job(2), .acquireTimedOut)])
        #expect(machine.finished(worker(1), isReusable: true, now: at(5)) == [])
    }

    @Test("The queue is bounded")
    func boundedQueue() {
        var machine = connected(1, maximum: 1, waiters: 1)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        _ = machine.submit(job(2), deadline: at(5), now: start)
        #expect(machine.submit(job(3), deadline: at(5), now: start) == [.refuse(job(3), .tooManyWaiters)])
    }

    @Test("A withdrawn job leaves the queue, or is interrupted where it runs")
    func withdraw() {
        var machine = connected(1, maximum: 1)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        _ = machine.submit(job(2), deadline: at(5), now: start)
        #expect(machine.withdraw(job(2), now: start) == [.refuse(job(2), .cancelled)])
        #expect(machine.withdraw(job(1), now: start) == [.interrupt(job(1), worker(1))])
        #expect(machine.finished(worker(1), isReusable: true, now: start) == [])
        #expect(machine.withdraw(job(1), now: start) == [])
    }

    @Test("A broken connection is replaced when somebody waits")
    func replacement() {
        var machine = connected(1, maximum: 1)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        _ = machine.submit(job(2), deadline: at(5), now: start)
        #expect(machine.finished(worker(1), isReusable: false, now: start) == [.start(worker(2))])
        #expect(machine.connected(worker(2), now: start) == [.assign(job(2), worker(2))])
    }

    @Test("An idle connection that broke is forgotten; one that was just given a job keeps it")
    func idleLoss() {
        var machine = connected(1, maximum: 1)
        #expect(machine.lostConnection(worker(1), now: start) == [.stop(worker(1))])
        #expect(machine.connectionCount == 0)
        var busy = connected(1, maximum: 1)
        _ = busy.submit(job(1), deadline: at(5), now: start)
        #expect(busy.lostConnection(worker(1), now: start) == [])
    }

    @Test("When no connection can be made everybody is refused at once, and the pool tries again by itself")
    func outage() {
        var machine = PoolMachine(maximumWorkers: 2, maximumWaiters: 10)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        _ = machine.submit(job(2), deadline: at(5), now: start)
        #expect(machine.connectFailed(worker(1), jitter: 1, now: start) == [])
        // The second failure in a row: 200 ms.
        #expect(
            machine.connectFailed(worker(2), jitter: 1, now: start) == [
                .refuse(job(1), .connectionFailed), .refuse(job(2), .connectionFailed), .tick(at: at(0.2)),
            ])
        #expect(machine.submit(job(3), deadline: at(5), now: at(0.1)) == [.refuse(job(3), .connectionFailed)])
        #expect(machine.tick(now: at(0.2)) == [.start(worker(3))])
        #expect(machine.submit(job(4), deadline: at(5), now: at(0.2)) == [.refuse(job(4), .connectionFailed)])
        #expect(machine.connected(worker(3), now: at(0.3)) == [])
        #expect(machine.submit(job(5), deadline: at(5), now: at(0.3)) == [.assign(job(5), worker(3))])
    }

    @Test("While some connections work, failing to open more refuses nobody")
    func failedGrowth() {
        var machine = connected(1, maximum: 3)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        #expect(
            machine.submit(job(2), deadline: at(5), now: start) == [.start(worker(2)), .tick(at: at(5))])
        #expect(machine.connectFailed(worker(2), jitter: 1, now: start) == [.tick(at: at(0.1))])
        #expect(machine.submit(job(3), deadline: at(5), now: at(0.01)) == [])
        #expect(machine.finished(worker(1), isReusable: true, now: at(0.02)) == [.assign(job(2), worker(1))])
        // One attempt at a time, however many wait.
        #expect(machine.submit(job(4), deadline: at(5), now: at(0.02)) == [])
        #expect(machine.tick(now: at(0.1)) == [.start(worker(3)), .tick(at: at(5))])
    }

    @Test("Draining serves what runs and waits, and what comes meanwhile, and then closes")
    func drain() {
        var machine = connected(1, maximum: 1)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        _ = machine.submit(job(2), deadline: at(5), now: start)
        #expect(machine.drain(now: start) == [])
        _ = machine.submit(job(3), deadline: at(5), now: start)
        #expect(machine.finished(worker(1), isReusable: true, now: start) == [.assign(job(2), worker(1))])
        #expect(machine.finished(worker(1), isReusable: true, now: start) == [.assign(job(3), worker(1))])
        #expect(machine.finished(worker(1), isReusable: true, now: start) == [.stop(worker(1)), .closed])
        #expect(machine.submit(job(4), deadline: at(5), now: start) == [.refuse(job(4), .shuttingDown)])
    }

    @Test("Closing refuses what waits, interrupts what runs, and is done when nothing runs")
    func close() {
        var machine = connected(2, maximum: 2)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        #expect(
            machine.close(now: start) == [
                .interrupt(job(1), worker(2)), .giveUp(worker(2)), .stop(worker(1)),
            ])
        #expect(machine.finished(worker(2), isReusable: false, now: start) == [.closed])
        #expect(machine.close(now: start) == [])
    }

    @Test("A connection that is made after closing is ended")
    func lateConnection() {
        var machine = PoolMachine(maximumWorkers: 1, maximumWaiters: 10)
        _ = machine.submit(job(1), deadline: at(5), now: start)
        #expect(machine.close(now: start) == [.refuse(job(1), .shuttingDown), .closed])
        #expect(machine.connected(worker(1), now: start) == [.stop(worker(1))])
    }

    @Test(
        "The delay doubles from 100 ms to 2 s, and its lower half is certain",
        arguments: [(1, 100), (2, 200), (3, 400), (5, 1600), (6, 2000), (1000, 2000)])
    func backoff(failures: Int, milliseconds: Int) {
        #expect(Backoff.delay(failures: failures, jitter: 1) == .milliseconds(milliseconds))
        #expect(Backoff.delay(failures: failures, jitter: 0) == .milliseconds(milliseconds / 2))
    }
}
