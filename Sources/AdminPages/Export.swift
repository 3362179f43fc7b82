import PairingCore
import PairingKernel
import Synchronization

/// What is exported.
enum ExportSubject: String, CaseIterable {
    case devices, requests, events

    var columns: [String] {
        switch self {
        case .devices:
            [
                "senderId", "channel", "label", "claimedName", "pairedAt", "pairedBy", "expiresAt", "agents",
                "connected", "lastSeenAt", "lastAddress", "fingerprint", "generation", "note", "metadata",
            ]
        case .requests:
            [
                "requestId", "senderId", "channel", "claimedName", "state", "address", "createdAt",
                "expiresAt",
                "decidedAt", "decidedBy", "reason", "fingerprint",
            ]
        case .events:
            [
                "position", "at", "event", "channel", "senderId", "actorKind", "actor", "requestId",
                "generation", "address", "details",
            ]
        }
    }
}

/// The rows of an export, page by page.
struct ExportRows: Sendable {
    /// The rows of one page.
    static let pageLimit = 200

    var subject: ExportSubject
    var filter: DeviceFilter
    /// Only events of this device.
    var senderID: SenderID?
    let administration: PairingAdministration
    let feed: EventFeed
    let authority: Authority
    private var after: String?
    private var position: Int64 = 0
    /// The requests that wait come before those that have ended.
    private var isAtEnded = false

    init(
        _ subject: ExportSubject, _ filter: DeviceFilter, of senderID: SenderID?, _ kernel: Kernel,
        _ authority: Authority
    ) {
        self.subject = subject
        self.filter = filter
        self.senderID = senderID
        administration = kernel.administration
        feed = kernel.feed
        self.authority = authority
    }

    /// The next rows; `nil` after the last.
    mutating func next() async throws -> [ExportFormat.Row]? {
        switch subject {
        case .devices: try await devices()
        case .requests: try await requests()
        case .events: try await events()
        }
    }

    private var isOver: Bool { after == Self.end }
    private static let end = "end"

    private mutating func devices() async throws -> [ExportFormat.Row]? {
        if isOver { return nil }
        let page = try await administration.pairedDevices(
            filter, after: after, limit: Self.pageLimit, by: authority)
        after = page.next ?? Self.end
        return page.rows.map { row in
            let device = row.device
            return named([
                .string(device.senderID.text), .string(device.channel.text), .text(device.label),
                .string(device.profile.displayName), .time(device.pairedAt), .string(device.pairedBy),
                .time(device.expiresAt), .string(device.agents.joined(separator: " ")),
                .bool(row.isConnected),
                .time(row.lastSeenAt), .text(row.lastAddress?.description), .text(row.fingerprint),
                .integer(device.generation.number), .text(device.note),
                (try? JSONValue(parsing: device.profile.metadata.utf8)) ?? .null,
            ])
        }
    }

    private mutating func requests() async throws -> [ExportFormat.Row]? {
        if isOver { return nil }
        if !isAtEnded {
            let page = try await administration.pendingRequests(
                filter: filter.text, after: after, limit: Self.pageLimit, by: authority)
            after = page.next
            isAtEnded = page.next == nil
            return page.rows.map { request($0.request, $0.fingerprint) }
        }
        let page = try await administration.endedRequests(
            state: nil, senderID: SenderID(filter.text), after: after, limit: Self.pageLimit, by: authority)
        after = page.next ?? Self.end
        return page.rows.map { request($0.request, $0.fingerprint) }
    }

    private func request(_ request: PairingRequest, _ fingerprint: String?) -> ExportFormat.Row {
        named([
            .string(request.id.text), .string(request.senderID.text), .string(request.channel.text),
            .string(request.profile.displayName), .string(request.state.rawValue),
            .text(request.address?.description), .time(request.createdAt), .time(request.expiresAt),
            .time(request.decidedAt), .text(request.decidedBy), .text(request.reason), .text(fingerprint),
        ])
    }

    private mutating func events() async throws -> [ExportFormat.Row]? {
        let events = try await feed.exported(
            after: position, of: senderID, limit: Self.pageLimit, by: authority)
        guard let last = events.last else { return nil }
        position = last.position
        return events.map { event in
            named([
                .integer(event.position), .time(event.at), .string(event.event), .text(event.channel),
                .text(event.senderID), .string(event.actorKind), .string(event.actor), .text(event.requestID),
                event.generation.map(JSONValue.integer) ?? .null, .text(event.address),
                (try? JSONValue(parsing: event.details.utf8)) ?? .null,
            ])
        }
    }

    private func named(_ values: [JSONValue]) -> ExportFormat.Row {
        zip(subject.columns, values).map { (name: $0, value: $1) }
    }
}

extension JSONValue {
    fileprivate static func text(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }

    fileprivate static func time(_ time: Timestamp?) -> JSONValue {
        time.map { .string(PageTime($0).machine) } ?? .null
    }
}

/// `/nodes/export`.
extension AdminPages {
    func export(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let fields = try visit.query()
        guard let subject = fields["what"].flatMap(ExportSubject.init),
            let format = fields["format"].flatMap(ExportFormat.init)
        else { throw PageFault.unknownExport }
        let secret = try visit.cookie(.session) ?? ""
        guard let place = exportRoom.enter() else { throw PageFault.exportsBusy }
        let query = NodesQuery(fields)
        let rows = ExportRows(
            subject, query.filter, of: subject == .events ? fields["device"].flatMap(SenderID.init) : nil,
            kernel, session.authority)
        let file = ExportFile(rows, format, holding: place) { [kernel] () async throws -> Void in
            // Who is signed out is given no more.
            guard try await kernel.accounts.session(secret: secret, renews: false) != nil else {
                throw PageFault.staleForm
            }
        }
        // What is wrong with the question is said on a page.
        let first = try await file.next() ?? []
        let day = PageTime(now()).machine.prefix(10)
        var answer = Answer(status: 200, body: first)
        answer.contentType = format.contentType
        answer.headers = [
            PageFault.Header(
                name: "Content-Disposition",
                value: "attachment; filename=\"\(subject.rawValue)-\(day).\(format.rawValue)\"")
        ]
        answer.parts = { try await file.next() }
        return answer
    }
}

/// An export while it is written; asked for one part after the other.
private final class ExportFile: Sendable {
    private struct State {
        var rows: ExportRows
        var isBegun = false
        var hasRows = false
        var isOver = false
    }

    private let state: Mutex<State>
    private let format: ExportFormat
    private let check: @Sendable () async throws -> Void
    private let place: ExportRoom.Place

    init(
        _ rows: ExportRows, _ format: ExportFormat, holding place: ExportRoom.Place,
        check: @escaping @Sendable () async throws -> Void
    ) {
        state = Mutex(State(rows: rows))
        self.format = format
        self.place = place
        self.check = check
    }

    func next() async throws -> [UInt8]? {
        var state = self.state.withLock { $0 }
        if state.isOver { return nil }
        var text = state.isBegun ? "" : format.beginning(state.rows.subject.columns)
        let began = ContinuousClock.now
        if state.isBegun { try await check() }
        if let rows = try await state.rows.next() {
            for row in rows {
                text += format.row(row, isFirst: !state.hasRows)
                state.hasRows = true
            }
        } else {
            text += format.end
            state.isOver = true
        }
        // It rests as long as it worked, so that one export takes half of a connection at most.
        if state.isBegun, !state.isOver { try await Task.sleep(for: ContinuousClock.now - began) }
        state.isBegun = true
        self.state.withLock { [state] in $0 = state }
        return Array(text.utf8)
    }
}
