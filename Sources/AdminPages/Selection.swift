import PairingCore
import PairingKernel

/// What was ticked in a list, and what is to become of it.
struct Selection: Equatable {
    /// What is to become of what was ticked.
    enum Decision: String {
        case approve, deny, revoke
    }

    /// The most fields of its forms: a page of rows with a few fields each.
    static let maximumFields = 4 * NodesPage.rowLimit + 8

    var decision: Decision
    var requests: [RequestID]
    /// The devices, each with the generation that was displayed.
    var devices: [(senderID: SenderID, generation: Generation)]

    /// Reads the fields of a query or a form; what is not of the list's form is left out.
    init?(_ fields: FormFields) {
        guard let decision = fields["decision"].flatMap(Decision.init) else { return nil }
        self.decision = decision
        requests = fields.named("request.").compactMap { RequestID($0.name) }
        devices = fields.named("device.").compactMap { name, value in
            guard let senderID = SenderID(name), let generation = Generation(value) else { return nil }
            return (senderID, generation)
        }
        requests = Array(requests.prefix(NodesPage.rowLimit))
        devices = Array(devices.prefix(NodesPage.rowLimit))
    }

    var isEmpty: Bool { decision == .revoke ? devices.isEmpty : requests.isEmpty }

    /// The address of the page that shows where each of them stands.
    var path: String {
        let fields =
            decision == .revoke
            ? devices.map { "device.\(percentEncoded($0.senderID.text))=\($0.generation)" }
            : requests.map { "request.\($0)=on" }
        return Route.selection.path + "?"
            + (["decision=\(decision.rawValue)"] + fields).joined(separator: "&")
    }

    static func == (one: Selection, other: Selection) -> Bool { one.path == other.path }
}

/// `/nodes/selection`: lists what was ticked, takes the decision, and shows what came of each.
struct SelectionPage: PageModel {
    var selection: Selection
    var requests: [PairingAdministration.RequestRow] = []
    /// The newest pairing of each, with the generation that was displayed.
    var devices: [(row: PairingAdministration.DeviceRow, displayed: Generation)] = []
    var requiresTypedCode: Bool
    /// The administrator who reads it, as decisions are signed.
    var reader: String
    var now: Timestamp

    private var open: [SelectionItem] {
        requests.filter { $0.request.state == .pending }.map {
            SelectionItem(request: $0, showsCode: !requiresTypedCode, reader: reader, now: now)
        }
            + devices.filter { $0.row.device.state == .active && $0.row.device.generation == $0.displayed }
            .map {
                SelectionItem(device: $0.row, reader: reader, now: now)
            }
    }

    private var ended: [SelectionItem] {
        requests.filter { $0.request.state != .pending }.map {
            SelectionItem(request: $0, showsCode: false, reader: reader, now: now)
        }
            + devices.filter { $0.row.device.state != .active || $0.row.device.generation != $0.displayed }
            .map {
                SelectionItem(device: $0.row, reader: reader, now: now)
            }
    }

    func child(named name: String) -> (any PageValue)? {
        let open = open
        switch name {
        case "selectionHeading":
            return open.isEmpty
                ? ended.isEmpty ? "Nothing is selected" : "What came of each"
                : "\(verb) \(open.count == 1 ? "this one" : "these \(open.count)")?"
        case "selectionAdvice":
            if open.isEmpty {
                return ended.isEmpty ? "Tick some in a list, then choose." : "Nothing is left to decide."
            }
            switch selection.decision {
            case .approve:
                return requiresTypedCode
                    ? "Type the code that each device shows. Those without one are left as they are."
                    : "Compare each code with the one on its device, and tick those that are the same. The others are left as "
                        + "they are."
            case .deny: return "Each device is told so and disconnected. For a while it can't ask again."
            case .revoke:
                return "Their sessions end at once on every instance. To come back each must pair again."
            }
        case "decision": return selection.decision.rawValue
        case "verb": return verb
        case "isApproval": return selection.decision == .approve
        case "takesReason": return selection.decision != .approve
        case "typesCode": return selection.decision == .approve && requiresTypedCode
        case "ticksCode": return selection.decision == .approve && !requiresTypedCode
        case "hasOpen": return !open.isEmpty
        case "open": return open
        case "hasEnded": return !ended.isEmpty
        case "ended": return ended
        default: return nil
        }
    }

    private var verb: String {
        switch selection.decision {
        case .approve: "Approve"
        case .deny: "Deny"
        case .revoke: "Revoke"
        }
    }
}

