import PairingCore
import PairingKernel

/// `/channels`: what is loaded, from where, how it is doing, and what was refused.
struct ChannelsPage: PageModel {
    private let view: ChannelsView
    private let now: Timestamp

    init(_ overview: ChannelsOverview, processName: String, now: Timestamp) {
        view = ChannelsView(overview, processName: processName)
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "channels": view.channels.map { ChannelItem($0, now: now) }
        case "hasChannels": !view.channels.isEmpty
        case "channelCount": view.channels.count
        case "refusals": view.refused.map { PluginItem($0) }
        case "hasRefusals": !view.refused.isEmpty
        case "refusalCount": view.refused.count
        case "pageAlerts": alerts
        case "arrivals": arrivals
        case "hasArrivals": !arrivals.isEmpty
        case "arrivalCount": arrivals.count
        default: nil
        }
    }

    private var alerts: [AlertItem] {
        var alerts: [AlertItem] = []
        if view.members.count + view.silent.count + view.foreign.count == 1 {
            alerts.append(
                AlertItem(
                    "No gateway is running.",
                    "Devices cannot connect. What follows is what the process that shows this page has loaded."
                ))
        }
        if !view.silent.isEmpty {
            alerts.append(
                AlertItem(
                    "Not every gateway has said what it loaded.",
                    "It does so within seconds of its start, unless it is older than this page.",
                    labels: view.silent))
        }
        if !view.foreign.isEmpty {
            alerts.append(
                AlertItem(
                    "Not every gateway is understood here.",
                    "It runs another version of this software. Bring all processes to the same version.",
                    labels: view.foreign))
        }
        return alerts
    }

    /// What is new in the folder, and would be loaded or refused by a restart.
    private var arrivals: [PluginItem] {
        view.newcomers.map { common in
            let plugin = common.value
            return PluginItem(
                path: plugin.path, reason: "SHA-256 \(plugin.sha256)",
                sentence: "A restart would load it: channel \(plugin.id), version \(plugin.version).",
                labels: common.labels)
        }
            + view.newlyRefused.map { PluginItem($0, sentence: "A restart would refuse it.") }
    }
}

/// Something that is not as it should be, with the processes it is true of.
final class AlertItem: PageModel {
    private let heading: String
    private let subject: String?
    private let text: String
    private let labels: [String]
    private let sha256: String?

    /// - Parameter subject: what the heading ends with, where that must be shown as it is, also by a browser that
    ///   translates.
    init(
        _ heading: String, of subject: String? = nil, _ text: String, labels: [String] = [],
        sha256: String? = nil
    ) {
        self.heading = heading
        self.subject = subject
        self.text = text
        self.labels = labels
        self.sha256 = sha256
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "alertHeading": heading
        case "alertSubject": subject
        case "alertText": text
        case "alertLabels": LabelItem.list(labels)
        case "hasAlertLabels": !labels.isEmpty
        case "alertSHA256": sha256
        default: nil
        }
    }
}

/// What a process is called, in a list of them.
final class LabelItem: PageModel {
    private let label: String
    private let isLast: Bool

    private init(_ label: String, isLast: Bool) {
        self.label = label
        self.isLast = isLast
    }

    static func list(_ labels: [String]) -> [LabelItem] {
        labels.indices.map { LabelItem(labels[$0], isLast: $0 == labels.indices.last) }
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "processLabel": label
        case "isLastLabel": isLast
        default: nil
        }
    }
}

/// A plugin that is not loaded, and why.
final class PluginItem: PageModel {
    private let path: String
    private let reason: String
    private let sentence: String?
    private let labels: [String]

    init(path: String, reason: String, sentence: String?, labels: [String]) {
        self.path = path
        self.reason = reason
        self.sentence = sentence
        self.labels = labels
    }

