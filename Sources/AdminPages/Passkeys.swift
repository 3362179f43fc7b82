import FastCGI
import PairingCore
import PairingKernel

/// Passkeys, on the page of one's own account and at the sign-in form.
extension AdminPages {
    /// Carries out a form about one's passkeys.
    ///
    /// - Returns: `nil` for a form about something else.
    func changePasskeys(_ visit: Visit, _ session: AdminSession) async throws -> Answer? {
        let accounts = kernel.accounts
        let form = visit.form
        switch form?["action"] {
        case "offer-passkey":
            try await accounts.offerPasskey(
                named: form?["name"] ?? "", password: form?["password"] ?? "", at: try seat(of: visit),
                in: session)
            return .seeOther(Route.account.path + "#passkeys")
        case "add-passkey":
            try await accounts.addPasskey(
                PasskeyRegistration(
                    clientData: form?["client_data"] ?? "", attestation: form?["attestation"] ?? ""),
                from: visit.address, in: session)
            return seeOther(.account, saying: Notice(.passkeyAdded), visit)
        case "rename-passkey":
            try await accounts.renamePasskey(
                form?["passkey"] ?? "", to: form?["name"] ?? "", from: visit.address, in: session)
            return .seeOther(Route.account.path + "#passkeys")
        case "remove-passkey":
            try await accounts.removePasskey(form?["passkey"] ?? "", from: visit.address, in: session)
            return seeOther(.account, saying: Notice(.passkeyRemoved), visit)
        default: return nil
        }
    }

    /// Begins a sign-in with a passkey, which the page that this leads to goes on with.
    func beginPasskeySignIn(_ visit: Visit, browser: String, next: ReturnPath?) async throws -> Answer {
        let isSecondProof = visit.form?["step"] == "code"
        do {
            try await kernel.accounts.beginPasskeySignIn(
                browser: browser, waiting: isSecondProof ? try visit.cookie(.waiting) ?? "" : nil,
                from: try knownAddress(of: visit))
        } catch let refusal as Refusal where [.unauthorized, .failedPrecondition].contains(refusal.code) {
            return try signInForm(
                visit, LoginPage(formToken: "", next: next, problem: refusal.message), status: 403)
        }
        return .seeOther(
            Route.login.path + "?step=passkey" + (next.map { "&next=" + percentEncoded($0.text) } ?? ""))
    }

    /// The page on which an authenticator is used; where nothing was begun, the sign-in form.
    func passkeyForm(_ visit: Visit, next: ReturnPath?) async throws -> Answer {
        guard let browser = try visit.cookie(.browser),
            let challenge = try await kernel.accounts.passkeyChallenge(browser: browser)
        else { return try signInForm(visit, LoginPage(formToken: "", next: next), status: 200) }
        return try bound(visit) { token in
            render(
                .passkey, title: "Sign in",
                PasskeyPage(formToken: token, next: next, challenge: challenge), visit)
        }
    }

    /// Signs in with what an authenticator signed.
    func signInWithPasskey(_ visit: Visit, browser: String, next: ReturnPath?) async throws -> Answer {
        let form = visit.form
        let address = try knownAddress(of: visit)
        do {
            let signIn = try await kernel.accounts.signIn(
                passkey: PasskeyAssertion(
                    credentialID: form?["credential"] ?? "", clientData: form?["client_data"] ?? "",
                    authenticatorData: form?["authenticator_data"] ?? "",
                    signature: form?["signature"] ?? "", userHandle: form?["user_handle"] ?? ""),
                waiting: try visit.cookie(.waiting), address: address, browser: browser,
                browserName: visit.browserName)
            return try await signedIn(visit, signIn, from: address, next: next)
                .settingCookie(visit.cookieHeader(.waiting, "", for: .zero))
        } catch let refusal as Refusal where refusal.code == .unauthorized {
            return try signInForm(
                visit, LoginPage(formToken: "", next: next, problem: refusal.message), status: 401)
        }
    }
}

/// `/login` while an authenticator is used.
struct PasskeyPage: PageModel {
    /// What the form sends back; bound to the browser's cookie.
    var formToken: String
    /// Where to go afterwards.
    var next: ReturnPath?
    /// What is to be signed, in base64url.
    var challenge: String

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "formToken": formToken
        case "nextPath": next?.text
        case "challenge": challenge
        default: nil
        }
    }
}

/// A passkey in the list of one's own.
final class PasskeyItem: PageModel {
    private let passkey: OwnPasskey
    private let now: Timestamp

    init(_ passkey: OwnPasskey, now: Timestamp) {
        self.passkey = passkey
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "passkeyID": passkey.id
        case "passkeyName": passkey.name
        case "passkeyHost": passkey.host
        case "passkeyAddedAt": TimeItem(passkey.createdAt, .moment, now: now)
        case "passkeyUsedAt": passkey.lastUsedAt.map { TimeItem($0, .ago, now: now) }
        default: nil
        }
    }
}

/// A passkey that an authenticator is to make.
final class PasskeyOfferItem: PageModel {
    private let offer: OwnPasskeys.Offer

    init(_ offer: OwnPasskeys.Offer) { self.offer = offer }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "challenge": offer.challenge
        case "userHandle": offer.userHandle
        case "offeredName": offer.name
        case "knownPasskeys": offer.known.joined(separator: " ")
        default: nil
        }
    }
}