/// One of what was ticked.
final class SelectionItem: PageModel {
    private let item: any PageModel
    private let key: String
    private let code: String?
    private let generation: String?
    private let outcome: String
    private let at: Timestamp?
    private let now: Timestamp

    init(request row: PairingAdministration.RequestRow, showsCode: Bool, reader: String, now: Timestamp) {
        item = RequestItem(row, showsCode: showsCode, now: now)
        key = row.request.id.text
        code = showsCode ? row.request.code.description : nil
        generation = nil
        let by = row.request.state == .expired ? "" : Self.by(row.request.decidedBy, reader)
        outcome = row.request.state.rawValue + by
        at = row.request.decidedAt
        self.now = now
    }

    init(device row: PairingAdministration.DeviceRow, reader: String, now: Timestamp) {
        item = DeviceItem(row, now: now)
        key = row.device.senderID.text
        code = nil
        generation = row.device.generation.description
        let isActive = row.device.state == .active
        outcome =
            isActive
            ? "not revoked: it was paired again since the list was shown"
                + Self.by(row.device.pairedBy, reader)
            : "revoked" + Self.by(row.device.revokedBy, reader)
        at = isActive ? row.device.pairedAt : row.device.revokedAt
        self.now = now
    }

    private static func by(_ actor: String?, _ reader: String) -> String {
        actor.map { $0 == reader ? ", by you" : ", by \($0)" } ?? ""
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "itemKey": key
        case "itemCode": code
        case "itemGeneration": generation
        case "outcomeWords": outcome
        case "outcomeAt": at.map { TimeItem($0, .moment, now: now) }
        default: item.child(named: name)
        }
    }
}

extension AdminPages {
    func select(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let fields = try visit.isPost ? visit.form : visit.query(maximumCount: Selection.maximumFields)
        guard let fields, let selection = Selection(fields) else { throw PageFault.staleForm }
        if visit.isPost {
            try await carryOut(selection, fields, visit, session)
            return .seeOther(selection.path)
        }
        var page = SelectionPage(
            selection: selection, requiresTypedCode: kernel.settings.requiresTypedCode,
            reader: session.authority.actor.name, now: now())
        if selection.decision == .revoke {
            for (senderID, generation) in selection.devices {
                if let row = try await known({
                    try await kernel.administration.device(senderID, by: session.authority).first
                }) {
                    page.devices.append((row, generation))
                }
            }
        } else {
            for id in selection.requests {
                if let row = try await known({
                    try await kernel.administration.request(id, by: session.authority)
                }) {
                    page.requests.append(row)
                }
            }
        }
        return render(.selection, title: "Selection", page, visit)
    }

    /// Decides each; what one is refused for, the page after this says of it.
    private func carryOut(
        _ selection: Selection, _ fields: FormFields, _ visit: Visit, _ session: AdminSession
    ) async throws {
        let administration = kernel.administration
        let (authority, address) = (session.authority, visit.address)
        switch selection.decision {
        case .approve:
            for id in selection.requests {
                guard let code = fields["code.\(id)"].flatMap(PairingCode.init),
                    kernel.settings.requiresTypedCode || fields["same.\(id)"] == "on"
                else { continue }
                _ = try await decided { () async throws(Refusal) in
                    try await administration.approve(id, code: code, from: address, by: authority)
                }
            }
        case .deny:
            for id in selection.requests {
                let code = fields["code.\(id)"].flatMap(PairingCode.init)
                _ = try await decided { () async throws(Refusal) in
                    try await administration.deny(
                        id, code: code, because: fields["reason"], from: address, by: authority)
                }
            }
        case .revoke:
            for (senderID, generation) in selection.devices {
                _ = try await decided { () async throws(Refusal) in
                    try await administration.revoke(
                        senderID, channel: nil, generation: generation, because: fields["reason"],
                        from: address, by: authority)
                }
            }
        }
    }

    private func decided<Value>(_ body: () async throws(Refusal) -> Value) async throws -> Value? {
        do throws(Refusal) {
            return try await body()
        } catch {
            switch error.code {
            case .notFound, .failedPrecondition: return nil
            default: throw error
            }
        }
    }

    private func known<Value>(_ body: () async throws -> Value?) async throws -> Value? {
        do {
            return try await body()
        } catch let refusal as Refusal where refusal.code == .notFound {
            return nil
        }
    }
}
