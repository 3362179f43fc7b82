import Cryptography
import PairingCore
import PairingStore

/// Everything that the page of requests and devices shows.
public struct NodesOverview: Sendable {
    /// The requests that wait.
    public var requests: PairingAdministration.Page<PairingAdministration.RequestRow>
    /// The active pairings.
    public var devices: PairingAdministration.Page<PairingAdministration.DeviceRow>
    /// Whether the page of devices ends before it is full, because as many were looked at as may be for one.
    public var isPartial: Bool
    /// How many there are in all, whatever the filter; 1,001 stands for more than 1,000.
    public var counts: (pending: Int, paired: Int)
    /// What is wrong.
    public var troubles: SystemTroubles
    /// Where the event feed is: what is shown is at least as new.
    public var position: Int64
    /// When devices may ask to pair.
    public var window = PairingWindow.always
}

extension Kernel {
    /// The session of a cookie together with what it may see of requests and devices: one round trip to the database.
    ///
    /// - Parameters:
    ///   - secret: the cookie's value.
    ///   - renews: whether this counts as use of the session.
    ///   - filter: which devices; its text, as for ``PairingAdministration/pendingRequests(filter:after:limit:by:)``, and
    ///     its channel, are those of the requests too.
    ///   - requestsAfter: ``PairingAdministration/Page/next`` of the page of requests before.
    ///   - devicesAfter: the same of the devices.
    ///   - limit: the rows of each list, 1...200.
    /// - Returns: `nil` where there is no session any more.
    /// - Throws: `INVALID_REQUEST` for a cursor that never was one.
    public func overview(
        secret: String, renews: Bool, filter: DeviceFilter, requestsAfter: String?, devicesAfter: String?,
        limit: Int
    ) async throws(Refusal) -> (session: AdminSession, overview: NodesOverview)? {
        guard let bytes = Base64URL.decode(secret, count: 32) else { return nil }
        let hash = sha256(bytes)
        let administration = administration
        let limit = min(max(limit, 1), 200)
        // Without a session nobody is told what is wrong with a cursor.
        let cursors = Result { () throws(Refusal) in
            (try administration.cursor(requestsAfter), try administration.deviceCursor(devicesAfter))
        }
        let (requestsCursor, devicesCursor) = (try? cursors.get()) ?? (nil, nil)
        return try await refusing(administration.logger) {
            let found = try await store.overview(
                PairingStore.OverviewQuery(
                    session: (hash, settings.sessionIdleTimeout, settings.sessionAbsoluteTimeout),
                    filter: administration.searchText(filter.text), devices: administration.store(filter),
                    matchesCode: !settings.requiresTypedCode,
                    requestsAfter: requestsCursor, devicesAfter: devicesCursor, limit: limit,
                    requestsPerAddress: settings.requestsPerAddress))
            guard let username = found.username, let role = found.role else { return nil }
            if renews, found.isStale { try await store.renewSession(hash: hash) }
            _ = try cursors.get()
            let session = AdminSession(
                authority: .session(of: username, role: role, hash: hash), username: username, role: role,
                csrfToken: Accounts.csrfToken(secret: bytes))
            let rivals = administration.rivals(found.rivals)
            let requests = found.requests.prefix(limit)
            return (
                session,
                NodesOverview(
                    requests: PairingAdministration.Page(
                        rows: requests.map { administration.requestRow($0.row, rivals) },
                        next: found.requests.count > limit
                            ? requests.last.map { administration.text($0.cursor) } : nil),
                    devices: PairingAdministration.Page(
                        rows: found.devices.rows.map { administration.deviceRow($0.row, rivals) },
                        next: found.devices.next.map { administration.text($0) }),
                    isPartial: found.devices.isPartial,
                    counts: (found.pending, found.paired), troubles: found.troubles, position: found.position,
                    window: found.window)
            )
        }
    }
}
