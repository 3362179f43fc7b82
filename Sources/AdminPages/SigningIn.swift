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

    func signInForm(_ visit: Visit) throws -> Answer {
        let next = ReturnPath(try visit.query()["next"])
        if visit.session != nil { return .seeOther(next?.text ?? Route.home.path) }
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
        guard let username = form?["username"], let password = form?["password"], !username.isEmpty,
            !password.isEmpty
        else {
            again.problem = "Enter your name and your password."
            return try signInForm(visit, again, status: 400)
        }
        guard let address = visit.address else {
            kernel.webServerFaults.noAddress(visit.request.remoteAddress)
            throw PageFault.noAddress(visit.request.remoteAddress)
        }
        let signIn: SignIn
        do throws(Refusal) {
            signIn = try await kernel.accounts.signIn(
                username: username, password: password, address: address, browser: browser)
        } catch {
            guard error.code == .unauthorized || error.code == .resourceExhausted else { throw error }
            again.problem = error.message
            let fault = PageFault(error, changes: false)
            var answer = try signInForm(visit, again, status: fault.status)
            answer.headers += fault.headers
            return answer
        }
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

    /// The form, bound to the browser's cookie, which it makes where there is none.
    private func signInForm(_ visit: Visit, _ page: LoginPage, status: Int) throws -> Answer {
        var page = page
        let known = try visit.cookie(.browser).flatMap { Base64URL.decode($0, count: 32) == nil ? nil : $0 }
        let browser = try known ?? kernel.accounts.makeBrowserSecret()
        page.formToken = kernel.accounts.csrfToken(browser: browser)
        let answer = render(.login, title: "Sign in", page, visit, status: status)
        guard known == nil else { return answer }
        return answer.settingCookie(visit.cookieHeader(.browser, browser, for: Self.browserLifetime))
    }
}
