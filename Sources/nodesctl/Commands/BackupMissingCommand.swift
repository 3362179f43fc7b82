import ArgumentParser
import FoundationEssentials
import PairingCore
import PairingKernel
import PairingStore

/// `nodesctl backup missing`
struct BackupMissingCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "missing", abstract: "Say what was decided and is gone, from a copy of the events.",
        discussion: """
            After a restored backup, or a replica that took over and had not caught up. KEPT is what nodesctl events \
            follow --json printed and what was kept elsewhere. Every event of it that this database does not hold is \
            printed, and for each device whose revocation is among them the command that revokes it again. Changes \
            nothing; ends with 65 where something is missing.
            """)

    @OptionGroup var options: OperatorOptions

    @Argument(help: "The copy: a file with an event a line; - for the standard input.")
    var kept: String

    func run(at desk: Desk) async throws {
        var feed = KeptFeed()
        for (index, line) in try lines().enumerated() where !line.isEmpty {
            guard let event = KeptFeed.Event(line) else {
                throw CommandFailure(
                    .usage,
                    "Line \(index + 1) of \(kept) is not an event as nodesctl events follow --json prints it."
                )
            }
            feed.add(event)
        }
        if let oldest = try await desk.kernel.feed.events(after: 0, limit: 1).first {
            feed.forget(before: oldest)
        }
        while let position = feed.nextToCompare {
            feed.compare(
                with: try await desk.kernel.feed.events(after: position, limit: 1000), after: position)
        }
        let missing = feed.missing
        let revocations = feed.revocations
        try desk.print(
            .object([
                "kept": .integer(Int64(feed.count)), "missing": .array(missing.map(\.json)),
                "revoke": .array(
                    revocations.map {
                        .object(["channel": .string($0.channel), "senderId": .string($0.senderID.text)])
                    }),
            ]),
            (missing.map(\.line)
                + revocations.map { "nodesctl revoke \($0.senderID.text) --channel \($0.channel)" })
                .joined(separator: "\n"))
        guard missing.isEmpty else {
            throw CommandFailure(
                .refused,
                "\(missing.count) of \(feed.count) kept events are not in this database; \(revocations.count) devices are to "
                    + "be revoked again.")
        }
    }

    private func lines() throws -> [Substring] {
        if kept == "-" {
            var read: [Substring] = []
            while let line = readLine() { read.append(line[...]) }
            return read
        }
        guard let data = FileManager.default.contents(atPath: kept) else {
            throw CommandFailure(.notFound, "\(kept) can't be read.")
        }
        return String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    }
}

/// A copy of the event feed, and what a database lacks of it.
struct KeptFeed {
    /// An event as it was printed; what it's told by, and the rest.
    struct Event {
        let position: Int64
        let at: Timestamp
        let name: String
        let channel: String?
        let senderID: String?
        let json: JSONValue

        /// Reads a line that `nodesctl events follow --json` printed.
        init?(_ line: Substring) {
            guard let json = try? JSONValue(parsing: line.utf8),
                case .integer(let position)? = json["position"],
                case .integer(let at)? = json["at"], let name = json["event"]?.string
            else { return nil }
            self.json = json
            self.position = position
            self.at = Timestamp(milliseconds: at)
            self.name = name
            channel = json["channel"]?.string
            senderID = json["senderId"]?.string
        }

        /// For a person.
        var line: String {
            var parts = ["\(position)", at.text, name]
            if let channel, let senderID { parts.append("\(channel)/\(senderID)") }
            if let actor = json["actor"]?.string { parts.append("by \(actor)") }
            return terminalText(parts.joined(separator: "  "))
        }

        /// Whether it's the same one. After a loss another one may have its position.
        fileprivate func isSame(as event: PairingStore.Event) -> Bool {
            position == event.position && at == event.at && name == event.event && senderID == event.senderID
        }
    }

    private var events: [Event] = []
    /// Everything up to here has been compared.
    private var compared: Int64 = 0
    private(set) var count = 0
    private(set) var missing: [Event] = []

    mutating func add(_ event: Event) {
        events.append(event)
        count += 1
    }

    /// Leaves out what is older than the oldest event there is: it was removed by its age and isn't lost.
    mutating func forget(before oldest: PairingStore.Event) {
        events.removeAll { $0.position < oldest.position && $0.at <= oldest.at }
    }

    /// The position after which the database is to be read; `nil` once all is compared.
    var nextToCompare: Int64? {
        events.lazy.map(\.position).min().map { max($0 - 1, compared) }
    }

    /// Compares with what the database holds after a position, at most 1000 events.
    mutating func compare(with held: [PairingStore.Event], after position: Int64) {
        // Where it holds fewer there are none after them.
        let end = held.count < 1000 ? Int64.max : held.last?.position ?? .max
        let byPosition = Dictionary(held.map { ($0.position, $0) }) { first, _ in first }
        missing += events.filter { event in
            event.position <= end && !(byPosition[event.position].map(event.isSame) ?? false)
        }
        missing.sort { ($0.at, $0.position) < ($1.at, $1.position) }
        events.removeAll { $0.position <= end }
        compared = end
    }

    /// The devices that a revocation was lost of, and no pairing after it.
    var revocations: [(channel: String, senderID: SenderID)] {
        var last: [String: Event] = [:]
        for event in missing {
            guard let sender = event.senderID.flatMap({ SenderID($0) }) else { continue }
            switch EventName(rawValue: event.name) {
            case .pairingApproved?, .invitationUsed?, .pairingRevoked?: last[sender.key] = event
            default: continue
            }
        }
        return last.values.filter { $0.name == EventName.pairingRevoked.rawValue }.compactMap { event in
            guard let channel = event.channel.flatMap({ ChannelID($0) }),
                let sender = event.senderID.flatMap({ SenderID($0) })
            else { return nil }
            return (channel.text, sender)
        }.sorted { $0.senderID.text < $1.senderID.text }
    }
}
