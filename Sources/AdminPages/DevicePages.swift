import PairingCore
import PairingKernel

/// `/nodes/devices/{senderId}`: what is known of a device, and every pairing it had.
struct DevicePage: PageModel {
    /// Its pairings, newest first; at least one.
    var rows: [PairingAdministration.DeviceRow]
    /// What is wrong with it.
    var alerts: [AlertItem] = []
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "current": rows.first.map { DeviceItem($0, now: now) }
        case "pageAlerts": alerts
        case "pairings": rows.map { DeviceItem($0, now: now) }
        default: nil
        }
    }
}

/// The dialog of Revoke.
struct RevocationPage: PageModel {
    /// The newest pairing.
    var row: PairingAdministration.DeviceRow
    /// The administrator who reads it, as decisions are signed.
    var reader: String?
    /// Why the form was not carried out, where it came back.
    var problem: String?
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "device": DeviceItem(row, now: now)
        case "isReadersOwn": problem == nil && reader != nil && row.device.revokedBy == reader
        case "problem": problem
        default: nil
        }
    }
}
