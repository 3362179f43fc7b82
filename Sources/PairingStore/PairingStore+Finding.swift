import PairingCore
import Postgres

extension PairingStore {
    /// Which paired devices are looked for, and in what order.
    public struct DeviceFilter: Sendable, Equatable {
        /// The beginning or a part of a sender ID or name, or a part of a channel; empty for all.
        public var text = ""
        /// Only this channel.
        public var channel: ChannelID?
        /// Only those that a running gateway holds a session of, or only the others.
        public var isConnected: Bool?
        /// Only those that this actor paired.
        public var pairedBy: String?
        /// Only those whose messages go to one of these where they name nobody: agents' names, and
        /// ``channelAgent(of:)`` for channels; `nil` for all.
        public var agents: [String]?
        /// With ``agents``: those for whom nobody chose as well, of any channel but these; `nil` for none.
        public var otherChannels: [ChannelID]?
        /// Only those that were paired within that time.
        public var pairedWithin: Duration?
        /// Only those that were paired longer ago than that.
        public var pairedBefore: Duration?
        /// How they are sorted, where ``effectiveOrder`` is no other.
        public var order = DeviceOrder.newest

        /// Everything, newest first.
        public init(text: String = "") { self.text = text }

        /// What ``agents`` holds for the devices of a channel that its own agent answers.
        public static func channelAgent(of channel: ChannelID) -> String { "#" + channel.text }

        /// How the rows are sorted in fact; `nil` where a text is looked for, which comes by how it is found: sender IDs
        /// that begin with it, then names that do, then what holds it elsewhere, newest first. Those that are connected
        /// are sorted by their sender IDs.
        public var effectiveOrder: DeviceOrder? {
            if !text.isEmpty { return nil }
            return isConnected == true ? .sender : order
        }
    }

    /// Where a page of devices begins: after this row of the one before.
    public struct DeviceCursor: Sendable, Equatable {
        /// In which part of the walk the row is.
        public var part: Int
        /// By what the part is sorted: a sender ID's key, a name, or microseconds since the epoch.
        public var key: String
        /// The row's request ID, for rows of one key.
        public var id: RequestID

        /// Wraps the parts.
        public init(part: Int, key: String, id: RequestID) {
            self.part = part
            self.key = key
            self.id = id
        }
    }

    /// A page of devices.
    public struct FoundDevices: Sendable {
        /// Those that were found.
        public var rows: [(row: DeviceListing, cursor: DeviceCursor)]
        /// Where to look on: `nil` at the end.
        public var next: DeviceCursor?
        /// Whether the page ends before it is full, because as many rows were looked at as may be for one.
        public var isPartial: Bool
    }

    /// The most rows that are looked at for one page: what it costs does not grow with what is stored (I10).
    static let mostLookedAt = 2000

    /// The active pairings that a filter finds.
    public func findDevices(
        _ filter: DeviceFilter, after cursor: DeviceCursor? = nil, limit: Int
    ) async throws -> FoundDevices {
        let (sql, parameters) = Self.devicesQuery(filter, after: cursor, limit: limit)
        return try await pool.query(sql, parameters).foundDevices(limit: limit)
    }

    /// Reads a row more than `limit`, so that it is known whether another page follows.
    static func devicesQuery(
        _ filter: DeviceFilter, after cursor: DeviceCursor?, limit: Int
    ) -> (sql: String, parameters: [PostgresValue]) {
        var walk = DeviceWalk(filter, after: cursor)
        let (rows, order) = walk.sql()
        let matches = walk.matches()
        let (most, limit) = (walk.parameters.add(.int(mostLookedAt)), walk.parameters.add(.int(limit + 1)))
        return (
            """
            SELECT \(Columns.device), \(Columns.presence), d.part, d.key, d.looked, d.matches,
                coalesce(d.request_id, '\(RequestID.first)')::text AS place,
                \(Columns.rivals(of: "d"))
            FROM (SELECT * FROM (
                    SELECT w.*, (\(matches)) AS matches
                    FROM (SELECT *, row_number() OVER () AS looked
                        FROM (\(rows)\(order) LIMIT \(most)::bigint) AS walk) AS w) AS m
                WHERE matches OR looked = \(most)::bigint LIMIT \(limit)::bigint) AS d
            \(Columns.presenceJoin)
            ORDER BY d.looked
            """, walk.parameters.values
        )
    }
}

extension RequestID {
    /// Sort before and after all others.
    fileprivate static let first = "00000000-0000-0000-0000-000000000000"
    fileprivate static let last = "ffffffff-ffff-ffff-ffff-ffffffffffff"
}

/// The parameters of a statement that is put together.
struct StatementParameters {
    private(set) var values: [PostgresValue] = []

    /// Adds one.
    ///
    /// - Returns: what stands for it.
    mutating func add(_ value: PostgresValue) -> String {
        values.append(value)
        return "$\(values.count)"
    }
}

/// A walk along the index that fits what is looked for; what the index does not decide is asked of each row.
private struct DeviceWalk {
    private let filter: PairingStore.DeviceFilter
    private let cursor: PairingStore.DeviceCursor?
    var parameters = StatementParameters()
    /// What stands for the text that is looked for, as sender IDs and as names are compared.
    private var text: (sender: String, senderEnd: String, name: String)?

