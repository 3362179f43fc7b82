import Metrics

/// What the pool tells an operator.
struct PoolMetrics: Sendable {
    private let connections = Gauge(label: "postgres.connections")
    private let busy = Gauge(label: "postgres.connections.busy")
    private let waiting = Gauge(label: "postgres.waiting")
    private let available = Gauge(label: "postgres.available")
    private let waits = Timer(label: "postgres.wait")
    private let runs = Timer(label: "postgres.transaction")

    /// Connections open, of these in use, callers that wait, and whether the server could be reached.
    func state(connections: Int, busy: Int, waiting: Int, isOutage: Bool) {
        self.connections.record(connections)
        self.busy.record(busy)
        self.waiting.record(waiting)
        available.record(isOutage ? 0 : 1)
    }

    /// A job waited that long for a connection.
    func waited(for duration: Duration) { waits.record(duration: duration) }

    /// A job used a connection that long.
    func ran(for duration: Duration) { runs.record(duration: duration) }

    /// A caller got an error from here.
    func failed(_ error: PostgresError) {
        Counter(label: "postgres.errors", dimensions: [("code", error.code.description)]).increment()
    }
}
