import PairingCore
import PairingKernel

// What templates are given of requests and devices. An item that may be absent has a name that nothing
// around it has, since templates look for absent names in the surroundings.

/// A moment with the words that show it.
final class TimeItem: PageModel {
    /// How the page's script rewrites the words.
    enum Style: String {
        /// Date and time in the reader's zone.
        case moment
        /// How long ago.
        case ago
        /// How long it takes until then.
        case left
    }

    private let time: PageTime
    private let style: Style
    private let words: String

    init(_ moment: Timestamp, _ style: Style, now: Timestamp) {
        time = PageTime(moment)
        self.style = style
        words =
            switch style {
            case .moment: time.text
            case .ago: briefDuration(now - moment) + " ago"
            case .left: moment > now ? "in " + briefDuration(moment - now) : "expired"
            }
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "machine": time.machine
        case "style": style == .moment ? nil : style.rawValue
        case "words": words
        default: nil
        }
    }
}

/// A labelled fact.
final class DetailItem: PageModel {
    private let detail: Detail

    init(_ detail: Detail) { self.detail = detail }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "label": detail.label
        case "value": detail.value
        default: nil
        }
    }
}

/// A refused claim of another device.
final class RivalItem: PageModel {
    private let rival: PairingAdministration.Rival
    private let lastAt: TimeItem

    init(_ rival: PairingAdministration.Rival, now: Timestamp) {
        self.rival = rival
        lastAt = TimeItem(rival.lastAt, .ago, now: now)
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "rivalAddress": rival.address?.description ?? "an unknown address"
        case "rivalChannel": rival.channel.text
        case "rivalAttempts": rival.attempts == 1 ? "once" : "\(rival.attempts) times"
        case "rivalLastAt": lastAt
        default: nil
        }
    }
}

/// What became of a sender ID before.
final class PastItem: PageModel {
    private let past: PairingAdministration.PastDecision
    private let at: TimeItem

    init(_ past: PairingAdministration.PastDecision, now: Timestamp) {
        self.past = past
        at = TimeItem(past.at, .moment, now: now)
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "pastKind": past.kind.rawValue.prefix(1).uppercased() + past.kind.rawValue.dropFirst()
        case "pastAt": at
        case "pastBy": past.by
        case "pastReason": past.reason
        case "pastIsSame": past.isSameCredential
        default: nil
        }
    }
}

/// A pairing request.
final class RequestItem: PageModel {
    private let row: PairingAdministration.RequestRow
    private let showsCode: Bool
    private let now: Timestamp

    private let isSelectable: Bool

    /// - Parameters:
    ///   - showsCode: false where the administrator has to type what the device shows.
    ///   - isSelectable: whether it is one of several in a list.
    init(
        _ row: PairingAdministration.RequestRow, showsCode: Bool, isSelectable: Bool = false, now: Timestamp
    ) {
        self.row = row
        self.showsCode = showsCode
        self.isSelectable = isSelectable
        self.now = now
    }

    /// A device never changes its request (I11).
    var renderingKey: String? {
        guard row.rivals.isEmpty else { return nil }
        let request = row.request
        let times = "\(briefDuration(now - request.createdAt)) \(briefDuration(request.expiresAt - now))"
        return "request \(request.id) \(request.senderID.text) \(showsCode) \(isSelectable) \(times) "
            + request.profile.displayName
    }

