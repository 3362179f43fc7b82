import PairingCore
import PairingKernel

/// What `/nodes` was asked for.
struct NodesQuery: Equatable {
    /// When a device was paired, as the filter's form says it.
    enum Age: String, CaseIterable {
        case day = "1d"
        case week = "7d"
        case month = "30d"
        case overMonth = "over-30d"
        case overYear = "over-365d"

        var label: String {
            switch self {
            case .day: "in the last day"
            case .week: "in the last 7 days"
            case .month: "in the last 30 days"
            case .overMonth: "more than 30 days ago"
            case .overYear: "more than a year ago"
            }
        }
    }

    /// What is looked for; empty for everything.
    var text = ""
    var channel: ChannelID?
    var isConnected: Bool?
    var pairedBy = ""
    var agent = ""
    var age: Age?
    var order = DeviceOrder.newest
    /// Where the page of requests begins.
    var requestsAfter: String?
    /// Where the page of devices begins.
    var devicesAfter: String?

    init(text: String = "") { self.text = text }

    /// Reads the fields of a query; what the form could not have sent is left out.
    init(_ fields: FormFields) {
        text = cleanDeviceText(fields["q"] ?? "", maximumScalars: 128)
        channel = fields["channel"].flatMap(ChannelID.init)
        isConnected = ["on": true, "off": false][fields["connected"] ?? ""]
        pairedBy = cleanDeviceText(fields["by"] ?? "", maximumScalars: 256)
        agent = cleanDeviceText(fields["agent"] ?? "", maximumScalars: 64)
        age = fields["paired"].flatMap(Age.init)
        order = fields["sort"].flatMap(DeviceOrder.init) ?? .newest
        requestsAfter = fields["requests"]
        devicesAfter = fields["devices"]
    }

    /// What it finds devices by.
    var filter: DeviceFilter {
        var filter = DeviceFilter(text: text, order: order)
        filter.channel = channel
        filter.isConnected = isConnected
        filter.pairedBy = pairedBy.isEmpty ? nil : pairedBy
        filter.agent = agent.isEmpty ? nil : agent
        let day = Duration.seconds(86_400)
        switch age {
        case nil: break
        case .day: filter.pairedWithin = day
        case .week: filter.pairedWithin = day * 7
        case .month: filter.pairedWithin = day * 30
        case .overMonth: filter.pairedBefore = day * 30
        case .overYear: filter.pairedBefore = day * 365
        }
        return filter
    }

    /// Whether anything but the text narrows the list or sorts it otherwise.
    var isRefined: Bool {
        channel != nil || isConnected != nil || !pairedBy.isEmpty || !agent.isEmpty || age != nil
            || order != .newest
    }

    /// Whether the list of devices, or of requests, is less than all of them.
    var narrowsDevices: Bool {
        var everything = self
        everything.order = .newest
        return !text.isEmpty || everything.isRefined
    }
    var narrowsRequests: Bool { !text.isEmpty || channel != nil }

    /// The address that asks for it.
    var path: String { path(of: .nodes, [("requests", requestsAfter), ("devices", devicesAfter)]) }

    /// The fields that ask for the same devices.
    var fields: [(name: String, value: String)] {
        [
            ("q", text), ("channel", channel?.text ?? ""),
            ("connected", isConnected.map { $0 ? "on" : "off" } ?? ""), ("by", pairedBy), ("agent", agent),
            ("paired", age?.rawValue ?? ""), ("sort", order == .newest ? "" : order.rawValue),
        ].filter { !$0.1.isEmpty }
    }

    /// The address of a page that shows the same devices in another way.
    func path(of route: Route, _ further: [(String, String?)] = []) -> String {
        let fields = (self.fields + further.compactMap { name, value in value.map { (name, $0) } })
            .map { name, value in "\(name)=\(percentEncoded(value))" }
        return fields.isEmpty ? route.path : route.path + "?" + fields.joined(separator: "&")
    }
}

/// A choice of a `<select>`.
final class OptionItem: PageModel {
    private let value: String
    private let label: String
    private let isChosen: Bool

    init(_ value: String, _ label: String, isChosen: Bool) {
        self.value = value
        self.label = label
        self.isChosen = isChosen
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "optionValue": value
        case "optionLabel": label
        case "isChosen": isChosen
        default: nil
        }
    }
}

/// The choices of the filter's form beside the text.
struct FilterForm: PageModel {
    var query: NodesQuery
    var channels: [ChannelID]
    var agents: [String]

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "channelOptions":
            channels.map { OptionItem($0.text, $0.text, isChosen: $0 == query.channel) }
        case "connectedOptions":
            [(true, "on", "Connected"), (false, "off", "Not connected")].map {
                OptionItem($1, $2, isChosen: query.isConnected == $0)
            }
        case "agentOptions": agents.map { OptionItem($0, $0, isChosen: $0 == query.agent) }
        case "ageOptions":
            NodesQuery.Age.allCases.map { OptionItem($0.rawValue, $0.label, isChosen: $0 == query.age) }
        case "orderOptions":
            [
                ("newest", "newest first"), ("oldest", "oldest first"), ("sender", "by sender ID"),
                ("name", "by name"),
            ]
            .map { OptionItem($0, $1, isChosen: query.order.rawValue == $0) }
        case "pairedBy": query.pairedBy
        default: nil
        }
    }
}
