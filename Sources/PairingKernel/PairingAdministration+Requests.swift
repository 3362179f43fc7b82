import PairingCore
import PairingStore

extension PairingAdministration {
    /// A request that was decided or expired.
    public struct EndedRow: Sendable {
        /// The request.
        public var request: PairingRequest
        /// SHA-256 of the key; `nil` for a device with a token.
        public var fingerprint: String?
        /// Until when its device, and its address, may not claim the sender ID again; `nil` where they may.
        public var waitsUntil: Timestamp?
    }

    /// The requests that ended within the last 30 days, the last one first.
    ///
    /// - Parameters:
    ///   - state: only those that ended so; `pending` for all.
    ///   - senderID: only those of this sender ID.
    ///   - after: ``Page/next`` of the page before.
    ///   - limit: 1...500.
    /// - Throws: `INVALID_REQUEST` where `after` is nothing that ``Page/next`` ever was.
    public func endedRequests(
        state: RequestState?, senderID: SenderID?, after: String?, limit: Int, by authority: Authority
    ) async throws(Refusal) -> Page<EndedRow> {
        try authority.require(.read)
        let cursor = try cursor(after)
        let limit = min(max(limit, 1), 500)
        return try await refusing(logger) {
            let rows = try await store.endedRequests(
                state: state == .pending ? nil : state, senderID: senderID, after: cursor, limit: limit + 1)
            let page = rows.prefix(limit)
            return Page(
                rows: page.map { ended($0.row) },
                next: rows.count > limit ? page.last.map { text($0.cursor) } : nil)
        }
    }

    /// The request that showed this code: what a program names that knows no more of it. Whoever may decide may ask, for
    /// a code proves nothing.
    ///
    /// - Throws: `NOT_FOUND` where there is none.
    public func requestID(
        withCode code: PairingCode, by authority: Authority
    ) async throws(Refusal) -> RequestID {
        try authority.require(.decide)
        let id = try await refusing(logger) { try await store.requestID(withCode: code) }
        guard let id else {
            throw Refusal(.notFound, "unknown_code", "There is no request with the code \(code).")
        }
        return id
    }

    private func ended(_ row: PairingStore.EndedRequest) -> EndedRow {
        var ended = EndedRow(
            request: row.request, fingerprint: requestRow(row.request, [:]).fingerprint, waitsUntil: nil)
        if row.request.state == .denied, !row.isWaitLifted, let deniedAt = row.request.decidedAt {
            ended.waitsUntil = deniedAt + settings.pairingCooldown
        }
        return ended
    }
}
