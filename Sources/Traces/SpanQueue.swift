import Tracing

/// A span that has ended.
struct FinishedSpan: Sendable {
    var name: String
    var place: TraceParent
    /// The span that it is a part of.
    var parentID: String?
    var kind: SpanKind
    /// Nanoseconds since the epoch.
    var start: UInt64
    var end: UInt64
    var attributes: [String: SpanAttribute] = [:]
    var links: [TraceParent] = []
    var hasFailed = false
}

/// Spans that wait for the collector; what finds no room is counted and gone.
struct SpanQueue: Sendable {
    /// How many wait at most.
    static let capacity = 4096
    /// How many go out together.
    static let batch = 512

    private(set) var spans: [FinishedSpan] = []
    private let capacity: Int

    init(capacity: Int = Self.capacity) { self.capacity = capacity }

    /// What there is to do for a span that was to be added.
    enum Addition: Equatable {
        case added
        /// As many wait as go out together.
        case full
        /// There was no room.
        case dropped
    }

    mutating func add(_ span: FinishedSpan) -> Addition {
        guard spans.count < capacity else { return .dropped }
        spans.append(span)
        return isBatch ? .full : .added
    }

    /// Whether as many wait as go out together.
    var isBatch: Bool { spans.count >= Self.batch }

    /// The oldest, as many as go out together.
    mutating func take() -> [FinishedSpan] {
        defer { spans.removeFirst(min(spans.count, Self.batch)) }
        return Array(spans.prefix(Self.batch))
    }
}
