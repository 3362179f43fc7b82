import PairingCore
import PairingKernel

/// `/nodes`: Pending Requests and Paired Devices.
struct NodesPage: PageModel {
    /// The rows of each list on one page.
    static let rowLimit = 25

    var query: NodesQuery
    var requests: PairingAdministration.Page<PairingAdministration.RequestRow>
    var devices: PairingAdministration.Page<PairingAdministration.DeviceRow>
    /// How many there are in all, whatever the filter; 1,001 stands for more than 1,000.
    var counts: (pending: Int, paired: Int)
    /// Whether the list of devices may go on though it is not full.
    var isPartial = false
    /// What there is to filter by.
    var channels: [ChannelID] = []
    /// When devices may ask to pair.
    var window = PairingWindow.always
    /// What is wrong, the worst first.
    var alerts: [AlertItem] = []
    var settings: PairingSettings
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "filter": query.text
        case "isFiltered": !query.text.isEmpty
        case "isRefined": query.isRefined
        case "narrowsRequests": query.narrowsRequests
        case "narrowsDevices": query.narrowsDevices
        case "filterForm": FilterForm(query: query, channels: channels, agents: settings.agents.names)
        case "isPartial": isPartial
        case "exportForm": ExportForm(subject: .devices, fields: query.fields)
        case "sortedBy": sorting
        case "findsCodes": !settings.requiresTypedCode
        case "pageAlerts": alerts
        case "window": WindowItem(window, now: now)
        case "refreshPath": query.path
        case "pendingCount": counted(counts.pending)
        case "pairedCount": counted(counts.paired)
        case "requests":
            requests.rows.map {
                RequestItem(
                    $0, showsCode: !settings.requiresTypedCode, isSelectable: requests.rows.count > 1,
                    now: now)
            }
        // Its plain state does without: what is there always, and what a dialog needs is loaded with that.
        case "needsMore":
            requests.rows.isEmpty || devices.rows.isEmpty || query.narrowsDevices || !alerts.isEmpty
                || requests.rows.contains { !$0.rivals.isEmpty }
        case "hasRequests": !requests.rows.isEmpty
        case "devices": devices.rows.map { DeviceItem($0, isSelectable: devices.rows.count > 1, now: now) }
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

    /// What the rows come by where that is not what was chosen.
    private var sorting: String? {
        if !query.text.isEmpty {
            return
                "Sender IDs that begin with it come first, then names that do, then what holds it elsewhere."
        }
        return query.isConnected == true && query.order != .sender
            ? "Connected devices come by sender ID." : nil
    }

    private func path(_ change: (inout NodesQuery) -> Void) -> String {
        var query = query
        change(&query)
        return query.path
    }
}

/// A count as it is shown: those over 1,000 are not counted on.
func counted(_ number: Int) -> String { number > 1000 ? "1000+" : String(number) }
