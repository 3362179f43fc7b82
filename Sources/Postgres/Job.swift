/// What a caller wants done on a connection, and how it's told what came of it. Exactly one of `run` and `refuse`
/// is called, once.
struct Job: Sendable {
    let id: PoolMachine.JobID
    /// When waiting for a connection ends.
    let deadline: ContinuousClock.Instant
    let submitted = ContinuousClock.now
    let interruption: Interruption
    let abandonment = Abandonment()
    /// Does the work on the connection's thread and answers with a closure that tells the caller.
    let run: @Sendable (Connection) -> @Sendable () -> Void
    /// Tells the caller that the work won't be done.
    let refuse: @Sendable (PostgresError) -> Void
}
