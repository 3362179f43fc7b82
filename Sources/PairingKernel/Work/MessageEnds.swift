import Metrics

/// Counts messages that ended with neither an answer nor an acknowledgement. What a revocation withdraws is recorded
/// with the messages alone.
enum MessageEnds {
    static let expired = Counter(label: "messages_ended", dimensions: [("state", "expired")])
    static let undeliverable = Counter(label: "messages_ended", dimensions: [("state", "undeliverable")])
    static let overflowed = Counter(label: "messages_ended", dimensions: [("state", "overflowed")])
    static let aborted = Counter(label: "messages_ended", dimensions: [("state", "withdrawn")])
}
