/// How much of one device's may wait, in either direction.
public struct MessageLimits: Sendable, Equatable {
    /// Messages to a device that wait for its acknowledgement; at so many, no more are accepted from it.
    public var unacknowledged: Int64 = 1000
    /// Their bytes.
    public var unacknowledgedBytes: Int64 = 8 << 20
    /// Messages from a device that wait for an answer; at so many, no more are accepted from it.
    public var unanswered: Int64 = 1000
    /// Their bytes, with what their channel made of them, that are not exceeded by a further one.
    public var unansweredBytes: Int64 = 8 << 20

    /// The limits as shipped.
    public init() {}
}
