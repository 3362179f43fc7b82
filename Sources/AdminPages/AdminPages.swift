import FastCGI
import PairingCore
import PairingKernel

/// The administrators' pages: what nginx asks for by FastCGI and is not a file.
///
/// A GET never changes anything; a POST that was carried out answers 303 to a page that says what happened.
public struct AdminPages: Sendable {
    let kernel: Kernel
    let now: WallClock
    private let templates: PageTemplates
    private let assetVersion: String
    let processName: String
    let processReports = ProcessReports()
    let exportRoom = ExportRoom()

    /// Makes the pages.
    ///
    /// - Parameters:
    ///   - assetVersion: changes whenever a file in `templates/static` does; part of those files' addresses.
    ///   - processName: what operators call this process.
    ///   - now: for ages and remaining times; what is decided, the database's clock decides.
    public init(
        kernel: Kernel, templates: PageTemplates, assetVersion: String, processName: String,
        now: @escaping WallClock
    ) {
        self.kernel = kernel
        self.templates = templates
        self.assetVersion = assetVersion
        self.processName = processName
        self.now = now
    }

    /// Answers a request; every answer is a page or leads to one.
    public func respond(to request: FastCGIRequest) async -> FastCGIResponse {
        let origins = kernel.settings.origins
        let host = request.header("Host") ?? ""
        var visit = Visit(request, scope: CookieScope(host: host, origins: origins))
        let answer: Answer
        do {
            guard !origins.dialled(host: host).isEmpty else { throw PageFault.wrongHost(host, origins) }
            answer = try await self.answer(&visit)
        } catch let fault as PageFault {
            await note(fault, of: visit)
            answer = page(fault, visit)
        } catch let refusal as Refusal {
            await kernel.accounts.note(
                refusal, of: visit.path, from: visit.address, by: visit.session?.authority)
            // To sign in or out decides nothing.
            let decides = visit.isPost && visit.route != .login && visit.route != .logout
            answer = page(PageFault(refusal, changes: decides), visit)
        } catch {
            answer = page(PageFault(.internal, changes: visit.isPost), visit)
        }
        return answer.response
    }

    private func answer(_ visit: inout Visit) async throws -> Answer {
        // Public and the same for everybody: to look at it costs no database, and reads no session.
        if visit.route == .browserDevice, Route.browserDevice.methods.contains(visit.request.method) {
            return try browserDevice(visit)
        }
        if let secret = try visit.cookie(.session) {
            if visit.route == .nodes, Route.nodes.methods.contains(visit.request.method),
                kernel.settings.edition == .standard
            {
                return try await nodes(&visit, secret: secret)
            }
            visit.session = try await kernel.accounts.session(secret: secret, renews: !visit.isByItself)
        }
        guard let route = visit.route else {
            guard ["GET", "HEAD"].contains(visit.request.method),
                let meant = Route(slashedPath: visit.path)
            else { throw PageFault.unknownPage(visit.path) }
            return .seeOther(meant.path + (visit.request.query.isEmpty ? "" : "?" + visit.request.query))
        }
        guard route.methods.contains(visit.request.method) else {
            throw PageFault.wrongMethod(visit.request.method, allowed: route.methods)
        }
        if visit.isPost { try visit.readForm(origins: kernel.settings.origins) }
        switch route {
        case .login: return try await visit.isPost ? signIn(visit) : signInForm(visit)
        case .logout: return try await visit.isPost ? signOut(visit) : signOutForm(visit)
        default: break
        }
        guard let session = visit.session else {
            if visit.isPost {
                await kernel.accounts.note(.noSession, of: visit.path, from: visit.address, by: nil)
            }
            return signInFirst(visit)
        }
        if route.needsChannels, kernel.settings.edition == .lite { throw PageFault.noChannels }
        if visit.isPost { try check(visit.form?["csrf_token"], expected: session.csrfToken) }
        switch route {
        case .home: return home(visit)
        // With a session it was answered above.
        case .nodes: return signInFirst(visit)
        case .channels: return try await channels(visit, session)
        case .agents: return try await agents(visit, session)
        case .requests: return try await endedRequests(visit, session)
        case .export: return try await export(visit, session)
        case .approve(let id): return try await decide(.approve, id, visit, session)
        case .deny(let id): return try await decide(.deny, id, visit, session)
        case .device(let senderID): return try await device(senderID, visit, session)
        case .revoke(let senderID): return try await revoke(senderID, visit, session)
        case .selection:
            try session.authority.require(.decide)
            return try await select(visit, session)
        case .pairingWindow: return try await setWindow(visit, session)
        case .invitations: return try await invitations(visit, session)
        case .audit: return try await audit(visit, session)
        case .webhooks: return try await webhooks(visit, session)
        case .webhook(let id): return try await webhook(id, visit, session)
        case .webhookRemoval(let id): return try await webhookRemoval(id, visit, session)
        case .account: return try await ownAccount(visit, session)
        case .accounts: return try await accounts(visit, session)
        case .person(let name): return try await person(name, visit, session)
        case .removal(let name): return try await removal(name, visit, session)
        case .login, .logout, .browserDevice: return home(visit)
        }
    }

