/// A token bucket: `burst` at once, refilled at `perSecond`. Time is given, never read.
public struct TokenBucket: Sendable, Equatable {
    /// How many are given back a second.
    public let perSecond: Double
    /// How many fit.
    public let burst: Double
    private var level: Double
    private var updated: Duration

    /// A full bucket.
    ///
    /// - Parameter now: a monotonic time, on the same scale as every later call's.
    public init(perSecond: Double, burst: Double, now: Duration) {
        self.perSecond = perSecond
        self.burst = burst
        level = burst
        updated = now
    }

    /// Takes one, or a part of one, where there is as much.
    ///
    /// - Parameter amount: at most 1, which every burst holds.
    /// - Returns: `nil` when it was taken; else how long until there is as much.
    public mutating func take(_ amount: Double = 1, now: Duration) -> Duration? {
        refill(now: now)
        if level >= amount {
            level -= amount
            return nil
        }
        return .milliseconds(Int64(((amount - level) / perSecond * 1000).rounded(.up)))
    }

    /// Whether nothing would be lost by forgetting this bucket.
    public func isFull(now: Duration) -> Bool {
        level + Self.seconds(now - updated) * perSecond >= burst
    }

    private mutating func refill(now: Duration) {
        level = min(burst, level + max(0, Self.seconds(now - updated)) * perSecond)
        updated = max(updated, now)
    }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }
}

/// Token buckets by key, such as an address; bounded, so that a flood of keys costs no memory.
public struct KeyedTokenBuckets: Sendable {
    private let perSecond: Double
    private let burst: Double
    private let capacity: Int
    private var buckets: [String: TokenBucket] = [:]
    private var overflow: TokenBucket
    /// When the full buckets were last looked for.
    private var forgotAt: Duration?

    /// - Parameters:
    ///   - capacity: how many keys are remembered; keys beyond it share one bucket until others are full
    ///     again.
    ///   - now: a monotonic time, on the same scale as every later call's.
    public init(perSecond: Double, burst: Double, capacity: Int, now: Duration) {
        self.perSecond = perSecond
        self.burst = burst
        self.capacity = capacity
        overflow = TokenBucket(perSecond: perSecond, burst: burst, now: now)
    }

    /// Takes one from the key's bucket.
    ///
    /// - Returns: `nil` when it was taken; else how long until there is one.
    public mutating func take(_ key: String, now: Duration) -> Duration? {
        if buckets[key] == nil, buckets.count >= capacity {
            forgetFullBuckets(now: now)
            if buckets.count >= capacity { return overflow.take(now: now) }
        }
        return buckets[key, default: TokenBucket(perSecond: perSecond, burst: burst, now: now)].take(now: now)
    }

    /// Once a second at most: otherwise each key of a flood would cost a look at all buckets.
    private mutating func forgetFullBuckets(now: Duration) {
        if let forgotAt, now - forgotAt < .seconds(1) { return }
        forgotAt = now
        buckets = buckets.filter { !$0.value.isFull(now: now) }
    }
}
