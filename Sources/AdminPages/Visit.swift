import FastCGI
import PairingCore
import PairingKernel

/// One request to the pages, with who sent it.
struct Visit {
    let request: FastCGIRequest
    /// The path as it was sent, still percent-encoded.
    let path: String
    let cookies: Cookies
    /// What the names of its cookies say of where it came to.
    let scope: CookieScope
    /// Where it came to; `nil` for an address without a page.
    let route: Route?
    /// The administrator who is signed in.
    var session: AdminSession?
    /// The fields of the form; `nil` unless this is a POST.
    var form: FormFields?

    init(_ request: FastCGIRequest, scope: CookieScope) {
        self.request = request
        self.scope = scope
        cookies = Cookies(header: request.header("Cookie"))
        // The web server's own idea of the path is decoded already, and an encoded slash is a slash there.
        path = String(request.requestURI.prefix { $0 != "?" })
        route = Route(path: path)
    }

    /// The browser's address, as the web server gives it.
    var address: ClientAddress? { ClientAddress(request.remoteAddress) }

    /// Whether the page's script asks, without anybody having done anything: such a request is no use of the session,
    /// and reads no notice that was meant for a person.
    var isByItself: Bool { request.header("X-Nodes-Live") != nil }

    /// What the browser calls itself.
    var browserName: String { request.header("User-Agent") ?? "" }

    var isPost: Bool { request.method == "POST" }

    func cookie(_ name: CookieName) throws(PageFault) -> String? {
        let wireName = name.wireName(in: scope)
        do { return try cookies.value(wireName) } catch { throw .repeatedCookie(wireName) }
    }

    func query(maximumCount: Int = FormFields.maximumCount) throws(PageFault) -> FormFields {
        do { return try FormFields(request.query.utf8, maximumCount: maximumCount) } catch {
            throw PageFault(error)
        }
    }

    /// Reads the form after checking that a page of this site sent it.
    ///
    /// The token that it carries is not checked here: which one is expected depends on the page.
    mutating func readForm(origins: OriginPolicy) throws(PageFault) {
        let origin = request.header("Origin")
        let fetchSite = request.header("Sec-Fetch-Site")
        guard isSentFromThisSite(origin: origin, fetchSite: fetchSite, origins: origins) else {
            throw .crossSite(origin: origin, fetchSite: fetchSite, origins)
        }
        let sent = request.header("Content-Type") ?? ""
        let type = sent.lowercased().filter { $0 != " " }
        guard
            type == "application/x-www-form-urlencoded"
                || type == "application/x-www-form-urlencoded;charset=utf-8"
        else { throw .notAForm(sent) }
        let most =
            switch route {
            case .selection: Selection.maximumFields
            // A field for each agent, and for each command.
            case .device, .approve: 256
            default: FormFields.maximumCount
            }
        do { form = try FormFields(request.body, maximumCount: most) } catch { throw PageFault(error) }
    }

    /// Makes the browser keep a cookie; zero makes it forget it.
    func cookieHeader(_ name: CookieName, _ value: String, for lifetime: Duration) -> String {
        name.header(value: value, maximumAge: lifetime, in: scope)
    }
}
