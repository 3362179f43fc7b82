/// How long to wait before dialling again: exponential, half of it random, so that devices that lost one
/// server at the same moment do not come back at the same moment.
package struct Backoff: Equatable {
    /// The greatest delay before the first attempt.
    package let first: Duration
    /// The greatest delay at all.
    package let greatest: Duration
    private var ceiling: Duration

    package init(first: Duration = .seconds(1), greatest: Duration = .seconds(60)) {
        self.first = first
        self.greatest = greatest
        ceiling = first
    }

    /// The next delay: between half the current ceiling and all of it; the ceiling then doubles.
    ///
    /// - Parameters:
    ///   - random: 0 up to but not including 1.
    ///   - notBefore: a server's `retryAfterMs`: the delay is added to it, so that all who were told the same
    ///     time are spread too.
    package mutating func next(random: Double, notBefore: Duration? = nil) -> Duration {
        let delay = ceiling * (0.5 + 0.5 * random)
        ceiling = min(ceiling * 2, greatest)
        return delay + max(notBefore ?? .zero, .zero)
    }

    /// Begins anew; called when a connection has lasted.
    package mutating func reset() { ceiling = first }
}
