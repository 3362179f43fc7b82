import PairingCore
import Postgres

extension PairingStore {
    /// Where a page of a listing begins: after this row of the one before.
    public struct Cursor: Sendable {
        /// The row's time, in microseconds since the epoch.
        public var microseconds: Int64
        /// The row's request ID, for rows of one time.
        public var id: RequestID

        /// Wraps the two.
        public init(microseconds: Int64, id: RequestID) {
            self.microseconds = microseconds
            self.id = id
        }
    }

    /// A row with the place it has in its listing.
    public struct Listed<Row: Sendable>: Sendable {
        /// The row.
        public var row: Row
        /// Its place.
        public var cursor: Cursor
    }

    /// A pairing with what is known of its sessions.
    public struct DeviceListing: Sendable {
        /// The pairing.
        public var device: PairedDevice
        /// Whether a gateway whose lease runs holds a session of it.
        public var isConnected: Bool
        /// When a session of it was last seen: now, while it is connected; where its gateway died, when that one's lease
        /// ended.
        public var lastSeenAt: Timestamp?
        /// The address of its last session.
        public var lastAddress: ClientAddress?
        /// What operators call the gateway that holds its session.
        public var instanceName: String?
    }

    /// Another device's refused claims.
    public struct RivalListing: Sendable {
        /// The sender ID it claimed, by its key.
        public var senderKey: String
        /// Where it came from.
        public var address: ClientAddress?
        /// The channel it named.
        public var channel: ChannelID
        /// How many times.
        public var attempts: Int
        /// The last time.
        public var lastAt: Timestamp
    }

    /// By what letters are compared, whatever the database's own language: Turkish makes no `i` of an `I`.
    private static let filterCollation = #""und-x-icu""#

    /// The requests that wait and are not due, newest first.
    ///
    /// - Parameter matchesCode: whether the filter finds parts of the code; false where nobody may learn it here.
    public func pendingRequests(
        filter: String, channel: ChannelID? = nil, matchesCode: Bool = true, after cursor: Cursor?, limit: Int
    ) async throws -> [Listed<PairingRequest>] {
        let (sql, parameters) = Self.requestsQuery(
            filter: filter, channel: channel, matchesCode: matchesCode, after: cursor, limit: limit)
        return try await pool.query(sql, parameters).map { try $0.listedRequest() }
    }

    static func requestsQuery(
        filter: String, channel: ChannelID?, matchesCode: Bool, after cursor: Cursor?, limit: Int
    ) -> (sql: String, parameters: [PostgresValue]) {
        (
            """
            SELECT \(Columns.request), (extract(epoch FROM created_at) * 1000000)::bigint AS microseconds,
                \(Columns.rivals(of: "pairing_requests"))
            FROM pairing_requests
            WHERE state = 'pending' AND expires_at > clock_timestamp()
                AND ($6::text IS NULL OR channel = $6::text)
                AND ($1 = '' OR strpos(
                    lower(concat_ws(' ', sender_id, channel,
                        CASE WHEN $5::boolean THEN concat_ws(' ', code, left(code, 4) || '-' || right(code, 4)) END,
                        display_name) COLLATE \(Self.filterCollation)),
                    lower(normalize($1, NFC) COLLATE \(Self.filterCollation))) > 0
                    OR ($5::boolean AND code = $7::text))
                AND ($2::bigint IS NULL OR (created_at, request_id)
                    < ('epoch'::timestamptz + $2::bigint * interval '1 microsecond', $3::uuid))
            ORDER BY created_at DESC, request_id DESC LIMIT $4
            """,
            [
                .text(filter), .int64(cursor?.microseconds), .uuid(cursor?.id.text), .int(limit),
                .bool(matchesCode), .text(channel?.text),
                // However it is written: in full width, with another hyphen.
                .text(PairingCode(filter)?.text),
            ]
        )
    }

    /// The pairings of a sender ID, newest first; a hundred at most.
    public func pairings(of senderID: SenderID) async throws -> [DeviceListing] {
        try await pool.query(
            """
            SELECT \(Columns.device), \(Columns.presence) FROM paired_devices d \(Columns.presenceJoin)
            WHERE d.sender_key = $1 ORDER BY d.generation DESC LIMIT 100
            """, [.text(senderID.key)]
        ).map { try $0.deviceListing() }
    }

    /// How many requests are pending and devices are paired; counted up to `most` each.
    public func counts(upTo most: Int) async throws -> (pending: Int, paired: Int) {
        let (sql, parameters) = Self.countsQuery(upTo: most)
        let row = try await pool.query(sql, parameters).only()
        return (try row.int("pending"), try row.int("paired"))
    }

    static func countsQuery(upTo most: Int) -> (sql: String, parameters: [PostgresValue]) {
        (
            """
            SELECT (SELECT count(*) FROM (SELECT 1 FROM pairing_requests
                    WHERE state = 'pending' AND expires_at > clock_timestamp() LIMIT $1) AS p) AS pending,
                (SELECT count(*) FROM (SELECT 1 FROM paired_devices WHERE state = 'active' LIMIT $1) AS d) AS paired
            """, [.int(most)]
        )
    }

    /// The refused claims on those sender IDs, newest first, twenty each at most.
    public func rivals(of senderIDs: [SenderID]) async throws -> [RivalListing] {
        if senderIDs.isEmpty { return [] }
        return try await pool.query(
            """
            SELECT sender_key, address, channel, attempts, last_at FROM rival_claims
            WHERE sender_key = ANY($1) ORDER BY last_at DESC
            """, [.texts(senderIDs.map(\.key))]
        ).map {
            RivalListing(
                senderKey: try $0.text("sender_key"), address: try $0.address(), channel: try $0.channel(),
                attempts: try $0.int("attempts"), lastAt: try $0.moment("last_at"))
        }
    }
}

extension Columns {
    static let presence = """
        (i.lease_until > clock_timestamp() AND s.generation = d.generation) IS TRUE AS connected,
        CASE WHEN s.generation = d.generation THEN
            greatest(s.last_seen_at, CASE WHEN i.lease_until IS NOT NULL
                THEN least(i.lease_until, clock_timestamp()) END) END AS last_seen_at,
        CASE WHEN i.lease_until > clock_timestamp() AND s.generation = d.generation THEN i.name END AS instance_name,
        CASE WHEN s.generation = d.generation THEN s.address END AS last_address
        """

    static let presenceJoin = """
        LEFT JOIN device_sessions s ON s.sender_key = d.sender_key
        LEFT JOIN instances i ON i.instance_id = s.instance_id
        """
}

extension PostgresRow {
    func listedRequest() throws -> PairingStore.Listed<PairingRequest> {
        PairingStore.Listed(row: try pairingRequest(), cursor: try cursor())
    }

    func cursor() throws -> PairingStore.Cursor {
        PairingStore.Cursor(microseconds: try int64("microseconds"), id: try requestID())
    }

    func deviceListing() throws -> PairingStore.DeviceListing {
        PairingStore.DeviceListing(
            device: try pairedDevice(), isConnected: try bool("connected"),
            lastSeenAt: try optionalMoment("last_seen_at"), lastAddress: try address("last_address"),
            instanceName: try optionalText("instance_name"))
    }
}
