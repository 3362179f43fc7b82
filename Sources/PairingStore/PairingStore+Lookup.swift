import PairingCore
import Postgres

extension PairingStore {
    /// What is known of a sender ID's past and present, newest first: what a credential is tried against.
    public struct History: Sendable {
        /// Pairings, the active one among them.
        public var devices: [PairedDevice]
        /// Requests that were not approved, the pending one among them; expired ones, which anybody can add to, take
        /// no place of the others.
        public var requests: [PairingRequest]
        /// The database's time.
        public var now: Timestamp
        /// The denied requests whose device no longer waits: an administrator lifted its waiting time.
        public var cooldownCleared: Set<RequestID>
    }

    /// Everything that a device with this sender ID may be told about itself; eight of each at most.
    public func history(of senderID: SenderID) async throws -> History {
        try await pool.transaction { transaction in
            let key = PostgresValue.text(senderID.key)
            // Requests first: one that is approved meanwhile is found among the pairings then, never in neither.
            let answers = try transaction.query([
                (
                    """
                    (SELECT \(Columns.request), cooldown_cleared FROM pairing_requests
                    WHERE sender_key = $1 AND state IN ('pending', 'denied') ORDER BY created_at DESC LIMIT 4)
                    UNION ALL
                    (SELECT \(Columns.request), cooldown_cleared FROM pairing_requests
                    WHERE sender_key = $1 AND state = 'expired' ORDER BY created_at DESC LIMIT 4)
                    ORDER BY created_at DESC
                    """, [key]
                ),
                (
                    """
                    SELECT \(Columns.device) FROM paired_devices d WHERE sender_key = $1
                    ORDER BY generation DESC LIMIT 8
                    """, [key]
                ),
                ("SELECT clock_timestamp() AS now", []),
            ])
            let requests = answers[0]
            return History(
                devices: try answers[1].map { try $0.pairedDevice() },
                requests: try requests.map { try $0.pairingRequest() },
                now: try answers[2].only().moment("now"),
                cooldownCleared: Set(
                    try requests.filter { try $0.bool("cooldown_cleared") }.map { try $0.requestID() }))
        }
    }

    /// The active pairings of those sender IDs that have one, by ``PairingCore/SenderID/key``.
    public func activeDevices(of senderIDs: [SenderID]) async throws -> [String: PairedDevice] {
        let rows = try await pool.query(
            """
            SELECT \(Columns.device), d.sender_key FROM paired_devices d
            WHERE sender_key = ANY($1) AND state = 'active'
            """, [.texts(senderIDs.map(\.key))])
        return Dictionary(
            try rows.map { (try $0.text("sender_key"), try $0.pairedDevice()) },
            uniquingKeysWith: { first, _ in first })
    }

    /// A request in whatever state.
    public func request(_ id: RequestID) async throws -> PairingRequest? {
        try await pool.query(
            "SELECT \(Columns.request) FROM pairing_requests WHERE request_id = $1", [.uuid(id.text)]
        ).first?.pairingRequest()
    }

    /// The newest request that shows this code, in whatever state.
    public func requestID(withCode code: PairingCode) async throws -> RequestID? {
        try await pool.query(
            "SELECT request_id FROM pairing_requests WHERE code = $1 ORDER BY created_at DESC LIMIT 1",
            [.text(code.text)]
        ).first?.requestID()
    }

    /// The requests among `ids` that are no longer pending, or are gone.
    public func endedRequests(among ids: [RequestID]) async throws -> [RequestID: RequestState] {
        let rows = try await pool.query(
            """
            SELECT wanted::text AS request_id, coalesce(state, 'expired') AS state
            FROM unnest($1::text[]::uuid[]) AS wanted LEFT JOIN LATERAL (
                SELECT state FROM pairing_requests WHERE request_id = wanted LIMIT 1) AS r ON true
            WHERE state IS DISTINCT FROM 'pending'
            """, [.texts(ids.map(\.text))])
        return Dictionary(
            try rows.map { (try $0.requestID(), try $0.parsed("state", RequestState.init(rawValue:))) },
            uniquingKeysWith: { first, _ in first })
    }

    /// The socket that waited for a request's decision, the newest of those that asked, if it is on this
    /// instance.
    public func waitingSocket(of id: RequestID, on instanceID: InstanceID) async throws -> SocketID? {
        try await pool.query(
            """
            SELECT waiting_socket FROM pairing_requests
            WHERE request_id = $1 AND waiting_instance = $2 AND waiting_socket IS NOT NULL
            """, [.uuid(id.text), .uuid(instanceID.text)]
        ).first.map { SocketID(UInt64(bitPattern: try $0.int64("waiting_socket"))) }
    }

    /// Remembers that a socket waits for a request's decision; the newest one is authenticated on approval.
    ///
    /// - Returns: whether the request is still pending.
    public func wait(_ socketID: SocketID, of instanceID: InstanceID, for id: RequestID) async throws -> Bool
    {
        try await pool.execute(
            """
            UPDATE pairing_requests SET waiting_instance = $2, waiting_socket = $3
            WHERE request_id = $1 AND state = 'pending' AND expires_at > clock_timestamp()
            """,
            [.uuid(id.text), .uuid(instanceID.text), .int64(Int64(bitPattern: socketID.number))]) == 1
    }
}
