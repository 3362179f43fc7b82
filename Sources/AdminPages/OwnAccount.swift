import FastCGI
import PairingCore
import PairingKernel

/// `/account`: one's own password, sessions and one-time codes.
extension AdminPages {
    func ownAccount(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        guard visit.isPost else { return try await ownAccountPage(visit, session) }
        do {
            return try await change(visit, session)
        } catch let refusal as Refusal {
            guard
                [.invalidRequest, .unauthorized, .failedPrecondition, .resourceExhausted].contains(
                    refusal.code)
            else { throw refusal }
            let fault = PageFault(refusal, changes: false)
            var answer = try await ownAccountPage(
                visit, session, problem: refusal.message, status: fault.status)
            answer.headers += fault.headers
            return answer
        }
    }

    private func change(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let accounts = kernel.accounts
        let form = visit.form
        switch form?["action"] {
        case "password":
            let password = form?["new_password"] ?? ""
            guard password == form?["repeated_password"] else {
                throw Refusal(.passwordsDiffer)
            }
            try await accounts.changePassword(
                from: form?["password"] ?? "", to: password, at: try seat(of: visit), in: session)
            return seeOther(.account, saying: Notice(.passwordChanged), visit)
        case "end-session":
            try await accounts.endSession(form?["session"] ?? "", from: visit.address, in: session)
            return seeOther(.account, saying: Notice(.sessionEnded), visit)
        case "end-others":
            try await accounts.endOtherSessions(from: visit.address, in: session)
            return seeOther(.account, saying: Notice(.sessionEnded), visit)
        case "offer-codes":
            try await accounts.offerCodes(
                password: form?["password"] ?? "", at: try seat(of: visit), in: session)
            return .seeOther(Route.account.path + "#codes")
        case "start-codes":
            try await accounts.startCodes(with: form?["code"] ?? "", from: visit.address, in: session)
            return seeOther(.account, saying: Notice(.codesOn), visit)
        case "stop-codes":
            try await accounts.stopCodes(
                password: form?["password"] ?? "", at: try seat(of: visit), in: session)
            return seeOther(.account, saying: Notice(.codesOff), visit)
        default:
            guard let answer = try await changePasskeys(visit, session) else { throw PageFault.staleForm }
            return answer
        }
    }

    func seat(of visit: Visit) throws -> Seat {
        guard let address = visit.address else { throw PageFault.noAddress(visit.request.remoteAddress) }
        return Seat(address: address, browser: try visit.cookie(.browser))
    }

    private func ownAccountPage(
        _ visit: Visit, _ session: AdminSession, problem: String? = nil, status: Int = 200
    ) async throws -> Answer {
        let page = OwnAccountPage(
            role: session.role, sessions: try await kernel.accounts.ownSessions(session),
            codes: try await kernel.accounts.ownCodes(session),
            passkeys: try await kernel.accounts.ownPasskeys(session), problem: problem, now: now())
        return render(.account, title: "Your account", page, visit, status: status)
    }
}

/// What `/account` shows.
struct OwnAccountPage: PageModel {
    var role: Role
    var sessions: [OwnSession]
    var codes: OwnCodes
    var passkeys = OwnPasskeys(passkeys: [])
    /// Why a form was not carried out.
    var problem: String?
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "problem": problem
        case "ownRole": role.rawValue
        case "roleMeaning": role.meaning
        case "sessions": sessions.map { OwnSessionItem($0, now: now) }
        case "hasOthers": sessions.count > 1
        case "codesAreOn": codes.since != nil
        case "codesSince": codes.since.map { TimeItem($0, .moment, now: now) }
        case "codesAvailable": codes.isAvailable
        case "offer": codes.offer.map(CodeOfferItem.init)
        case "codesLeft": codes.recoveryCodesLeft
        case "hasRecoveryCodes": !codes.recoveryCodes.isEmpty
        case "hasPasskeys": !passkeys.passkeys.isEmpty
        case "passkeys": passkeys.passkeys.map { PasskeyItem($0, now: now) }
        case "passkeyOffer": passkeys.offer.map(PasskeyOfferItem.init)
        case "recoveryCodes": codes.recoveryCodes.map(TextItem.init)
        default: nil
        }
    }
}

extension Role {
    /// What it may do, for whoever has it or gives it.
    var meaning: String {
        switch self {
        case .administrator: "Everything, accounts and invitations included."
        case .operator: "Sees everything, and approves, denies and revokes devices."
        case .viewer: "Sees requests, devices and the audit, and changes nothing."
        }
    }
}

/// A session in the list of one's own.
final class OwnSessionItem: PageModel {
    private let session: OwnSession
    private let now: Timestamp

    init(_ session: OwnSession, now: Timestamp) {
        self.session = session
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "sessionID": session.id
        case "isThisOne": session.isOwn
        case "sessionBrowser": BrowserName(session.browser).text
        case "sessionAddress": session.address?.description ?? "unknown"
        case "sessionBegan": TimeItem(session.createdAt, .moment, now: now)
        case "sessionUsed": TimeItem(session.lastUsedAt, .ago, now: now)
        default: nil
        }
    }
}

/// A secret for an app, as text and as a QR code.
final class CodeOfferItem: PageModel {
    private let offer: OwnCodes.Offer
    private let image: QRCode?

    init(_ offer: OwnCodes.Offer) {
        self.offer = offer
        image = QRCode(offer.uri)
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "offeredSecret":
            stride(from: 0, to: offer.secret.count, by: 4).map { offer.secret.dropFirst($0).prefix(4) }
                .joined(separator: " ")
        case "offeredURI": offer.uri
        case "qr": image.map(QRItem.init)
        default: nil
        }
    }
}

/// A QR code as the parts of an SVG, with the quiet zone around it.
final class QRItem: PageModel {
    private let code: QRCode

    init(_ code: QRCode) { self.code = code }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "qrBox": "-4 -4 \(code.size + 8) \(code.size + 8)"
        case "qrSide": code.size + 8
        case "qrPath": code.path
        default: nil
        }
    }
}

/// A line of a list.
final class TextItem: PageModel {
    private let text: String

    init(_ text: String) { self.text = text }

    func child(named name: String) -> (any PageValue)? { name == "line" ? text : nil }
}

/// What a `User-Agent` says to a person. It is a claim, and only meant to be recognised.
struct BrowserName {
    /// Such as `Firefox on Linux`.
    let text: String

    init(_ userAgent: String) {
        func first(_ names: [(mark: String, name: String)]) -> String? {
            names.first { userAgent.contains($0.mark) }?.name
        }
        // Most claim to be several others as well; the more particular come first.
        let browser = first([
            ("Edg/", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"),
            ("Firefox/", "Firefox"),
            ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"), ("Chromium/", "Chromium"), ("Chrome/", "Chrome"),
            ("Safari/", "Safari"), ("curl/", "curl"),
        ])
        let system = first([
            ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
            ("CrOS", "ChromeOS"), ("Macintosh", "macOS"), ("Linux", "Linux"),
        ])
        switch (browser, system) {
        case (let browser?, let system?): text = "\(browser) on \(system)"
        case (let one?, nil), (nil, let one?): text = one
        case (nil, nil): text = userAgent.isEmpty ? "An unnamed program" : String(userAgent.prefix(60))
        }
    }
}
