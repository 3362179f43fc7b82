import PairingStore

/// The work of one session that waits for its turn: one thing at a time, in order, bounded.
struct SessionQueue: Sendable {
    /// Messages that may wait to be answered.
    static let capacity = 256

    /// Something to do for a session.
    enum Work: Sendable, Equatable {
        /// Deliver what the device has not acknowledged, and answer what was not answered.
        case catchUp
        /// Have what is accepted and unanswered answered.
        case answerOpen
        /// Have what this message became answered.
        case answer(sequence: Int64, forwarded: [PairingStore.ForwardedMessage])
    }

    private var waiting: [Work] = []
    private var reserved = 0
    private var isRunning = false

    /// Takes a place for a message that is about to be accepted.
    ///
    /// - Returns: `false` where the queue is full: the message must not be accepted.
    mutating func reserve() -> Bool {
        guard waiting.count + reserved < Self.capacity else { return false }
        reserved += 1
        return true
    }

    /// Gives a place back that was reserved for nothing.
    mutating func release() { reserved -= 1 }

    /// Puts a message in the place that was reserved for it.
    ///
    /// - Returns: whether somebody has to run the queue now.
    mutating func fill(_ work: Work) -> Bool {
        reserved -= 1
        return append(work)
    }

    /// Appends work that needs no place.
    ///
    /// - Returns: whether somebody has to run the queue now.
    mutating func append(_ work: Work) -> Bool {
        // Once is enough, however often it is asked for.
        if work == .answerOpen, waiting.contains(.answerOpen) { return false }
        waiting.append(work)
        if isRunning { return false }
        isRunning = true
        return true
    }

    /// Everything that waits, in order; empty when the runner has to stop.
    mutating func take() -> [Work] {
        defer { waiting = [] }
        if waiting.isEmpty { isRunning = false }
        return waiting
    }
}