    convenience init(_ common: ChannelsView.Common<ChannelsReport.Refused>, sentence: String? = nil) {
        self.init(
            path: common.value.path, reason: common.value.reason, sentence: sentence, labels: common.labels)
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "pluginPath": path
        case "pluginReason": reason
        case "pluginSentence": sentence
        case "pluginLabels": LabelItem.list(labels)
        default: nil
        }
    }
}

/// A channel with everything that is known of it.
final class ChannelItem: PageModel {
    private let channel: ChannelsView.Channel
    private let now: Timestamp

    init(_ channel: ChannelsView.Channel, now: Timestamp) {
        self.channel = channel
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        let library = channel.model.library
        return switch name {
        case "channelID": channel.id.text
        case "displayName": library.displayName.isEmpty ? channel.id.text : library.displayName
        case "version": library.version
        case "abi": library.abi
        case "swiftVersion": library.swiftVersion
        case "path": library.path
        case "sha256": library.sha256
        case "limits": channel.model.facts.map(DetailItem.init)
        case "channelAlerts": troubles + mixture + changes
        case "isTroubled": !channel.troubles.isEmpty
        case "isTroubledInPart": channel.isServedSomewhere
        case "places": channel.places.map { PlaceItem($0.member, $0.channel, now: now) }
        default: nil
        }
    }

    private var troubles: [AlertItem] {
        channel.troubles.map { common in
            common.value.isStuck
                ? AlertItem(
                    "Its calls have not returned. If none does, start this process again.",
                    "Its devices are asked to come again: \(common.value.reason).",
                    labels: common.labels)
                : AlertItem(
                    "Out of service.",
                    "Its devices are asked to come again: \(common.value.reason).", labels: common.labels)
        }
    }

    private var mixture: [AlertItem] {
        guard channel.isMixed else { return [] }
        return [
            AlertItem(
                "The processes have not loaded the same library.",
                "Which one a device meets is a matter of luck. Install the one you want and restart the "
                    + "processes that have another.")
        ]
    }

    private var changes: [AlertItem] {
        channel.changes.compactMap { common in
            let unchanged = "Nothing changes until then."
            switch common.value {
            case .same: return nil
            case .other(let found):
                let place = found.path == channel.model.library.path ? "" : " It is \(found.path)."
                return AlertItem(
                    "A restart would load another library: version \(found.version).",
                    unchanged + place, labels: common.labels, sha256: found.sha256)
            case .refused(let reason):
                return AlertItem(
                    "A restart would refuse this channel.", "\(unchanged) The reason: \(reason)",
                    labels: common.labels)
            case .gone:
                return AlertItem(
                    "A restart would not find this channel.",
                    "\(unchanged) Its files are no longer in the folder of channels.", labels: common.labels)
            }
        }
    }
}

/// A channel in one process.
final class PlaceItem: PageModel {
    private let member: ChannelsView.Member
    private let channel: ChannelsReport.Channel?
    private let now: Timestamp

    init(_ member: ChannelsView.Member, _ channel: ChannelsReport.Channel?, now: Timestamp) {
        self.member = member
        self.channel = channel
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "placeLabel": member.label
        case "placeKind": member.startedAt == nil ? "kernel, shows this page" : "gateway"
        case "placeStartedAt": member.startedAt.map { TimeItem($0, .ago, now: now) }
        case "isLoaded": channel != nil
        case "isInService": channel.map { $0.outOfService == nil } ?? false
        case "placeVersion": channel?.library.version
        case "placeDigest": channel.map { String($0.library.sha256.prefix(12)) }
        case "placeSessions": channel?.sessions
        case "placeMisbehaviours": channel?.misbehaviours
        case "hasMisbehaved": channel.map { $0.misbehaviours > 0 } ?? false
        case "placeCalls": channel.map { $0.openCalls ?? "none" }
        case "hasOpenCalls": channel?.openCalls != nil
        case "placeValues": channel?.valueFacts.map(DetailItem.init) ?? []
        case "hasValues": channel.map { !$0.values.isEmpty } ?? false
        default: nil
        }
    }
}