    func child(named name: String) -> (any PageValue)? {
        let request = row.request
        return switch name {
        case "senderID": request.senderID.text
        case "channel": request.channel.text
        case "shownCode": showsCode ? request.code.description : nil
        case "claimedName": request.profile.displayName.isEmpty ? nil : request.profile.displayName
        case "signature": request.profile.signatureMark
        case "details": request.profile.details.map(DetailItem.init)
        case "address": request.address?.description ?? "unknown"
        case "fingerprint": row.fingerprint
        case "askedAtMachine": PageTime(request.createdAt).machine
        case "askedAtText": briefDuration(now - request.createdAt) + " ago"
        case "expiresAtMachine": PageTime(request.expiresAt).machine
        case "expiresAtText":
            request.expiresAt > now ? "in " + briefDuration(request.expiresAt - now) : "expired"
        case "askedAt": TimeItem(request.createdAt, .ago, now: now)
        case "expiresAt": TimeItem(request.expiresAt, .left, now: now)
        case "expiresSoon": request.expiresAt - now < .seconds(300)
        case "hasRivals": !row.rivals.isEmpty
        case "rivals": row.rivals.map { RivalItem($0, now: now) }
        case "hasPast": !row.past.isEmpty
        case "past": row.past.map { PastItem($0, now: now) }
        case "metadata": request.profile.metadata == "{}" ? nil : request.profile.metadata
        case "commandNames":
            DeviceCommand.declared(in: request.profile.metadata).map(\.name).joined(separator: ", ")
                .nilIfEmpty
        case "requestID": request.id.text
        case "decisionReason": request.reason
        case "approvePath": Route.approve(request.id).path
        case "denyPath": Route.deny(request.id).path
        default: nil
        }
    }
}

/// A pairing.
final class DeviceItem: PageModel {
    private let row: PairingAdministration.DeviceRow
    private let isSelectable: Bool
    private let now: Timestamp
    private var pairedAt: PageTime { PageTime(row.device.pairedAt) }

    /// - Parameter isSelectable: whether it is one of several in a list.
    init(_ row: PairingAdministration.DeviceRow, isSelectable: Bool = false, now: Timestamp) {
        self.row = row
        self.isSelectable = isSelectable
        self.now = now
    }

    var renderingKey: String? {
        // Only the list's rows are read so often.
        guard isSelectable, row.rivals.isEmpty else { return nil }
        let device = row.device
        let seen =
            row.isConnected
            ? "+" : row.lastSeenAt.map { "\($0.milliseconds) \(briefDuration(now - $0))" } ?? "-"
        return "device \(device.requestID) \(device.senderID.text) \(seen) \(device.shownName)"
    }

    func child(named name: String) -> (any PageValue)? {
        let device = row.device
        return switch name {
        case "senderID": device.senderID.text
        case "channel": device.channel.text
        case "hasName": !device.shownName.isEmpty
        case "shownName": device.shownName
        case "labelText": device.label
        case "noteText": device.note
        case "deviceExpiresAt": device.expiresAt.map { TimeItem($0, .left, now: now) }
        case "claimedName": device.profile.displayName.isEmpty ? nil : device.profile.displayName
        case "signature": device.profile.signatureMark
        case "details": device.profile.details.map(DetailItem.init)
        case "fingerprint": row.fingerprint
        case "pairedAtMachine": pairedAt.machine
        case "pairedAtText": pairedAt.text
        case "pairedAt": TimeItem(device.pairedAt, .moment, now: now)
        case "pairedBy": device.pairedBy
        case "isActive": device.state == .active
        case "revokedAt": device.revokedAt.map { TimeItem($0, .moment, now: now) }
        case "revokedBy": device.revokedBy
        case "revokeReason": device.revokeReason
        case "metadata": device.profile.metadata == "{}" ? nil : device.profile.metadata
        case "generation": device.generation.description
        case "isConnected": row.isConnected
        case "wasConnected": row.lastSeenAt != nil
        case "lastSeenAtMachine": row.lastSeenAt.map { PageTime($0).machine }
        case "lastSeenAtText": row.lastSeenAt.map { briefDuration(now - $0) + " ago" }
        case "lastSeenAt": row.lastSeenAt.map { TimeItem($0, .ago, now: now) }
        case "lastAddress": row.lastAddress?.description
        case "hasRivals": !row.rivals.isEmpty
        case "rivals": row.rivals.map { RivalItem($0, now: now) }
        case "devicePath": Route.device(device.senderID).path
        case "revokePath": Route.revoke(device.senderID).path
        default: nil
        }
    }
}

extension String {
    /// `nil` where there is nothing in it.
    fileprivate var nilIfEmpty: String? { isEmpty ? nil : self }
}

extension DeviceProfile {
    /// What is to be known of how the device signs, where that is not our own way.
    fileprivate var signatureMark: String? {
        details.contains(.openClawSignature) ? Detail.openClawSignature.value : nil
    }
}
