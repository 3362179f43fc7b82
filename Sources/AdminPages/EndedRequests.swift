import PairingCore
import PairingKernel

/// What `/nodes/requests` was asked for.
struct EndedRequestsQuery: Equatable {
    /// How they ended; `nil` for all.
    var state: RequestState?
    /// What was typed for a sender ID.
    var typed = ""
    var after: String?

    init() {}

    init(_ fields: FormFields) {
        state = fields["state"].flatMap(RequestState.init).flatMap { $0 == .pending ? nil : $0 }
        typed = cleanDeviceText(fields["q"] ?? "", maximumScalars: 128)
        after = fields["after"]
    }

    func path(after: String? = nil) -> String {
        let fields = [("q", typed), ("state", state?.rawValue ?? ""), ("after", after ?? "")]
            .filter { !$0.1.isEmpty }.map { "\($0)=\(percentEncoded($1))" }
        return fields.isEmpty
            ? Route.requests.path : Route.requests.path + "?" + fields.joined(separator: "&")
    }
}

/// `/nodes/requests`: the requests that were decided or expired.
struct EndedRequestsPage: PageModel {
    var query: EndedRequestsQuery
    /// `nil` where nothing can match.
    var rows: PairingAdministration.Page<PairingAdministration.EndedRow>?
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "filter": query.typed
        case "stateOptions":
            [RequestState.denied, .expired, .approved].map {
                OptionItem($0.rawValue, $0.rawValue, isChosen: $0 == query.state)
            }
        case "exportForm":
            ExportForm(subject: .requests, fields: query.typed.isEmpty ? [] : [("q", query.typed)])
        case "isFiltered": !query.typed.isEmpty || query.state != nil
        case "endedRequests": (rows?.rows ?? []).map { EndedItem($0, now: now) }
        case "hasRequests": rows.map { !$0.rows.isEmpty } ?? false
        case "refreshPath": query.path(after: query.after)
        case "hasPages": query.after != nil || rows?.next != nil
        case "firstPath": query.after.map { _ in query.path() }
        case "nextPath": rows?.next.map { query.path(after: $0) }
        default: nil
        }
    }
}

/// A request that was decided or expired.
final class EndedItem: PageModel {
    private let row: PairingAdministration.EndedRow
    private let now: Timestamp

    init(_ row: PairingAdministration.EndedRow, now: Timestamp) {
        self.row = row
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        let request = row.request
        return switch name {
        case "senderID": request.senderID.text
        case "channel": request.channel.text
        case "claimedName": request.profile.displayName.isEmpty ? nil : request.profile.displayName
        case "endedState": request.state.rawValue
        case "isDenied": request.state == .denied
        case "isApproved": request.state == .approved
        case "endedAskedAt": TimeItem(request.createdAt, .moment, now: now)
        case "endedAt": request.decidedAt.map { TimeItem($0, .moment, now: now) }
        case "endedBy": request.state == .expired ? nil : request.decidedBy
        case "endedReason": request.reason
        case "endedAddress": request.address?.description ?? "unknown"
        case "waitsUntil": row.waitsUntil.flatMap { $0 > now ? TimeItem($0, .left, now: now) : nil }
        case "devicePath": Route.device(request.senderID).path
        default: nil
        }
    }
}

extension AdminPages {
    func endedRequests(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        if visit.isPost {
            guard let senderID = visit.form?["sender_id"].flatMap(SenderID.init) else {
                throw PageFault.staleForm
            }
            do throws(Refusal) {
                try await kernel.administration.clearCooldown(
                    senderID, from: visit.address, by: session.authority)
            } catch {
                // Sent again, or somebody else was faster: nobody waits, which is what was wanted.
                guard error.isOf(.notWaiting) else { throw error }
            }
            return seeOther(.requests, saying: Notice(.waitLifted, senderID), visit)
        }
        let query = EndedRequestsQuery(try visit.query())
        let senderID = SenderID(query.typed)
        // What is no sender ID is nobody's.
        let rows =
            if !query.typed.isEmpty, senderID == nil {
                PairingAdministration.Page<PairingAdministration.EndedRow>?.none
            } else {
                try await kernel.administration.endedRequests(
                    state: query.state, senderID: senderID, after: query.after, limit: 2 * NodesPage.rowLimit,
                    by: session.authority)
            }
        return render(
            .requests, title: "Ended requests", EndedRequestsPage(query: query, rows: rows, now: now()), visit
        )
    }
}
