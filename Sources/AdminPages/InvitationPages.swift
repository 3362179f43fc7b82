import PairingCore
import PairingKernel

/// `/nodes/window` and `/nodes/invitations`.
extension AdminPages {
    func setWindow(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let (change, kind): (Invitations.WindowChange, Notice.Kind)
        switch visit.form?["window"] {
        case "always": (change, kind) = (.always, .windowAlways)
        case "never": (change, kind) = (.never, .windowNever)
        case "ten-minutes": (change, kind) = (.open(.seconds(600)), .windowOpen)
        default: throw PageFault.staleForm
        }
        try await kernel.invitations.setWindow(change, from: visit.address, by: session.authority)
        return seeOther(.nodes, saying: Notice(kind), visit)
    }

    func invitations(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        guard visit.isPost else { return try await invitationsPage(visit, session) }
        if visit.form?["action"] == "withdraw" {
            try await kernel.invitations.withdraw(
                visit.form?["invitation"] ?? "", from: visit.address, by: session.authority)
            return seeOther(.invitations, saying: Notice(.invitationWithdrawn), visit)
        }
        return try await invite(visit, session)
    }

    /// Answers with what was made, which nobody can be shown again. A form that is sent twice is answered the same.
    private func invite(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let form = visit.form
        let typed = form?["senders"] ?? ""
        let words = typed.split { $0.isWhitespace || $0 == "," || $0 == ";" }.map { String($0) }
        let senderIDs = words.compactMap { SenderID($0) }
        guard let seed = form?["seed"].flatMap({ Base64URL.decode($0, count: 32) }),
            let channel = form?["channel"].flatMap(ChannelID.init),
            let days = form?["days"].flatMap({ Int64($0) }), (1...90).contains(days)
        else { throw PageFault.staleForm }
        if let bad = words.first(where: { SenderID($0) == nil }) {
            return try await invitationsPage(
                visit, session, typed: typed,
                problem:
                    "“\(bad)” is no sender ID. One has 1 to 128 letters, digits and . _ : @ -, and begins with a "
                    + "letter or digit.", status: 400)
        }
        let made: [MadeInvitation]
        do throws(Refusal) {
            made = try await kernel.invitations.create(
                for: senderIDs, on: channel, lifetime: .seconds(days * 86_400), seed: seed,
                from: visit.address,
                by: session.authority)
        } catch {
            guard error.code == .invalidRequest else { throw error }
            return try await invitationsPage(
                visit, session, typed: typed, problem: error.message, status: 400)
        }
        guard form?["format"] != "csv" else { return Self.csv(made) }
        return try await invitationsPage(visit, session, made: made)
    }

    private func invitationsPage(
        _ visit: Visit, _ session: AdminSession, typed: String = "", made: [MadeInvitation] = [],
        problem: String? = nil, status: Int = 200
    ) async throws -> Answer {
        let page = InvitationsPage(
            invitations: try await kernel.invitations.list(by: session.authority),
            channels: try kernel.administration.channelsHere(by: session.authority).channels.map(\.id.text),
            seed: Base64URL.encode(try Invitations.makeSeed()), typed: typed, made: made, problem: problem,
            now: now())
        return render(.invitations, title: "Invitations", page, visit, status: status)
    }

    /// A table for other programs (RFC 4180). No value can begin like a spreadsheet's formula: a sender ID begins with a
    /// letter or digit.
    private static func csv(_ made: [MadeInvitation]) -> Answer {
        let lines =
            ["channel,senderId,invitation,link"]
            + made.map { "\($0.channel),\($0.senderID),\($0.secret.text),\($0.link)" }
        return Answer(
            status: 200,
            headers: [
                PageFault.Header(name: "Content-Type", value: "text/csv; charset=utf-8; header=present"),
                PageFault.Header(
                    name: "Content-Disposition", value: "attachment; filename=\"invitations.csv\""),
            ], body: Array((lines.joined(separator: "\r\n") + "\r\n").utf8))
    }
}

/// What `/nodes` says of when devices may ask.
final class WindowItem: PageModel {
    private let window: PairingWindow
    private let now: Timestamp

    init(_ window: PairingWindow, now: Timestamp) {
        self.window = window
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "windowIsOpen": window == .always
        case "windowIsClosed": isClosed
        case "windowEnds":
            if case .until(let time) = window, !isClosed { TimeItem(time, .left, now: now) } else { nil }
        default: nil
        }
    }

    private var isClosed: Bool {
        switch window {
        case .always: false
        case .never: true
        case .until(let time): time <= now
        }
    }
}

/// What `/nodes/invitations` shows.
struct InvitationsPage: PageModel {
    var invitations: [Invitation]
    /// The channels to choose from.
    var channels: [String]
    /// What the form's secrets are made of.
    var seed: String
    /// The sender IDs that were typed, where the form came back.
    var typed = ""
    /// Those that were just made.
    var made: [MadeInvitation] = []
    /// Why the form came back.
    var problem: String?
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "invitations": invitations.map { InvitationItem($0, now: now) }
        case "hasInvitations": !invitations.isEmpty
        case "channelNames": channels.map(TextItem.init)
        case "seed": seed
        case "typedSenders": typed
        case "hasMade": !made.isEmpty
        case "made": made.map { MadeItem($0, drawsCode: made.count <= 20) }
        case "problem": problem
        default: nil
        }
    }
}

/// An invitation in the list.
final class InvitationItem: PageModel {
    private let invitation: Invitation
    private let now: Timestamp

    init(_ invitation: Invitation, now: Timestamp) {
        self.invitation = invitation
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "invitationID": invitation.id
        case "senderID": invitation.senderID.text
        case "channel": invitation.channel.text
        case "madeBy": invitation.createdBy
        case "madeAt": TimeItem(invitation.createdAt, .moment, now: now)
        case "endsAt": invitation.state == .open ? TimeItem(invitation.expiresAt, .left, now: now) : nil
        case "isOpenInvitation": invitation.state == .open
        case "invitationState": invitation.state.rawValue
        default: nil
        }
    }
}

/// An invitation that was just made.
final class MadeItem: PageModel {
    private let made: MadeInvitation
    private let image: QRCode?

    init(_ made: MadeInvitation, drawsCode: Bool) {
        self.made = made
        image = drawsCode ? QRCode(made.link) : nil
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "senderID": made.senderID.text
        case "channel": made.channel.text
        case "invitationSecret": made.secret.text
        case "invitationLink": made.link
        case "qr": image.map(QRItem.init)
        default: nil
        }
    }
}
