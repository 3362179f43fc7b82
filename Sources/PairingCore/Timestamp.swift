/// A moment: milliseconds since 1970-01-01T00:00:00Z, as the protocol and the database speak of it.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Milliseconds since the epoch.
    public let milliseconds: Int64

    /// Wraps milliseconds since the epoch.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The smaller is the earlier one.
    public static func < (left: Self, right: Self) -> Bool { left.milliseconds < right.milliseconds }

    /// The moment `duration` later; the last or first there is where that is beyond it.
    public static func + (left: Self, duration: Duration) -> Self {
        let (sum, overflows) = left.milliseconds.addingReportingOverflow(duration.milliseconds)
        return Self(milliseconds: overflows ? (duration < .zero ? .min : .max) : sum)
    }

    /// The time from `right` to `left`; negative where `left` is the earlier one. At most the longest that
    /// is counted in milliseconds: a peer may have chosen one of the two.
    public static func - (left: Self, right: Self) -> Duration {
        let (difference, overflows) = left.milliseconds.subtractingReportingOverflow(right.milliseconds)
        return .milliseconds(overflows ? (left < right ? .min : .max) : difference)
    }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero.
    public var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}

/// Tells the wall-clock time; injected, so that tests decide what time it is.
///
/// Only the 120-second window of a proof uses it: what the database decides, it decides by its own clock.
public typealias WallClock = @Sendable () -> Timestamp
