import PairingCore
import Postgres

/// Whether one more request has room among those that wait.
enum RequestRoom {
    /// It has.
    case free
    /// It has once a request of a network block that holds more than its own, with `held`, would is ended.
    case afterDisplacing(held: Int)
}

extension Transaction {
    /// Ends the newest request of the network block that holds most, where that is more than a block that holds `held`
    /// would have with one more (I13). The older ones stay as they are (I11, I12).
    ///
    /// Called under the lock of the requests' count. A sender ID that somebody decides about at this moment is passed
    /// over: waiting for its lock here, after the count's, could wait for ever.
    ///
    /// - Returns: whether there is room now.
    func displaceRequest(of held: Int) throws -> Bool {
        let candidates = try query(
            """
            SELECT \(Columns.request) FROM pairing_requests
            WHERE state = 'pending' AND expires_at > clock_timestamp() AND network_block = (
                SELECT network_block FROM pairing_requests
                WHERE state = 'pending' AND expires_at > clock_timestamp()
                GROUP BY network_block HAVING count(*) > $1 ORDER BY count(*) DESC, network_block LIMIT 1)
            ORDER BY created_at DESC, request_id LIMIT 8
            """, [.int(held + 1)]
        ).map { try $0.pairingRequest() }
        for request in candidates where try isStillPending(request) {
            try end(request, as: .expired, by: .system)
            try record(
                .pairingExpired, channel: request.channel, senderID: request.senderID,
                by: Origination(.system), requestID: request.id,
                details: .object(["reason": .string("displaced")]))
            return true
        }
        return false
    }

    /// Locks the request's sender ID without waiting, and looks once more.
    private func isStillPending(_ request: PairingRequest) throws -> Bool {
        let locked = try query(
            "SELECT 1 AS locked WHERE pg_try_advisory_xact_lock(hashtextextended('sender:' || $1, 0))",
            [.text(request.senderID.key)])
        guard !locked.isEmpty else { return false }
        return try !query(
            "SELECT 1 AS pending FROM pairing_requests WHERE request_id = $1 AND state = 'pending'",
            [.uuid(request.id.text)]
        ).isEmpty
    }
}

extension Refusal {
    /// There is no room for the requests of another device of this network.
    static let requestsTotal = Refusal(.requestsTotal, retryAfter: .untilDecided(nil))
}
