import PairingCore
import PairingKernel

/// What `/nodes` was asked for.
struct NodesQuery: Equatable {
    /// A part of what is looked for; empty for everything.
    var filter: String
    /// Where the page of requests begins.
    var requestsAfter: String?
    /// Where the page of devices begins.
    var devicesAfter: String?

    init(filter: String = "", requestsAfter: String? = nil, devicesAfter: String? = nil) {
        self.filter = filter
        self.requestsAfter = requestsAfter
        self.devicesAfter = devicesAfter
    }

    init(_ fields: FormFields) {
        filter = cleanDeviceText(fields["q"] ?? "", maximumScalars: 128)
        requestsAfter = fields["requests"]
        devicesAfter = fields["devices"]
    }

    /// The address that asks for it.
    var path: String {
        let fields = [
            ("q", filter.isEmpty ? nil : filter), ("requests", requestsAfter), ("devices", devicesAfter),
        ]
        .compactMap { name, value in value.map { "\(name)=\(percentEncoded($0))" } }
        return fields.isEmpty ? Route.nodes.path : Route.nodes.path + "?" + fields.joined(separator: "&")
    }
}

/// `/nodes`: Pending Requests and Paired Devices.
struct NodesPage: PageModel {
    /// The rows of each list on one page.
    static let rowLimit = 25

    var query: NodesQuery
    var requests: PairingAdministration.Page<PairingAdministration.RequestRow>
    var devices: PairingAdministration.Page<PairingAdministration.DeviceRow>
    /// How many there are in all, whatever the filter; 1,001 stands for more than 1,000.
    var counts: (pending: Int, paired: Int)
    /// When devices may ask to pair.
    var window = PairingWindow.always
    /// What is wrong, the worst first.
    var alerts: [AlertItem] = []
    var settings: PairingSettings
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "filter": query.filter
        case "isFiltered": !query.filter.isEmpty
        case "findsCodes": !settings.requiresTypedCode
        case "pageAlerts": alerts
        case "window": WindowItem(window, now: now)
        case "refreshPath": query.path
        case "pendingCount": counted(counts.pending)
        case "pairedCount": counted(counts.paired)
        case "requests":
            requests.rows.map { RequestItem($0, showsCode: !settings.requiresTypedCode, now: now) }
        case "hasRequests": !requests.rows.isEmpty
        case "devices": devices.rows.map { DeviceItem($0, now: now) }
        case "hasDevices": !devices.rows.isEmpty
        // One alone has its own buttons.
        case "selectsRequests": requests.rows.count > 1
        case "selectsDevices": devices.rows.count > 1
        case "codeLifetime": briefDuration(settings.pairingCodeTTL)
        case "hasRequestPages": query.requestsAfter != nil || requests.next != nil
        case "hasDevicePages": query.devicesAfter != nil || devices.next != nil
        case "firstRequestsPath": query.requestsAfter.map { _ in path { $0.requestsAfter = nil } }
        case "nextRequestsPath": requests.next.map { next in path { $0.requestsAfter = next } }
        case "firstDevicesPath": query.devicesAfter.map { _ in path { $0.devicesAfter = nil } }
        case "nextDevicesPath": devices.next.map { next in path { $0.devicesAfter = next } }
        default: nil
        }
    }

    private func path(_ change: (inout NodesQuery) -> Void) -> String {
        var query = query
        change(&query)
        return query.path
    }
}

/// A count as it is shown: those over 1,000 are not counted on.
func counted(_ number: Int) -> String { number > 1000 ? "1000+" : String(number) }
