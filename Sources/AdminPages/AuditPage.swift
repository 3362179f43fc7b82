import PairingCore
import PairingKernel

/// `/audit`: the event feed for people.
extension AdminPages {
    func audit(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let query = AuditQuery(try visit.query())
        let page: Audit.Page
        if let filter = query.filter {
            page = try await kernel.audit.events(
                filter, before: query.before, limit: AuditPage.rowLimit, by: session.authority)
        } else {
            page = Audit.Page()
        }
        return render(
            .audit, title: "Audit", AuditPage(query: query, page: page, now: now()), visit)
    }
}

/// What `/audit` was asked for, as it was typed.
struct AuditQuery: Equatable {
    var who = ""
    var what = ""
    var device = ""
    var address = ""
    /// The first day, `2026-11-27`, in UTC.
    var from = ""
    /// The last day, included.
    var until = ""
    var before: Int64?

    init() {}

    init(_ fields: FormFields) {
        func text(_ name: String) -> String { cleanDeviceText(fields[name] ?? "", maximumScalars: 160) }
        who = text("who")
        what = text("what")
        device = text("device")
        address = text("address")
        from = text("from")
        until = text("until")
        before = fields["before"].flatMap { Int64($0) }
    }

    var isFiltered: Bool { ![who, what, device, address, from, until].allSatisfy(\.isEmpty) }

    /// What the store is asked; `nil` where nothing can be found, such as for a day that does not exist.
    var filter: Audit.Filter? {
        var filter = Audit.Filter()
        filter.actor = who.isEmpty ? nil : who
        filter.event = what.isEmpty ? nil : what
        filter.address = address.isEmpty ? nil : ClientAddress(address)?.description ?? address
        if !device.isEmpty {
            guard let senderID = SenderID(device) else { return nil }
            filter.senderID = senderID
        }
        if !from.isEmpty {
            guard let day = PageTime.day(from) else { return nil }
            filter.from = day
        }
        if !until.isEmpty {
            guard let day = PageTime.day(until) else { return nil }
            filter.until = day + .seconds(86_400)
        }
        return filter
    }

    /// The address that asks for it.
    var path: String {
        let fields = [
            ("who", who), ("what", what), ("device", device), ("address", address), ("from", from),
            ("until", until), ("before", before.map { String($0) } ?? ""),
        ]
        .filter { !$0.1.isEmpty }.map { "\($0.0)=\(percentEncoded($0.1))" }
        return fields.isEmpty ? Route.audit.path : Route.audit.path + "?" + fields.joined(separator: "&")
    }

    func with(_ change: (inout AuditQuery) -> Void) -> String {
        var query = self
        query.before = nil
        change(&query)
        return query.path
    }
}

/// What `/audit` shows.
struct AuditPage: PageModel {
    /// The rows on one page.
    static let rowLimit = 50

    var query: AuditQuery
    var page: Audit.Page
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "who": query.who
        case "what": query.what
        case "device": query.device
        case "fromAddress": query.address
        case "fromDay": query.from
        case "untilDay": query.until
        case "kinds": EventKindItem.all(selecting: query.what)
        case "isFiltered": query.isFiltered
        case "hasEvents": !page.events.isEmpty
        case "events": page.events.map { AuditEventItem($0, query: query, now: now) }
        case "hasEventPages": query.before != nil || page.next != nil
        case "firstEventsPath": query.before.map { _ in query.with { _ in } }
        case "nextEventsPath": page.next.map { next in query.with { $0.before = next } }
        default: nil
        }
    }
}

/// A kind of event to choose.
final class EventKindItem: PageModel {
    private let name: String
    private let isSelected: Bool

    private init(_ name: String, isSelected: Bool) {
        self.name = name
        self.isSelected = isSelected
    }

    /// - Parameter selected: stays to be chosen also where a newer program's event is meant.
    static func all(selecting selected: String) -> [EventKindItem] {
        let names = EventName.allCases.map(\.rawValue)
        return (names.contains(selected) || selected.isEmpty ? names : names + [selected]).map {
            EventKindItem($0, isSelected: $0 == selected)
        }
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "kindName": self.name
        case "kindWords": EventName(rawValue: self.name)?.words ?? self.name
        case "kindIsSelected": isSelected
        default: nil
        }
    }
}

