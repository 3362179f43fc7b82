/// A moment: milliseconds since 1970-01-01T00:00:00Z, as the protocol and the database speak of it.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Milliseconds since the epoch.
    public let milliseconds: Int64

    /// Wraps milliseconds since the epoch.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The smaller is the earlier one.
    public static func < (left: Self, right: Self) -> Bool { left.milliseconds < right.milliseconds }

    /// The moment `duration` later.
    public static func + (left: Self, duration: Duration) -> Self {
        Self(milliseconds: left.milliseconds + duration.milliseconds)
    }

    /// The time from `right` to `left`; negative where `left` is the earlier one.
    public static func - (left: Self, right: Self) -> Duration {
        .milliseconds(left.milliseconds - right.milliseconds)
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