    private static let active = "FROM paired_devices d WHERE d.state = 'active'"
    private static let collation = #""und-x-icu""#
    private static let name = """
        (lower(coalesce(d.label, nullif(d.display_name, ''), d.sender_id) COLLATE \(collation)) COLLATE "C")
        """
    private static let microseconds = "(extract(epoch FROM d.paired_at) * 1000000)::bigint::text"
    /// Sorts after everything that begins with the text before it.
    private static let last = "\u{10FFFF}"

    init(_ filter: PairingStore.DeviceFilter, after cursor: PairingStore.DeviceCursor?) {
        self.filter = filter
        self.cursor = cursor
        guard !filter.text.isEmpty else { return }
        let key = filter.text.lowercased()
        let name = parameters.add(.text(filter.text))
        text = (
            parameters.add(.text(key)), parameters.add(.text(key + Self.last)),
            "(lower(normalize(\(name)::text, NFC) COLLATE \(Self.collation)) COLLATE \"C\")"
        )
    }

    /// The rows, and their order.
    mutating func sql() -> (rows: String, order: String) {
        if let text { return (textRows(text), "") }
        let columns = "SELECT d.*, 0 AS part"
        switch filter.effectiveOrder ?? .newest {
        case .sender where filter.isConnected == true: return (connectedRows(), "")
        case .sender:
            let key = parameters.add(.text(cursor?.key ?? ""))
            return (
                "\(columns), d.sender_key AS key \(Self.active) AND d.sender_key COLLATE \"C\" > \(key)",
                " ORDER BY d.sender_key COLLATE \"C\""
            )
        case .name:
            let (key, id) = textPlace()
            return (
                "\(columns), \(Self.name) AS key \(Self.active) AND (\(Self.name), d.request_id) > (\(key), \(id))",
                " ORDER BY \(Self.name), d.request_id"
            )
        case .newest, .oldest:
            let isNewest = filter.order == .newest
            let (time, id) = timePlace(isNewest: isNewest)
            var rows =
                "\(columns), \(Self.microseconds) AS key \(Self.active)"
                + " AND (d.paired_at, d.request_id) \(isNewest ? "<" : ">") (\(time), \(id))" + ages(of: "d")
            let direction = isNewest ? " DESC" : ""
            let order = " ORDER BY d.paired_at\(direction), d.request_id\(direction)"
            if let by = filter.pairedBy {
                rows += " AND d.paired_by = \(parameters.add(.text(by)))"
            } else if let channel = filter.channel {
                rows += " AND d.channel = \(parameters.add(.text(channel.text)))"
            }
            return (rows, order)
        }
    }

    /// Sender IDs that begin with the text, then names that do, then, newest first, everything that may hold it.
    private mutating func textRows(_ text: (sender: String, senderEnd: String, name: String)) -> String {
        let part = parameters.add(.int(cursor?.part ?? 0))
        let sender = parameters.add(.text(cursor?.part == 0 ? cursor?.key : ""))
        let isAtName = cursor?.part == 1
        let name = parameters.add(.text(isAtName ? cursor?.key : ""))
        let nameID = parameters.add(.uuid(isAtName ? cursor?.id.text : RequestID.first))
        let (time, id) = timePlace(isNewest: true, isHere: cursor?.part == 2)
        let most = PairingStore.mostLookedAt
        // Ends are compared as rows: an ordinary range would be taken for a small one, and be sorted.
        let last = parameters.add(.uuid(RequestID.last))
        return """
            (SELECT d.*, 0 AS part, d.sender_key COLLATE "C" AS key \(Self.active) AND \(part)::bigint <= 0
                AND d.sender_key COLLATE "C" >= \(text.sender)
                AND (d.sender_key COLLATE "C", d.request_id) < (\(text.senderEnd), \(last)::uuid)
                AND d.sender_key COLLATE "C" > \(sender)
                ORDER BY d.sender_key COLLATE "C" LIMIT \(most))
            UNION ALL
            (SELECT d.*, 1 AS part, \(Self.name) AS key \(Self.active) AND \(part)::bigint <= 1
                AND \(Self.name) >= \(text.name)
                AND (\(Self.name), d.request_id) < (\(text.name) || chr(1114111), \(last)::uuid)
                AND (\(Self.name), d.request_id) > (\(name), \(nameID)::uuid)
                ORDER BY \(Self.name), d.request_id LIMIT \(most))
            UNION ALL
            (SELECT d.*, 2 AS part, \(Self.microseconds) COLLATE "C" AS key \(Self.active)
                AND (d.paired_at, d.request_id) < (\(time), \(id))
                ORDER BY d.paired_at DESC, d.request_id DESC LIMIT \(most))
            """
    }

