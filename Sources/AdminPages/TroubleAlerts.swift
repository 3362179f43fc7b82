import PairingCore
import PairingKernel
import Synchronization

/// What is wrong with the system, in words for `/nodes`: where people look first.
struct TroubleAlerts {
    /// The alerts, the worst first.
    let items: [AlertItem]

    /// - Parameters:
    ///   - troubles: what the database shows.
    ///   - channels: what the processes say of themselves; `nil` where that is not known yet.
    init(_ troubles: SystemTroubles, channels: ChannelsView?, now: Timestamp) {
        var items: [AlertItem] = []
        if !troubles.lostGateways.isEmpty {
            items.append(
                AlertItem(
                    "A gateway is gone.",
                    "It stopped without saying so \(briefDuration(now - troubles.lostGateways[0].since)) ago. Its "
                        + "devices come back to the others; find out why, or start it again.",
                    labels: troubles.lostGateways.map(\.name)))
        }
        if let channels { items += Self.processes(channels) }
        for contention in troubles.contentions {
            let (one, other) = (contention.address?.description, contention.otherAddress?.description)
            let places =
                one == other
                ? "both from \(one ?? "an unknown address")"
                : "from \(one ?? "an unknown address") and \(other ?? "an unknown address")"
            items.append(
                AlertItem(
                    "Two programs use the credential of", of: contention.senderID.text,
                    "Its sessions replaced each other \(contention.replaced) times within ten minutes, last "
                        + "\(briefDuration(now - contention.lastAt)) ago, \(places). Stop one of them; if you know "
                        + "of one only, revoke the device and pair it anew."))
        }
        for full in troubles.fullAddresses {
            let address = full.address.hasSuffix("/32") ? String(full.address.dropLast(3)) : full.address
            items.append(
                AlertItem(
                    "An address is at its limit:", of: address,
                    "\(full.waiting) of its requests wait, and no further device there can ask before one is "
                        + "decided or expires (gateway.requests_per_address)."))
        }
        self.items = items
    }

    private static func processes(_ view: ChannelsView) -> [AlertItem] {
        var items: [AlertItem] = []
        if view.members.count + view.silent.count + view.foreign.count == 1 {
            items.append(AlertItem("No gateway is running.", "Devices cannot connect."))
        }
        if !view.foreign.isEmpty {
            items.append(
                AlertItem(
                    "Not every process is of this version.", "Bring all of them to the same one.",
                    labels: view.foreign))
        }
        let mixed = view.channels.filter(\.isMixed)
        if !mixed.isEmpty {
            items.append(
                AlertItem(
                    "The processes differ.",
                    "Not all of them have loaded the same library of the channel "
                        + "\(mixed.map(\.id.text).joined(separator: ", ")); the page Channels says which."))
        }
        for channel in view.channels {
            for trouble in channel.troubles {
                items.append(
                    AlertItem(
                        "The channel \(channel.id) is out of service.",
                        "Its devices are asked to come again; the page Channels says why.",
                        labels: trouble.labels))
            }
        }
        return items
    }
}

/// What the processes said last, for a few seconds: it changes seldom, and to ask is not cheap. Thread-safe.
final class ProcessReports: Sendable {
    private static let lifetime = Duration.seconds(5)

    private struct Known {
        var view: ChannelsView
        var at: ContinuousClock.Instant
    }

    private let known = Mutex<Known?>(nil)

    /// - Returns: `nil` where it cannot be asked for now: a list of devices does not wait for it.
    func view(
        processName: String, _ ask: () async throws -> ChannelsOverview
    ) async -> ChannelsView? {
        let now = ContinuousClock.now
        if let known = known.withLock({ $0 }), now - known.at < Self.lifetime { return known.view }
        guard let overview = try? await ask() else { return nil }
        let view = ChannelsView(overview, processName: processName)
        known.withLock { $0 = Known(view: view, at: now) }
        return view
    }
}