/// An event in the list.
final class AuditEventItem: PageModel {
    private let event: Audit.Event
    private let query: AuditQuery
    private let now: Timestamp

    init(_ event: Audit.Event, query: AuditQuery, now: Timestamp) {
        self.event = event
        self.query = query
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        let event = event
        return switch name {
        case "eventPosition": String(event.position)
        case "eventAt": TimeItem(event.at, .moment, now: now)
        case "eventWords": EventName(rawValue: event.event)?.words ?? event.event
        case "eventName": event.event
        case "eventActor": event.actor
        case "eventActorPath": query.with { $0.who = event.actor }
        case "eventDevice": event.senderID
        case "eventChannel": event.channel
        case "eventDevicePath": event.senderID.map { id in query.with { $0.device = id } }
        case "eventAddress": event.address
        case "eventAddressPath": event.address.map { address in query.with { $0.address = address } }
        case "eventFacts": facts
        default: nil
        }
    }

    private var facts: [DetailItem] {
        guard case .object(let members) = try? JSONValue(parsing: event.details.utf8) else { return [] }
        return members.sorted { $0.key < $1.key }.map { name, value in
            DetailItem(Detail(label: Self.words(of: name), value: Self.words(of: value, named: name)))
        }
    }

    /// A moment is one for people, too; a list is its members.
    private static func words(of value: JSONValue, named name: String) -> String {
        if name.hasSuffix("At") || name == "until", let milliseconds = value.wholeNumber {
            return PageTime(Timestamp(milliseconds: milliseconds)).text
        }
        if case .array(let values) = value, values.allSatisfy({ $0.string != nil }) {
            return values.compactMap(\.string).joined(separator: ", ")
        }
        return value.string ?? value.text
    }

    /// `otherAddress` as `other address`.
    private static func words(of name: String) -> String {
        name.unicodeScalars.reduce(into: "") { words, scalar in
            if scalar.properties.isUppercase { words += " " }
            words += scalar.properties.lowercaseMapping
        }
    }
}

extension EventName {
    /// What happened, for people.
    var words: String {
        switch self {
        case .pairingRequested: "Asked to pair"
        case .pairingApproved: "Approved"
        case .pairingDenied: "Denied"
        case .pairingCodeRefused: "Approved with a wrong code"
        case .pairingExpired: "Request expired"
        case .pairingRevoked: "Revoked"
        case .pairingRivalRefused: "Rival refused"
        case .pairingCooldownCleared: "Waiting time lifted"
        case .pairingWindowChanged: "Pairing opened or closed"
        case .invitationCreated: "Invitation made"
        case .invitationUsed: "Invitation used"
        case .invitationWithdrawn: "Invitation withdrawn"
        case .deviceChanged: "Device changed"
        case .deviceMessagesRead: "Messages read"
        case .toolCalled: "Tool used"
        case .commandCalled: "Command called"
        case .commandEnded: "Command ended"
        case .deviceContended: "Two programs use one credential"
        case .adminCreated: "Account made"
        case .adminRoleChanged: "Role changed"
        case .adminDisabled: "Account disabled"
        case .adminEnabled: "Account enabled"
        case .adminSessionsEnded: "Sessions ended"
        case .adminTOTPEnabled: "One-time codes turned on"
        case .adminTOTPDisabled: "One-time codes turned off"
        case .adminPasskeyAdded: "Passkey added"
        case .adminPasskeyRenamed: "Passkey renamed"
        case .adminPasskeyRemoved: "Passkey removed"
        case .adminRecoveryCodeUsed: "Recovery code used"
        case .adminRefused: "Refused"
        case .adminPasswordChanged: "Password changed"
        case .adminUnlocked: "Account unlocked"
        case .adminRemoved: "Account removed"
        case .adminSignedIn: "Signed in"
        case .adminSignedOut: "Signed out"
        case .adminSignInFailed: "Sign-in failed"
        case .auditTrimmed: "Beginning of the feed removed"
        case .databaseRestored: "Database restored from a backup"
        case .webhookAdded: "Web hook added"
        case .webhookTested: "Web hook tested"
        case .webhookSecretRotated: "Web hook's secret changed"
        case .webhookEnabled: "Web hook enabled"
        case .webhookDisabled: "Web hook disabled"
        case .webhookRemoved: "Web hook removed"
        case .tokenCreated: "API token made"
        case .tokenRevoked: "API token revoked"
        }
    }
}
