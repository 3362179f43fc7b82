import Logging
import PairingCore
import PairingStore

/// The event feed for people, and the proof that nobody changed it.
public struct Audit: Sendable {
    let store: PairingStore
    let logger: Logger

    /// What is wanted; what is `nil` is not asked for.
    public struct Filter: Sendable, Equatable {
        /// Who, by the whole name.
        public var actor: String?
        /// What happened, by the event's name.
        public var event: String?
        /// Which device.
        public var senderID: SenderID?
        /// From which address.
        public var address: String?
        /// From when on.
        public var from: Timestamp?
        /// Until when, itself excluded.
        public var until: Timestamp?

        /// Asks for everything.
        public init() {}
    }

    /// Something that happened.
    public struct Event: Sendable, Equatable {
        /// Its place.
        public var position: Int64
        /// When, by the database's clock.
        public var at: Timestamp
        /// What; an ``PairingCore/EventName`` unless a newer program wrote it.
        public var event: String
        /// The device's channel, where it is about a device.
        public var channel: String?
        /// The device, where it is about one.
        public var senderID: String?
        /// Who.
        public var actor: String
        /// From where, where that is known.
        public var address: String?
        /// Further facts: the text of a JSON object.
        public var details: String

        /// Wraps the parts.
        public init(
            position: Int64, at: Timestamp, event: String, channel: String?, senderID: String?, actor: String,
            address: String?, details: String
        ) {
            self.position = position
            self.at = at
            self.event = event
            self.channel = channel
            self.senderID = senderID
            self.actor = actor
            self.address = address
            self.details = details
        }
    }

    /// A page of events.
    public struct Page: Sendable {
        /// Newest first.
        public var events: [Event]
        /// What to pass as `before` for the next page; `nil` at the end.
        public var next: Int64?

        /// Wraps the two.
        public init(events: [Event] = [], next: Int64? = nil) {
            self.events = events
            self.next = next
        }
    }

    /// The events that a filter lets through, newest first.
    ///
    /// - Parameters:
    ///   - before: ``Page/next`` of the page before.
    ///   - limit: 1...200.
    public func events(
        _ filter: Filter, before: Int64?, limit: Int, by authority: Authority
    ) async throws(Refusal) -> Page {
        try authority.require(.read)
        let limit = min(max(limit, 1), 200)
        return try await refusing(logger) {
            var wanted = PairingStore.AuditFilter()
            (wanted.actor, wanted.event, wanted.senderID) = (filter.actor, filter.event, filter.senderID)
            (wanted.address, wanted.from, wanted.until) = (filter.address, filter.from, filter.until)
            let found = try await store.audit(wanted, before: before, limit: limit + 1)
            return Page(
                events: found.prefix(limit).map {
                    Event(
                        position: $0.position, at: $0.at, event: $0.event, channel: $0.channel,
                        senderID: $0.senderID, actor: $0.actor, address: $0.address, details: $0.details)
                },
                next: found.count > limit ? found[limit - 1].position : nil)
        }
    }

    /// The newest position and the hash there.
    public func head(by authority: Authority) async throws(Refusal) -> ChainHead {
        try authority.require(.read)
        return try await refusing(logger) {
            let ends = try await store.chainEnds()
            return ChainHead(position: ends.position, hash: ends.head)
        }
    }

    /// What a check of the chain found.
    public struct Verdict: Sendable, Equatable {
        /// The first position that was checked.
        public var first: Int64
        /// The head that the chain leads to.
        public var head: ChainHead
        /// How many rows were checked.
        public var count: Int
    }

    /// Checks every row of the chain, up to the newest at this moment.
    ///
    /// - Parameters:
    ///   - anchor: a head that was kept elsewhere.
    ///   - progress: told how many rows of how many were checked, now and then.
    /// - Throws: `FAILED_PRECONDITION` that names the first bad row, in `details["position"]` too.
    public func verify(
        anchor: ChainHead? = nil, by authority: Authority,
        progress: (_ done: Int64, _ of: Int64) -> Void = { _, _ in }
    ) async throws(Refusal) -> Verdict {
        try authority.require(.read)
        return try await refusing(logger) {
            let ends = try await store.chainEnds()
            var count = 0
            do {
                var chain = try EventChain(ends, anchor: anchor)
                while chain.position < ends.position {
                    let rows = try await store.chainedEvents(
                        after: chain.position, through: ends.position, limit: 2000)
                    if rows.isEmpty { break }
                    for row in rows { try chain.follow(row) }
                    count += rows.count
                    progress(chain.position - ends.after, ends.position - ends.after)
                }
                try chain.finish(ends)
                return Verdict(
                    first: ends.after + 1, head: ChainHead(position: ends.position, hash: ends.head),
                    count: count)
            } catch let fault as EventChain.Fault {
                throw fault.refusal
            }
        }
    }
}

extension EventChain.Fault {
    fileprivate var refusal: Refusal {
        let (position, sentence) =
            switch self {
            case .missing(let position):
                (position, "Events are missing before position \(position).")
            case .altered(let position):
                (
                    position,
                    "The event at position \(position) was changed, or one before it was put in or taken out."
                )
            case .unchained(let position): (position, "The event at position \(position) has no hash.")
            case .otherHead(let position):
                (position, "The chain ends at position \(position) with another hash than the counter's.")
            case .otherAnchor(let position):
                (
                    position,
                    "At position \(position) the chain has another hash than the one given: it was rewritten."
                )
            case .anchorOutside(let position):
                (
                    position,
                    "Position \(position) is not in the chain: its events were trimmed, or taken away at the end."
                )
            }
        return Refusal(.brokenChain, sentence, details: ["position": .integer(position)])
    }
}
