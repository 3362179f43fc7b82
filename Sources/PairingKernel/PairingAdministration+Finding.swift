import ChannelHost
import PairingCore
import PairingStore

/// Which paired devices are looked for, and in what order.
public struct DeviceFilter: Sendable, Equatable {
    /// The beginning or a part of a sender ID or name, or a part of a channel; empty for all.
    public var text: String
    /// Only this channel.
    public var channel: ChannelID?
    /// Only those that are connected, or only the others.
    public var isConnected: Bool?
    /// Only those that this actor paired.
    public var pairedBy: String?
    /// Only those that this agent answers where a message names none.
    public var agent: String?
    /// Only those that were paired within that time.
    public var pairedWithin: Duration?
    /// Only those that were paired longer ago than that.
    public var pairedBefore: Duration?
    /// How they are sorted. What a text finds comes by how it is found, and what is connected by its sender ID.
    public var order: DeviceOrder

    /// Everything, or what a text finds.
    public init(text: String = "", order: DeviceOrder = .newest) {
        self.text = text
        self.order = order
    }
}

extension PairingAdministration {
    /// The active pairings that a filter finds.
    ///
    /// A page may end before it is full, or be empty, while others follow: only so many are looked at for one.
    ///
    /// - Parameters: as for ``pendingRequests(filter:after:limit:by:)``.
    public func pairedDevices(
        _ filter: DeviceFilter, after: String?, limit: Int, by authority: Authority
    ) async throws(Refusal) -> Page<DeviceRow> {
        try authority.require(.read)
        return try await findDevices(filter, after: after, limit: limit)
    }

    /// The same for whoever may.
    func findDevices(
        _ filter: DeviceFilter, after: String?, limit: Int
    ) async throws(Refusal) -> Page<DeviceRow> {
        let cursor = try deviceCursor(after)
        let limit = min(max(limit, 1), 200)
        return try await refusing(logger) {
            let found = try await store.findDevices(store(filter), after: cursor, limit: limit)
            let rivals = try await rivals(of: found.rows.map(\.row.device.senderID))
            return Page(
                rows: found.rows.map { deviceRow($0.row, rivals) }, next: found.next.map { text($0) })
        }
    }

    /// The active pairings that a text finds.
    public func pairedDevices(
        filter: String, after: String?, limit: Int, by authority: Authority
    ) async throws(Refusal) -> Page<DeviceRow> {
        try await pairedDevices(DeviceFilter(text: filter), after: after, limit: limit, by: authority)
    }

    /// The filter as the store takes it.
    func store(_ filter: DeviceFilter) -> PairingStore.DeviceFilter {
        var stored = PairingStore.DeviceFilter(text: searchText(filter.text))
        stored.channel = filter.channel
        stored.isConnected = filter.isConnected
        stored.pairedBy = filter.pairedBy
        if let agent = filter.agent {
            let defaults = settings.agents.defaults
            stored.agents =
                [agent]
                + defaults.filter { $0.value == agent }.keys.map(PairingStore.DeviceFilter.channelAgent)
            // Whatever channels there are: who asks need not have loaded them.
            if AgentChoice.builtIn == agent { stored.otherChannels = Array(defaults.keys) }
        }
        stored.pairedWithin = filter.pairedWithin
        stored.pairedBefore = filter.pairedBefore
        stored.order = filter.order
        return stored
    }

    /// The channels that this process has loaded, or that the configuration names; in order.
    public var channelIDs: [ChannelID] {
        Set(host.channels.map(\.id) + settings.agents.defaults.keys).sorted { $0.text < $1.text }
    }

    func deviceCursor(_ text: String?) throws(Refusal) -> PairingStore.DeviceCursor? {
        guard let text else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let part = Int(parts[0]), (0...2).contains(part), parts[1].utf8.count <= 2048,
            let bytes = Base64URL.decode(String(parts[1]), count: parts[1].utf8.count * 3 / 4),
            let key = String(validating: bytes, as: UTF8.self), !bytes.contains(0), Self.isKey(key),
            let id = RequestID(String(parts[2]))
        else { throw .invalidCursor }
        return PairingStore.DeviceCursor(part: part, key: key, id: id)
    }

    func text(_ cursor: PairingStore.DeviceCursor) -> String {
        "\(cursor.part).\(Base64URL.encode(cursor.key.utf8)).\(cursor.id)"
    }

    /// Up to the year 9999, where it is a time: PostgreSQL knows no later one than 294276.
    private static func isKey(_ key: String) -> Bool {
        Int64(key).map { (0..<253_402_300_800_000_000).contains($0) } ?? true
    }
}

extension Refusal {
    static let invalidCursor = Refusal(.invalidCursor)
}
