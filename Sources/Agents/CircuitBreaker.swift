/// Spares an agent that fails, and those who would wait for it, the requests that would fail too: a pure machine.
struct CircuitBreaker: Sendable {
    /// What the breaker thinks of its agent.
    enum State: Sendable, Equatable {
        /// It works, as far as is known.
        case closed
        /// It failed too often; nobody asks until then.
        case open(until: ContinuousClock.Instant)
        /// One request tries whether it works again.
        case trying
    }

    private(set) var state = State.closed
    private var failures = 0
    private let threshold: Int
    private let pause: Duration

    /// - Parameters:
    ///   - threshold: failures in a row after which nobody asks for a while.
    ///   - pause: how long.
    init(threshold: Int, pause: Duration) {
        self.threshold = threshold
        self.pause = pause
    }

    /// Somebody wants to ask.
    ///
    /// - Returns: how long it has to wait instead; `nil` where it may ask, and then has to say how that ended.
    mutating func wait(now: ContinuousClock.Instant) -> Duration? {
        switch state {
        case .closed: return nil
        case .trying: return pause
        case .open(let until):
            guard now >= until else { return until - now }
            state = .trying
            return nil
        }
    }

    /// The agent answered, be it with a refusal.
    mutating func succeeded() {
        failures = 0
        state = .closed
    }

    /// The agent did not answer.
    mutating func failed(now: ContinuousClock.Instant) {
        failures += 1
        if state == .trying || failures >= threshold { state = .open(until: now + pause) }
    }

    /// Nobody knows how it would have ended.
    mutating func abandoned(now: ContinuousClock.Instant) {
        if state == .trying { state = .open(until: now) }
    }
}
