/// What became of a message.
public enum MessageStatus: String, Sendable, Hashable, CaseIterable {
    /// It is stored and waits.
    case accepted
    /// An agent is asked about it, or is to be asked again.
    case working
    /// An agent has answered; the device has not acknowledged all of the answer.
    case answered
    /// Whoever it is for has it: of a device's message, the device has the answer.
    case delivered
    /// Its time was over before its device had acknowledged it.
    case expired
    /// There was no room for it.
    case overflowed
    /// Its agent, or its channel, failed on it too often.
    case undeliverable
    /// It was given up: the pairing was revoked, or whoever sent it wanted it no more.
    case withdrawn
}

/// What is known of a message.
public struct MessageReport: Sendable, Equatable {
    /// Its number in its direction.
    public var sequence: Int64
    /// What became of it.
    public var status: MessageStatus
    /// Why it ended with neither an answer nor an acknowledgement: a word for programs.
    public var reason: String?
    /// When the device said that it was read; only of messages to devices.
    public var readAt: Timestamp?

    /// Wraps the parts.
    public init(
        sequence: Int64, status: MessageStatus, reason: String? = nil, readAt: Timestamp? = nil
    ) {
        self.sequence = sequence
        self.status = status
        self.reason = reason
        self.readAt = readAt
    }
}
