import FastCGI
import PairingCore
import PairingKernel

/// `/login` and `/logout`.
extension AdminPages {
    /// How long a browser is remembered as one that signed in before.
    private static let browserLifetime = Duration.seconds(365 * 86_400)

    /// Leads to the sign-in form and from there back to where the visitor wanted to go.
    func signInFirst(_ visit: Visit) -> Answer {
        var target = visit.path
        if !visit.isPost, !visit.request.query.isEmpty { target += "?" + visit.request.query }
        guard let next = ReturnPath(target), visit.route != .home else { return .seeOther(Route.login.path) }
        return .seeOther(Route.login.path + "?next=" + percentEncoded(next.text))
    }

    func signInForm(_ visit: Visit) async throws -> Answer {
        let query = try visit.query()
        let next = ReturnPath(query["next"])
        if visit.session != nil { return .seeOther(next?.text ?? Route.home.path) }
        if query["step"] == "code", try visit.cookie(.waiting) != nil {
            return try codeForm(visit, CodePage(formToken: "", next: next), status: 200)
        }
        if query["step"] == "passkey" { return try await passkeyForm(visit, next: next) }
        return try signInForm(visit, LoginPage(formToken: "", next: next), status: 200)
    }

    func signIn(_ visit: Visit) async throws -> Answer {
        let form = visit.form
        let next = ReturnPath(form?["next"])
        var again = LoginPage(formToken: "", typedName: form?["username"] ?? "", next: next)
        guard let browser = try visit.cookie(.browser), let token = form?["csrf_token"],
            kernel.accounts.isValid(csrfToken: token, expected: kernel.accounts.csrfToken(browser: browser))
        else {
            again.problem = "The form was out of date, or your browser keeps no cookies. Try again."
            return try signInForm(visit, again, status: 403)
        }
        if form?["action"] == "passkey" {
            return try await beginPasskeySignIn(visit, browser: browser, next: next)
        }
        if form?["credential"] != nil {
            return try await signInWithPasskey(visit, browser: browser, next: next)
        }
        if let code = form?["code"] {
            return try await signIn(visit, code: code, browser: browser, next: next)
        }
        guard let username = form?["username"], let password = form?["password"], !username.isEmpty,
            !password.isEmpty
        else {
            again.problem = "Enter your name and your password."
            return try signInForm(visit, again, status: 400)
        }
        let address = try knownAddress(of: visit)
        let signIn: SignIn
        do throws(Refusal) {
            signIn = try await kernel.accounts.signIn(
                username: username, password: password, address: address, browser: browser,
                browserName: visit.browserName)
        } catch {
            guard error.code == .unauthorized || error.code == .resourceExhausted else { throw error }
            again.problem = error.message
            let fault = PageFault(error, changes: false)
            var answer = try signInForm(visit, again, status: fault.status)
            answer.headers += fault.headers
            return answer
        }
        guard !signIn.awaitsCode else {
            let path =
                Route.login.path + "?step=code" + (next.map { "&next=" + percentEncoded($0.text) } ?? "")
            return Answer.seeOther(path)
                .settingCookie(visit.cookieHeader(.waiting, signIn.sessionSecret, for: signIn.lifetime))
        }
        return try await signedIn(visit, signIn, from: address, next: next)
    }

    /// The second half: a one-time code, or a recovery code.
    private func signIn(
        _ visit: Visit, code: String, browser: String, next: ReturnPath?
    ) async throws -> Answer {
        let address = try knownAddress(of: visit)
        do {
            let signIn = try await kernel.accounts.signIn(
                waiting: try waiting(visit), code: code, address: address, browser: browser,
                browserName: visit.browserName)
            return try await signedIn(visit, signIn, from: address, next: next)
                .settingCookie(visit.cookieHeader(.waiting, "", for: .zero))
        } catch let error as Refusal {
            if error.isOf(.signInEnded) {
                return try signInForm(
                    visit, LoginPage(formToken: "", next: next, problem: error.message), status: 403
                )
                .settingCookie(visit.cookieHeader(.waiting, "", for: .zero))
            }
            guard [.unauthorized, .resourceExhausted, .failedPrecondition].contains(error.code) else {
                throw error
            }
            let fault = PageFault(error, changes: false)
            var answer = try codeForm(
                visit, CodePage(formToken: "", next: next, problem: error.message), status: fault.status)
            answer.headers += fault.headers
            return answer
        }
    }

    private func waiting(_ visit: Visit) throws -> String { try visit.cookie(.waiting) ?? "" }

    func knownAddress(of visit: Visit) throws(PageFault) -> ClientAddress {
        guard let address = visit.address else {
            kernel.webServerFaults.noAddress(visit.request.remoteAddress)
            throw .noAddress(visit.request.remoteAddress)
        }
        return address
    }

    func signedIn(
        _ visit: Visit, _ signIn: SignIn, from address: ClientAddress, next: ReturnPath?
    ) async throws -> Answer {
        // Whoever signs in again in the same browser leaves no session behind that nobody can end.
        if let old = try visit.cookie(.session) {
            try? await kernel.accounts.signOut(secret: old, from: address)
        }
        return Answer.seeOther(next?.text ?? Route.home.path)
            .settingCookie(visit.cookieHeader(.session, signIn.sessionSecret, for: signIn.lifetime))
            .settingCookie(visit.cookieHeader(.browser, signIn.browserSecret, for: Self.browserLifetime))
    }

    func signOutForm(_ visit: Visit) throws -> Answer {
        guard visit.session != nil else { return .seeOther(Route.login.path) }
        return render(.logout, title: "Sign out", LogoutPage(), visit)
    }

    func signOut(_ visit: Visit) async throws -> Answer {
        guard let session = visit.session, let secret = try visit.cookie(.session) else {
            return .seeOther(Route.login.path)
        }
        try check(visit.form?["csrf_token"], expected: session.csrfToken)
        try await kernel.accounts.signOut(secret: secret, from: visit.address)
        return seeOther(.login, saying: Notice(.signedOut), visit)
            .settingCookie(visit.cookieHeader(.session, "", for: .zero))
    }

    func signInForm(_ visit: Visit, _ page: LoginPage, status: Int) throws -> Answer {
        try bound(visit) { token in
            var page = page
            page.formToken = token
            return render(.login, title: "Sign in", page, visit, status: status)
        }
    }

    private func codeForm(_ visit: Visit, _ page: CodePage, status: Int) throws -> Answer {
        try bound(visit) { token in
            var page = page
            page.formToken = token
            return render(.code, title: "Sign in", page, visit, status: status)
        }
    }

    /// A form with the token of the browser's cookie, which it makes where there is none.
    func bound(_ visit: Visit, _ form: (_ token: String) -> Answer) throws -> Answer {
        let known = try visit.cookie(.browser).flatMap { Base64URL.decode($0, count: 32) == nil ? nil : $0 }
        let browser = try known ?? kernel.accounts.makeBrowserSecret()
        let answer = form(kernel.accounts.csrfToken(browser: browser))
        guard known == nil else { return answer }
        return answer.settingCookie(visit.cookieHeader(.browser, browser, for: Self.browserLifetime))
    }
}
