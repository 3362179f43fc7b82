/// Admits a sustained rate with a burst.
struct TokenBucket: Sendable {
    private let perNanosecond: Double
    private let burst: Double
    private var tokens: Double
    private var last: UInt64

    /// Starts full.
    ///
    /// - Parameter now: monotonic nanoseconds.
    init(perSecond: Double, burst: Int, now: UInt64) {
        perNanosecond = perSecond / 1e9
        self.burst = Double(max(1, burst))
        tokens = self.burst
        last = now
    }

    /// Takes a token.
    ///
    /// - Returns: `nil`, or how long to wait for the next one.
    mutating func take(now: UInt64) -> Duration? {
        tokens = min(burst, tokens + Double(now &- last) * perNanosecond)
        last = now
        guard tokens < 1 else {
            tokens -= 1
            return nil
        }
        return .nanoseconds(Int64(min(((1 - tokens) / perNanosecond).rounded(.up), 3.6e12)))
    }
}
