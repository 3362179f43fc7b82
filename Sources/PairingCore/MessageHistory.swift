/// What a device and its agents said to each other, as it is shown later: page by page, the newest first page first.
public enum MessageHistory {
    /// The most messages of one page, and as many as one has where none is asked for.
    public static let maximumLimit = 200
    /// The number of messages of a page where none is asked for.
    public static let defaultLimit = 50
    /// The most bytes of a page's messages together; one message there always is.
    public static let maximumBytes = 256 << 10

    /// Where a page ends: messages of smaller numbers come on the next. Each direction has numbers of its own.
    public struct Cursor: Sendable, Equatable {
        /// Of the device's messages.
        public var sent: Int64
        /// Of those to the device.
        public var received: Int64

        /// Wraps the two.
        public init(sent: Int64 = .max, received: Int64 = .max) {
            self.sent = sent
            self.received = received
        }
    }

    /// A message of either direction.
    public struct Line: Sendable, Equatable {
        /// Its number in its direction.
        public var sequence: Int64
        /// Which agent spoke; `nil` where the device did.
        public var agent: String?
        /// The device's identifier of it; of an agent's, of the message that it answers.
        public var messageID: String?
        /// JSON text.
        public var body: String
        /// When it was stored.
        public var at: Timestamp

        /// Wraps the parts.
        public init(sequence: Int64, agent: String?, messageID: String?, body: String, at: Timestamp) {
            self.sequence = sequence
            self.agent = agent
            self.messageID = messageID
            self.body = body
            self.at = at
        }
    }

    /// What was read of one direction, from its cursor on.
    public struct Side: Sendable, Equatable {
        /// The newest first, their numbers falling.
        public var lines: [Line]
        /// The smallest number that was looked at, and all from it on were: there is nothing more down to it.
        public var floor: Int64

        /// Wraps the two.
        public init(lines: [Line], floor: Int64) {
            self.lines = lines
            self.floor = floor
        }
    }

    /// One page.
    public struct Page: Sendable, Equatable {
        /// Oldest first.
        public var lines: [Line]
        /// Where the next begins; `nil` where there is nothing older.
        public var next: Cursor?

        /// Wraps the two.
        public init(lines: [Line], next: Cursor?) {
            self.lines = lines
            self.next = next
        }
    }

    /// The newest of both directions by their time; within a direction they stay in the order of their numbers,
    /// whatever the clock did.
    ///
    /// - Parameters:
    ///   - limit: the most lines, one at least.
    ///   - bytes: the most bytes of their bodies; the first is taken whatever its size.
    public static func page(
        sent: Side, received: Side, before cursor: Cursor, limit: Int, bytes: Int = maximumBytes
    ) -> Page {
        var sentRest = sent.lines[...]
        var receivedRest = received.lines[...]
        var lines: [Line] = []
        var room = bytes
        while lines.count < limit {
            let isReceived: Bool
            switch (sentRest.first, receivedRest.first) {
            case (nil, nil): isReceived = false
            // An answer is younger than what it answers.
            case (let sent?, let received?): isReceived = received.at >= sent.at
            case (nil, _?): isReceived = true
            case (_?, nil): isReceived = false
            }
            guard let line = isReceived ? receivedRest.first : sentRest.first else { break }
            room -= line.body.utf8.count
            guard room >= 0 || lines.isEmpty else { break }
            lines.append(line)
            if isReceived { receivedRest.removeFirst() } else { sentRest.removeFirst() }
        }
        let next = Cursor(
            sent: bound(sent, rest: sentRest, before: cursor.sent),
            received: bound(received, rest: receivedRest, before: cursor.received))
        return Page(lines: lines.reversed(), next: next.sent > 1 || next.received > 1 ? next : nil)
    }

    private static func bound(_ side: Side, rest: ArraySlice<Line>, before: Int64) -> Int64 {
        // What is left over begins the next page.
        if let first = rest.first { return first.sequence + 1 }
        return max(1, min(side.floor, before))
    }
}
