import ChannelHost
import Cryptography
import Logging
import PairingCore
import PairingStore

/// What administrators do with requests and devices; the same for the pages, the socket and the command
/// line.
public struct PairingAdministration: Sendable {
    let store: PairingStore
    let host: ChannelHost
    let settings: PairingSettings
    let logger: Logger

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
        /// What became of the sender ID before, newest first; in a dialog only.
        public var past: [PastDecision] = []
        /// Who answered it when it was paired before; empty for its channel's agent. In a dialog only.
        public var agents: [String] = []
        /// The commands that were switched off when it was paired before. In a dialog only.
        public var commandsOff: [String] = []
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
        /// What operators call the gateway that holds its session; `nil` while none does.
        public var instanceName: String?
    }

    /// The requests that wait for a decision; expired ones never.
    ///
    /// - Parameters:
    ///   - filter: a part of the sender ID, channel, name or, unless it has to be typed, code, in any case;
    ///     empty for all.
    ///   - after: ``Page/next`` of the page before.
    ///   - limit: 1...200.
    /// - Throws: `INVALID_REQUEST` where `after` is nothing that ``Page/next`` ever was.
    public func pendingRequests(
        filter: String, after: String?, limit: Int, by authority: Authority
    ) async throws(Refusal) -> Page<RequestRow> {
        try authority.require(.read)
        let cursor = try cursor(after)
        let limit = min(max(limit, 1), 200)
        return try await refusing(logger) {
            let rows = try await store.pendingRequests(
                filter: searchText(filter), matchesCode: !settings.requiresTypedCode, after: cursor,
                limit: limit + 1)
            let page = rows.prefix(limit)
            let rivals = try await rivals(of: page.map(\.row.senderID))
            return Page(
                rows: page.map { requestRow($0.row, rivals) },
                next: rows.count > limit ? page.last.map { text($0.cursor) } : nil)
        }
    }

    /// How many requests are pending and how many devices are paired; counted to 1,001 at most each, which
    /// stands for "more than 1,000".
    public func counts(by authority: Authority) async throws(Refusal) -> (pending: Int, paired: Int) {
        try authority.require(.read)
        return try await refusing(logger) { try await store.counts(upTo: 1001) }
    }

    /// One request in whatever state, for its dialog.
    ///
    /// - Throws: `NOT_FOUND` where there is none of that ID.
    public func request(_ id: RequestID, by authority: Authority) async throws(Refusal) -> RequestRow {
        try authority.require(.read)
        return try await refusing(logger) {
            guard let request = try await store.request(id) else {
                throw Refusal(
                    .unknownRequest,
                    "There is no pairing request with the ID \(id). Look at the list of those that wait.")
            }
            var row = requestRow(request, try await rivals(of: [request.senderID]))
            let history = try await store.history(of: request.senderID)
            row.past = PastDecision.all(in: history, before: request)
            row.agents = history.devices.first?.agents ?? []
            row.commandsOff = history.devices.first?.commandsOff ?? []
            return row
        }
    }

    /// The pairings of a sender ID, newest first: the active one, or the revoked ones.
    ///
    /// - Throws: `NOT_FOUND` where there never was one.
    public func device(_ senderID: SenderID, by authority: Authority) async throws(Refusal) -> [DeviceRow] {
        try authority.require(.read)
        return try await refusing(logger) {
            let rows = try await store.pairings(of: senderID)
            guard !rows.isEmpty else {
                throw Refusal(
                    .unknownDevice,
                    "No device with the sender ID \(senderID) was ever paired. Look at the list of those that are."
                )
            }
            let rivals = try await rivals(of: [senderID])
            return rows.map { deviceRow($0, rivals) }
        }
    }

    /// Approves the request that was displayed with `code`; of concurrent attempts exactly one wins (I2).
    ///
    /// - Parameters:
    ///   - agents: who answers the device, the first where a message names none; empty for its channel's agent, `nil`
    ///     for whoever answered it when it was paired before.
    ///   - commands: which of its commands may be used; the others as when it was paired before.
    /// - Throws: `NOT_FOUND`, or `FAILED_PRECONDITION` with the new state in `details["state"]` (and
    ///   `decidedBy`, `decidedAt`) where it has changed since.
    public func approve(
        _ id: RequestID, code: PairingCode, agents: [String]? = nil,
        commands: CommandSwitches = CommandSwitches(), from address: ClientAddress? = nil,
        by authority: Authority
    ) async throws(Refusal) -> PairedDevice {
        let origination = try origination(authority, address)
        try check(agents)
        return try await refusing(logger) {
            try await store.approve(id, code: code, agents: agents, commands: commands, by: origination)
        }.get()
    }

    /// Denies the request that was displayed with `code`.
    ///
    /// - Parameters:
    ///   - code: `nil` where codes have to be typed to approve: they are not displayed then, and who denies a
    ///     stranger's request can't look at the device.
    ///   - reason: why, as it was typed; the device is told its first ``maximumReasonLength`` characters.
    /// - Throws: as ``approve(_:code:from:by:)``.
    public func deny(
        _ id: RequestID, code: PairingCode?, because reason: String? = nil,
        from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) -> PairingRequest {
        let origination = try origination(authority, address)
        guard code != nil || settings.requiresTypedCode else {
            throw Refusal(
                .badParameter, "code: missing; expected the code of the request.",
                details: ["parameter": .string("code")])
        }
        // A request keeps its code, so this is the one that was displayed.
        let code = if let code { code } else { try await request(id, by: authority).request.code }
        return try await refusing(logger) {
            try await store.deny(id, code: code, because: Self.reason(reason), by: origination)
        }.get()
    }

    /// Revokes the pairing that was displayed with `generation`; its sessions end on every instance.
    ///
    /// - Parameter reason: why, as it was typed; the device is told its first ``maximumReasonLength`` characters.
    /// - Throws: `NOT_FOUND`, or `FAILED_PRECONDITION` with the new state in `details`, where it has changed
    ///   since.
    public func revoke(
        _ senderID: SenderID, channel: ChannelID?, generation: Generation?, because reason: String? = nil,
        from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) -> PairedDevice {
        let origination = try origination(authority, address)
        return try await refusing(logger) {
            try await store.revoke(
                senderID, channel: channel, generation: generation, because: Self.reason(reason),
                by: origination)
        }.get()
    }

    /// The active pairings made at or after `since`: what ``revoke(_:by:)`` is then asked to end, after a
    /// restored backup or a lost replica.
    public func devicesPaired(
        since: Timestamp, by authority: Authority
    ) async throws(Refusal) -> [PairedDevice] {
        try authority.require(.read)
        return try await refusing(logger) { try await store.devicesPaired(since: since) }
    }

    /// Revokes each of these pairings that is still as it was, and goes on where the database is away for a while.
    ///
    /// - Parameter pause: waits before a repeat; is told why.
    /// - Returns: the revoked ones, and why it ended before the last, if it did.
    public func revoke(
        _ devices: [PairedDevice], by authority: Authority, pause: (Refusal) async -> Void
    ) async -> (revoked: [PairedDevice], failure: Refusal?) {
        await revokeEach(devices, pause: pause) { device throws(Refusal) in
            try await revoke(
                device.senderID, channel: device.channel, generation: device.generation, by: authority)
        }
    }

    /// Lifts the waiting time of devices that were denied this sender ID.
    ///
    /// - Throws: `NOT_FOUND` where none waits.
    public func clearCooldown(
        _ senderID: SenderID, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        let origination = try origination(authority, address)
        try await refusing(logger) { try await store.clearCooldown(senderID, by: origination) }.get()
    }

    func origination(
        _ authority: Authority, _ address: ClientAddress?
    ) throws(Refusal) -> Origination {
        try authority.require(.decide)
        return Origination(authority.actor, address: address)
    }

    /// The greatest number of characters (Unicode scalars) of a decision's reason.
    public static let maximumReasonLength = 200

    private static func reason(_ text: String?) -> String? {
        let clean = cleanDeviceText(text ?? "", maximumScalars: maximumReasonLength)
        return clean.isEmpty ? nil : clean
    }

    func searchText(_ filter: String) -> String {
        cleanDeviceText(filter, maximumScalars: 128)
    }

    func rivals(of senderIDs: [SenderID]) async throws -> [String: [Rival]] {
        rivals(try await store.rivals(of: senderIDs))
    }

    func rivals(_ listing: [PairingStore.RivalListing]) -> [String: [Rival]] {
        Dictionary(grouping: listing, by: \.senderKey).mapValues {
            $0.prefix(20).map {
                Rival(address: $0.address, channel: $0.channel, attempts: $0.attempts, lastAt: $0.lastAt)
            }
        }
    }

    func requestRow(_ request: PairingRequest, _ rivals: [String: [Rival]]) -> RequestRow {
        RequestRow(
            request: request, fingerprint: fingerprint(request.credential),
            rivals: rivals[request.senderID.key] ?? [])
    }

    func deviceRow(_ row: PairingStore.DeviceListing, _ rivals: [String: [Rival]]) -> DeviceRow {
        DeviceRow(
            device: row.device, fingerprint: fingerprint(row.device.credential),
            rivals: rivals[row.device.senderID.key] ?? [], isConnected: row.isConnected,
            lastSeenAt: row.lastSeenAt, lastAddress: row.lastAddress,
            instanceName: row.instanceName)
    }

    /// `SHA256:` and the digest of the raw key in base64url, in the manner of OpenSSH.
    private func fingerprint(_ credential: StoredCredential) -> String? {
        guard case .key(let key) = credential else { return nil }
        return "SHA256:" + Base64URL.encode(sha256(key.bytes))
    }

    func cursor(_ text: String?) throws(Refusal) -> PairingStore.Cursor? {
        guard let text else { return nil }
        let parts = text.split(separator: "_", maxSplits: 1)
        // Up to the year 9999: PostgreSQL knows no later one than 294276.
        guard parts.count == 2, let microseconds = Int64(parts[0]),
            (0..<253_402_300_800_000_000).contains(microseconds), let id = RequestID(String(parts[1]))
        else { throw .invalidCursor }
        return PairingStore.Cursor(microseconds: microseconds, id: id)
    }

    func text(_ cursor: PairingStore.Cursor) -> String { "\(cursor.microseconds)_\(cursor.id)" }
}
