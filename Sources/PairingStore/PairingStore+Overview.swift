import PairingCore
import Postgres

extension PairingStore {
    /// Everything that the page of requests and devices shows, read in one round trip.
    public struct Overview: Sendable {
        /// Whose session it is; `nil` where there is none any more, and then nothing else may be shown.
        public var username: String?
        /// What its account may do.
        public var role: Role?
        /// Whether the session's use has to be noted.
        public var isStale = false
        /// Where the event feed is: what is shown is at least as new.
        public var position: Int64
        /// When devices may ask to pair.
        public var window: PairingWindow
        /// How many requests wait, counted up to 1,001.
        public var pending: Int
        /// How many devices are paired, counted up to 1,001.
        public var paired: Int
        /// The requests that wait.
        public var requests: [Listed<PairingRequest>]
        /// The active pairings.
        public var devices: FoundDevices
        /// The refused claims on sender IDs of either, newest first.
        public var rivals: [RivalListing]
        /// What is wrong.
        public var troubles: SystemTroubles
    }

    /// What an overview is asked for.
    public struct OverviewQuery: Sendable {
        /// The hash of the session that asks, and how long sessions last.
        public var session: (hash: [UInt8], idle: Duration, absolute: Duration)
        /// A part of what is looked for; empty for everything.
        public var filter: String
        /// Which devices are looked for.
        public var devices: DeviceFilter
        /// Whether the filter finds parts of codes.
        public var matchesCode: Bool
        /// Where the page of requests begins.
        public var requestsAfter: Cursor?
        /// Where the page of devices begins.
        public var devicesAfter: DeviceCursor?
        /// The rows of each list.
        public var limit: Int
        /// How many requests of an address may wait.
        public var requestsPerAddress: Int

        /// Wraps the parts.
        public init(
            session: (hash: [UInt8], idle: Duration, absolute: Duration), filter: String,
            devices: DeviceFilter, matchesCode: Bool, requestsAfter: Cursor?, devicesAfter: DeviceCursor?,
            limit: Int, requestsPerAddress: Int
        ) {
            self.session = session
            self.filter = filter
            self.devices = devices
            self.matchesCode = matchesCode
            self.requestsAfter = requestsAfter
            self.devicesAfter = devicesAfter
            self.limit = limit
            self.requestsPerAddress = requestsPerAddress
        }
    }

    /// Reads an overview. The position comes first: whatever is committed later is in what follows, or after it.
    public func overview(_ query: OverviewQuery) async throws -> Overview {
        let (hash, idle, absolute) = query.session
        let answers = try await pool.read(
            [
                Self.sessionQuery(hash, idle: idle, absolute: absolute),
                ("SELECT position, mode, until FROM event_counter, pairing_window", []),
                Self.countsQuery(upTo: 1001),
                Self.requestsQuery(
                    filter: query.filter, channel: query.devices.channel, matchesCode: query.matchesCode,
                    after: query.requestsAfter, limit: query.limit + 1),
                Self.devicesQuery(query.devices, after: query.devicesAfter, limit: query.limit),
            ] + Self.troublesQueries(requestsPerAddress: query.requestsPerAddress))
        let session = answers[0].first
        let counts = try answers[2].only()
        return Overview(
            username: try session?.text("username"), role: try session?.role(),
            isStale: try session?.bool("stale") ?? false,
            position: try answers[1].only().int64("position"),
            window: try answers[1].only().pairingWindow(), pending: try counts.int("pending"),
            paired: try counts.int("paired"), requests: try answers[3].map { try $0.listedRequest() },
            devices: try answers[4].foundDevices(limit: query.limit),
            rivals: try answers[3].flatMap { try $0.rivals() }
                + answers[4].filter { try $0.bool("matches") }.flatMap { try $0.rivals() },
            troubles: try SystemTroubles(answers[5...]))
    }
}

extension PostgresRow {
    /// The rivals of a row of either list: a JSON array, or null where there are none.
    fileprivate func rivals() throws -> [PairingStore.RivalListing] {
        guard let text = try optionalText("rivals") else { return [] }
        guard case .array(let rows) = try? JSONValue(parsing: text.utf8) else {
            throw CorruptRow(column: "rivals")
        }
        let senderKey = try senderID().key
        return rows.compactMap { row in
            guard case .object(let row) = row, let channel = row["channel"]?.string.flatMap(ChannelID.init)
            else { return nil }
            return PairingStore.RivalListing(
                senderKey: senderKey, address: row["address"]?.string.flatMap { ClientAddress($0) },
                channel: channel, attempts: Int(row["attempts"]?.wholeNumber ?? 1),
                lastAt: Timestamp(milliseconds: row["at"]?.wholeNumber ?? 0))
        }
    }
}

extension Columns {
    /// The rivals of a row of a table `name`, as JSON.
    static func rivals(of name: String) -> String {
        """
        (SELECT json_agg(json_build_object('address', r.address, 'channel', r.channel, 'attempts', r.attempts,
            'at', floor(extract(epoch FROM r.last_at) * 1000)::bigint) ORDER BY r.last_at DESC)::text
            FROM rival_claims r WHERE r.sender_key = \(name).sender_key) AS rivals
        """
    }
}