    /// Whether the form carries the token it was given.
    func check(_ token: String?, expected: String) throws(PageFault) {
        guard let token, kernel.accounts.isValid(csrfToken: token, expected: expected) else {
            throw .staleForm
        }
    }

    /// Records a form that may not have been what its sender meant.
    private func note(_ fault: PageFault, of visit: Visit) async {
        guard let authority = visit.session?.authority, let trespass = fault.trespass else { return }
        await kernel.accounts.note(trespass, of: visit.path, from: visit.address, by: authority)
    }

    private func home(_ visit: Visit) -> Answer {
        guard kernel.settings.edition == .lite else { return .seeOther(Route.nodes.path) }
        return render(
            .message, title: "GoClaw",
            MessagePage(
                status: 200, heading: "This is the lite edition",
                advice: "It has no channels, so there are no devices to pair.", wayOut: nil),
            visit)
    }

    private func page(_ fault: PageFault, _ visit: Visit) -> Answer {
        let wayOut: Route =
            if fault.status == 503 {
                visit.route ?? .home
            } else if visit.session == nil {
                .login
            } else {
                kernel.settings.edition == .lite ? .home : .nodes
            }
        var answer = render(
            .message, title: fault.title,
            MessagePage(status: fault.status, heading: fault.title, advice: fault.advice, wayOut: wayOut),
            visit, status: fault.status)
        answer.headers += fault.headers
        return answer
    }

    /// Renders a page in its frame. A page that is shown for a GET also shows the notice of the form
    /// before it, and makes the browser forget that.
    func render(
        _ page: PageTemplates.Page, title: String, _ content: some PageModel, _ visit: Visit,
        status: Int = 200, pending: Int? = nil, feedPosition: Int64? = nil
    ) -> Answer {
        var frame = PageFrame(title: title, assetVersion: assetVersion, serverTime: PageTime(now()))
        if let session = visit.session {
            frame.username = session.username
            frame.csrfToken = session.csrfToken
            frame.role = session.role
            frame.sidebar = SidebarGroup.all(
                hasChannels: kernel.settings.edition == .standard, at: visit.route, pending: pending,
                role: session.role)
        }
        frame.feedPosition = feedPosition
        let notice =
            status == 200 && !visit.isPost && !visit.isByItself ? (try? visit.cookie(.notice)) ?? nil : nil
        frame.notice = notice.flatMap(Notice.init(cookie:))
        let answer = Answer.page(
            templates.render(page, PageView(frame: frame, content: content)), status: status)
        return notice == nil ? answer : answer.settingCookie(visit.cookieHeader(.notice, "", for: .zero))
    }

    /// Leads to a page that says what happened.
    func seeOther(_ route: Route, saying notice: Notice, _ visit: Visit) -> Answer {
        .seeOther(route.path).settingCookie(visit.cookieHeader(.notice, notice.cookie, for: .seconds(60)))
    }
}
