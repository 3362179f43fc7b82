import PairingCore
import Postgres

extension PairingStore {
    /// A request that was decided or expired.
    public struct EndedRequest: Sendable {
        /// The request.
        public var request: PairingRequest
        /// Whether its device no longer waits after a denial, because an administrator lifted that.
        public var isWaitLifted: Bool
    }

    /// The requests that ended, the last one first; those of the last 30 days.
    ///
    /// - Parameters:
    ///   - state: only those that ended so.
    ///   - senderID: only those of this sender ID.
    public func endedRequests(
        state: RequestState? = nil, senderID: SenderID? = nil, after cursor: Cursor? = nil, limit: Int
    ) async throws -> [Listed<EndedRequest>] {
        // Each reads along an index from the page's first row on.
        let condition =
            if senderID != nil {
                "sender_key = $3 AND state <> 'pending' AND ($4::text IS NULL OR state = $4::text)"
            } else if state != nil {
                "$3::text IS NULL AND state <> 'pending' AND state = $4::text"
            } else {
                "$3::text IS NULL AND $4::text IS NULL AND state <> 'pending'"
            }
        let place =
            cursor == nil
            ? "'infinity'::timestamptz" : "'epoch'::timestamptz + $5::bigint * interval '1 microsecond'"
        return try await pool.query(
            """
            SELECT \(Columns.request), cooldown_cleared,
                (extract(epoch FROM decided_at) * 1000000)::bigint AS microseconds
            FROM pairing_requests
            WHERE \(condition) AND (decided_at, request_id) < (\(place), $1)
            ORDER BY decided_at DESC, request_id DESC LIMIT $2
            """,
            [
                .uuid(cursor?.id.text ?? "ffffffff-ffff-ffff-ffff-ffffffffffff"), .int(limit),
                .text(senderID?.key), .text(state?.rawValue),
            ] + (cursor.map { [.int64($0.microseconds)] } ?? [])
        ).map {
            Listed(
                row: EndedRequest(
                    request: try $0.pairingRequest(), isWaitLifted: try $0.bool("cooldown_cleared")),
                cursor: try $0.cursor())
        }
    }
}