    /// By the sessions of the gateways that run.
    private mutating func connectedRows() -> String {
        let key = parameters.add(.text(cursor?.key ?? ""))
        return """
            SELECT d.*, 0 AS part, s.sender_key AS key
            FROM (SELECT s.sender_key, s.generation FROM instances i, LATERAL (
                    SELECT sender_key, generation FROM device_sessions
                    WHERE instance_id = i.instance_id AND sender_key COLLATE "C" > \(key)
                    ORDER BY sender_key COLLATE "C" LIMIT \(PairingStore.mostLookedAt)) AS s
                WHERE i.lease_until > clock_timestamp()
                ORDER BY s.sender_key COLLATE "C" LIMIT \(PairingStore.mostLookedAt)) AS s
            LEFT JOIN LATERAL (SELECT * FROM paired_devices
                WHERE sender_key = s.sender_key AND generation = s.generation AND state = 'active' LIMIT 1) AS d ON true
            """
    }

    /// What is asked of each row `w` of the walk.
    mutating func matches() -> String {
        // A session may have outlived its pairing.
        var conditions: [String] = ["w.request_id IS NOT NULL"]
        if let text {
            let (isSender, isName) = (
                "starts_with(w.sender_key, \(text.sender))",
                "starts_with(\(Self.name.replacing("d.", with: "w.")), \(text.name))"
            )
            conditions.append(
                """
                CASE w.part WHEN 0 THEN true WHEN 1 THEN NOT \(isSender) ELSE NOT \(isSender) AND NOT \(isName) AND strpos(
                    lower(concat_ws(' ', w.sender_id, w.channel, w.label, w.display_name) COLLATE \(Self.collation))
                    COLLATE "C",
                    \(text.name)) > 0 END
                """)
        }
        if let channel = filter.channel {
            conditions.append("w.channel = \(parameters.add(.text(channel.text)))")
        }
        if let by = filter.pairedBy { conditions.append("w.paired_by = \(parameters.add(.text(by)))") }
        if let agents = filter.agents {
            var condition = "coalesce(w.agents[1], '#' || w.channel) = ANY(\(parameters.add(.texts(agents))))"
            if let others = filter.otherChannels?.map(\.text) {
                condition += " OR w.agents[1] IS NULL AND w.channel <> ALL(\(parameters.add(.texts(others))))"
            }
            conditions.append("(\(condition))")
        }
        if let isConnected = filter.isConnected {
            conditions.append(
                """
                \(isConnected ? "" : "NOT ")EXISTS (SELECT 1 FROM device_sessions s
                    JOIN instances i ON i.instance_id = s.instance_id
                    WHERE s.sender_key = w.sender_key AND s.generation = w.generation
                        AND i.lease_until > clock_timestamp())
                """)
        }
        return conditions.joined(separator: " AND ") + ages(of: "w")
    }

    private mutating func ages(of name: String) -> String {
        var conditions = ""
        if let within = filter.pairedWithin {
            let most = parameters.add(.int64(within.milliseconds))
            conditions += " AND \(name).paired_at > now() - \(most)::bigint * interval '1 millisecond'"
        }
        if let before = filter.pairedBefore {
            let least = parameters.add(.int64(before.milliseconds))
            conditions += " AND \(name).paired_at <= now() - \(least)::bigint * interval '1 millisecond'"
        }
        return conditions
    }

    private mutating func textPlace() -> (key: String, id: String) {
        (parameters.add(.text(cursor?.key ?? "")), parameters.add(.uuid(cursor?.id.text ?? RequestID.first)))
    }

    /// - Parameter isHere: whether the cursor is of this part of the walk.
    private mutating func timePlace(isNewest: Bool, isHere: Bool = true) -> (time: String, id: String) {
        let cursor = isHere ? self.cursor : nil
        let id = parameters.add(.uuid(cursor?.id.text ?? (isNewest ? RequestID.last : RequestID.first)))
        // Beyond every time, at either end.
        guard let microseconds = cursor.flatMap({ Int64($0.key) }) else {
            return (isNewest ? "'infinity'::timestamptz" : "'-infinity'::timestamptz", "\(id)::uuid")
        }
        let place = parameters.add(.int64(microseconds))
        return ("('epoch'::timestamptz + \(place)::bigint * interval '1 microsecond')", "\(id)::uuid")
    }
}

extension PostgresRows {
    /// What ``PairingStore/devicesQuery(_:after:limit:)`` has read.
    func foundDevices(limit: Int) throws -> PairingStore.FoundDevices {
        var rows: [(row: PairingStore.DeviceListing, cursor: PairingStore.DeviceCursor)] = []
        var end: PairingStore.DeviceCursor?
        for row in self {
            let cursor = PairingStore.DeviceCursor(
                part: try row.int("part"), key: try row.text("key"),
                id: try row.parsed("place", RequestID.init))
            if try row.int64("looked") == Int64(PairingStore.mostLookedAt) { end = cursor }
            if try row.bool("matches") { rows.append((try row.deviceListing(), cursor)) }
        }
        let isFull = rows.count > limit
        if isFull { rows.removeLast(rows.count - limit) }
        return PairingStore.FoundDevices(
            rows: rows, next: isFull ? rows.last?.cursor : end, isPartial: rows.count < limit && end != nil)
    }
}
