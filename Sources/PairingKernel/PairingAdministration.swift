import PairingCore

/// What administrators do with requests and devices; the same for the pages, the socket and the command
/// line.
public struct PairingAdministration: Sendable {
    /// A page of rows, and where the next one begins.
    public struct Page<Row: Sendable>: Sendable {
        /// The rows, newest first.
        public var rows: [Row]
        /// What to pass as `after` for the next page; `nil` at the end.
        public var next: String?
    }

    /// A refused claim of another device on a sender ID.
    public struct Rival: Sendable, Equatable {
        /// Where it came from.
        public var address: ClientAddress?
        /// The channel it named.
        public var channel: ChannelID
        /// How many times.
        public var attempts: Int
        /// The last time.
        public var lastAt: Timestamp
    }

    /// A pending request with what the administrator should know of it.
    public struct RequestRow: Sendable {
        /// The request.
        public var request: PairingRequest
        /// SHA-256 of the key, for comparison; `nil` for a device with a token.
        public var fingerprint: String?
        /// Other devices that claimed the same sender ID meanwhile.
        public var rivals: [Rival]
    }

    /// A pairing with what is known of its device.
    public struct DeviceRow: Sendable {
        /// The pairing.
        public var device: PairedDevice
        /// SHA-256 of the key, for comparison; `nil` for a device with a token.
        public var fingerprint: String?
        /// Other devices that claimed the same sender ID.
        public var rivals: [Rival]
        /// Whether a gateway holds a live session of it.
        public var isConnected: Bool
        /// When it was last seen connected; to the minute.
        public var lastSeenAt: Timestamp?
        /// The address of its last session.
        public var lastAddress: ClientAddress?
    }

    /// The requests that wait for a decision; expired ones never.
    ///
    /// - Parameters:
    ///   - filter: a part of the sender ID, channel, code or name, in any case; empty for all.
    ///   - after: ``Page/next`` of the page before.
    ///   - limit: 1...200.
    public func pendingRequests(
        filter: String, after: String?, limit: Int, by authority: Authority
    ) async throws(Refusal) -> Page<RequestRow> {
        throw .internal
    }

    /// The active pairings.
    ///
    /// - Parameters: as for ``pendingRequests(filter:after:limit:by:)``.
    public func pairedDevices(
        filter: String, after: String?, limit: Int, by authority: Authority
    ) async throws(Refusal) -> Page<DeviceRow> {
        throw .internal
    }

    /// How many requests are pending and how many devices are paired.
    public func counts(by authority: Authority) async throws(Refusal) -> (pending: Int, paired: Int) {
        throw .internal
    }

    /// One request in whatever state, for its dialog.
    public func request(_ id: RequestID, by authority: Authority) async throws(Refusal) -> RequestRow {
        throw .internal
    }

    /// The pairings of a sender ID, newest first: the active one, or the revoked ones.
    ///
    /// - Throws: `NOT_FOUND` where there never was one.
    public func device(_ senderID: SenderID, by authority: Authority) async throws(Refusal) -> [DeviceRow] {
        throw .internal
    }

    /// Approves the request that was displayed with `code`; of concurrent attempts exactly one wins (I2).
    ///
    /// - Throws: `NOT_FOUND` or `FAILED_PRECONDITION` with the new state in `details["state"]` (and
    ///   `decidedBy`) where it has changed since.
    public func approve(
        _ id: RequestID, code: PairingCode, by authority: Authority
    ) async throws(Refusal) -> PairedDevice {
        throw .internal
    }

    /// Denies the request that was displayed with `code`.
    public func deny(
        _ id: RequestID, code: PairingCode, by authority: Authority
    ) async throws(Refusal) -> PairingRequest {
        throw .internal
    }

    /// Revokes the pairing that was displayed with `generation`; its sessions end on every instance.
    public func revoke(
        _ senderID: SenderID, channel: ChannelID?, generation: Generation?, by authority: Authority
    ) async throws(Refusal) -> PairedDevice {
        throw .internal
    }

    /// Revokes every pairing made at or after `since`: for after a restored backup or a lost replica.
    ///
    /// - Returns: the revoked pairings.
    public func revokeAll(since: Timestamp, by authority: Authority) async throws(Refusal) -> [PairedDevice] {
        throw .internal
    }

    /// Lifts the waiting time of devices that were denied this sender ID.
    public func clearCooldown(_ senderID: SenderID, by authority: Authority) async throws(Refusal) {
        throw .internal
    }
}
