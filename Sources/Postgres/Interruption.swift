import CLibPQ
import Synchronization
import Unix

/// Asks a running job to stop, once, for one reason. Safe from any thread.
final class Interruption: Sendable {
    private let reason = Mutex<PostgresError.Code?>(nil)

    /// Why the job is to stop; `nil` while it isn't.
    var code: PostgresError.Code? { reason.withLock { $0 } }

    /// The first reason stays.
    func request(_ code: PostgresError.Code) {
        reason.withLock { $0 = $0 ?? code }
    }
}

/// Tells a running job that nobody waits for its answer any more. Safe from any thread.
final class Abandonment: Sendable {
    private let requested = Atomic<Bool>(false)

    var isRequested: Bool { requested.load(ordering: .acquiring) }

    func request() { requested.store(true, ordering: .releasing) }
}

/// One request to the server to cancel what a connection is running.
///
/// It opens a connection of its own and blocks, so it runs on a thread of its own. Before libpq 17 it isn't encrypted even
/// where the connection is (PostgreSQL 15 manual, 34.7 "Canceling Queries in Progress").
struct CancelRequest: @unchecked Sendable {
    // Sendable: the request belongs to exactly one thread at a time, first to the one that makes it and then to the
    // one it starts.
    private let request: OpaquePointer

    /// How many requests are under way in this process. A server that swallows them must not collect threads; its
    /// `statement_timeout` does the work then.
    private static let underway = Atomic<Int>(0)
    private static let mostUnderway = 16

    /// To be called on the connection's thread.
    static func send(for connection: OpaquePointer) {
        guard underway.add(1, ordering: .relaxed).newValue <= mostUnderway,
            let request = nodes_cancel_make(connection)
        else {
            underway.subtract(1, ordering: .relaxed)
            return
        }
        let cancel = CancelRequest(request: request)
        if !OSThread.start(named: "postgres-cancel", { cancel.run() }) { cancel.finish() }
    }

    private func run() {
        // It may come too late to have an effect, so its own failure means nothing more.
        nodes_cancel_send(request)
        finish()
    }

    private func finish() {
        nodes_cancel_free(request)
        Self.underway.subtract(1, ordering: .relaxed)
    }
}
