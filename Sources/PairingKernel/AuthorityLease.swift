/// How long an instance may act on what it remembers: a pure machine over a monotonic clock (I3).
struct AuthorityLease {
    private let duration: Duration
    private let grace: Duration
    private var confirmedAt: ContinuousClock.Instant?
    /// Whether the sessions pause.
    private(set) var isSuspended = false
    private var isClosed = false

    /// No authority yet: the database has confirmed nothing.
    ///
    /// - Parameters:
    ///   - duration: how long a confirmation lasts.
    ///   - grace: how long sessions then pause before they are closed.
    init(duration: Duration, grace: Duration) {
        self.duration = duration
        self.grace = grace
    }

    /// Whether the database confirmed within the lease.
    func isHeld(now: ContinuousClock.Instant) -> Bool {
        guard let confirmedAt else { return false }
        return now - confirmedAt < duration
    }

    /// The database confirmed what was asked at `asked`.
    ///
    /// - Returns: whether the sessions have to be resumed.
    mutating func confirm(asked: ContinuousClock.Instant) -> Bool {
        confirmedAt = asked
        defer {
            isSuspended = false
            isClosed = false
        }
        return isSuspended
    }

    /// What has to happen to the sessions now.
    enum Action: Equatable {
        case none
        /// Stop delivering, and refuse what is asked.
        case suspend
        /// Close every session.
        case close
    }

    /// Time passed.
    mutating func check(now: ContinuousClock.Instant) -> Action {
        guard let confirmedAt, !isClosed else { return .none }
        let age = now - confirmedAt
        if age >= duration + grace {
            isClosed = true
            return .close
        }
        if age >= duration, !isSuspended {
            isSuspended = true
            return .suspend
        }
        return .none
    }
}
