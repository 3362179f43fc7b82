import FastCGI

/// What a page answers with.
struct Answer {
    var status: Int
    var headers: [PageFault.Header] = []
    var body: [UInt8] = []

    /// A page.
    static func page(_ html: [UInt8], status: Int = 200, headers: [PageFault.Header] = []) -> Answer {
        Answer(status: status, headers: headers, body: html)
    }

    /// "See other" (RFC 9110 §15.4.4): what every form that was carried out answers.
    static func seeOther(_ path: String) -> Answer {
        Answer(status: 303, headers: [PageFault.Header(name: "Location", value: path)])
    }

    /// The same with one more cookie.
    func settingCookie(_ cookie: String) -> Answer {
        var answer = self
        answer.headers.append(PageFault.Header(name: "Set-Cookie", value: cookie))
        return answer
    }

    /// Nothing but what this site serves runs, is framed, or is sent a form.
    ///
    /// `no-referrer` alone would make browsers post forms with `Origin: null` (Fetch §3.2), so the pages
    /// relax it to `same-origin` for themselves; other sites never learn an address from either.
    static let commonHeaders = [
        PageFault.Header(name: "Content-Type", value: "text/html; charset=utf-8"),
        PageFault.Header(name: "Cache-Control", value: "no-store"),
        PageFault.Header(
            name: "Content-Security-Policy",
            value:
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
                + "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
        // The policy says it already; browsers of before it and scanners look for this one.
        PageFault.Header(name: "X-Frame-Options", value: "DENY"),
        PageFault.Header(name: "X-Content-Type-Options", value: "nosniff"),
        PageFault.Header(name: "Referrer-Policy", value: "no-referrer"),
        PageFault.Header(name: "Cross-Origin-Opener-Policy", value: "same-origin"),
    ]

    /// The answer as it is sent.
    var response: FastCGIResponse {
        FastCGIResponse(
            status: status,
            headers: (Self.commonHeaders.filter { common in !headers.contains { $0.name == common.name } }
                + headers)
                .map { ($0.name, $0.value) },
            body: body)
    }
}
