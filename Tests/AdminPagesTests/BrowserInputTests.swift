// Constants of the tests.
// swift-format-ignore-file: NeverForceUnwrap

import PairingCore
import Testing

@testable import AdminPages

@Suite("What a browser says of itself is checked")
struct BrowserInputTests {
    @Test("A cookie is found among others")
    func finds() throws {
        let cookies = Cookies(header: "a=1; nodes_session=s3cret=;b=2;  c=\"x\"; broken")
        #expect(try cookies.value("nodes_session") == "s3cret=")
        #expect(try cookies.value("b") == "2")
        #expect(try cookies.value("broken") == nil)
        #expect(try Cookies(header: nil).value("a") == nil)
        #expect(try Cookies(header: "a=").value("a") == nil)
    }

    @Test("A cookie of ours that arrives twice is refused; others' don't matter")
    func repeatedCookie() throws {
        let cookies = Cookies(header: "nodes_session=a; x=1; x=2; nodes_session=a")
        #expect(throws: RepeatedCookie.self) { try cookies.value("nodes_session") }
        #expect(try Cookies(header: "x=1; x=2; nodes_session=a").value("nodes_session") == "a")
    }

    @Test("A cookie is bound to the host and to TLS where there is TLS")
    func cookieHeader() {
        #expect(
            CookieName.session.header(value: "v", maximumAge: .seconds(60), in: CookieScope(isSecure: true))
                == "__Host-nodes_session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure")
        #expect(
            CookieName.notice.header(value: "", maximumAge: .zero, in: CookieScope(isSecure: false))
                == "nodes_notice=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
    }

    @Test("Installations on other ports of one host have cookies of other names")
    func portsOfOneHost() throws {
        let origins = OriginPolicy([
            try #require(Origin("http://localhost:8080")), try #require(Origin("https://localhost:8443")),
            try #require(Origin("http://[::1]:8081")), try #require(Origin("https://nodes.example.org")),
        ])
        let names = [
            "localhost:8080", "localhost:8443", "[::1]:8081", "nodes.example.org", "nodes.example.org:443",
        ]
        .map { CookieName.session.wireName(in: CookieScope(host: $0, origins: origins)) }
        #expect(
            names == [
                "nodes_session_8080", "__Host-nodes_session_8443", "nodes_session_8081",
                "__Host-nodes_session",
                "__Host-nodes_session",
            ])
    }

    private static let origins = OriginPolicy([Origin("https://nodes.example.org")!])

    @Test(
        "A form of this site is accepted",
        arguments: [
            ("https://nodes.example.org", "same-origin"), ("https://nodes.example.org", nil),
            (nil, "same-origin"),
            (nil, "none"), (nil, nil),
        ] as [(String?, String?)])
    func ownForm(origin: String?, fetchSite: String?) {
        #expect(isSentFromThisSite(origin: origin, fetchSite: fetchSite, origins: Self.origins))
    }

    @Test(
        "A form of another site is refused",
        arguments: [
            ("null", "same-origin"), ("null", nil), ("https://evil.example", nil),
            ("http://nodes.example.org", nil),
            ("https://nodes.example.org.evil.example", nil), (nil, "cross-site"), (nil, "same-site"),
            ("https://nodes.example.org", "cross-site"), (nil, ""), ("", nil),
        ] as [(String?, String?)])
    func foreignForm(origin: String?, fetchSite: String?) {
        #expect(!isSentFromThisSite(origin: origin, fetchSite: fetchSite, origins: Self.origins))
    }

    @Test(
        "A notice survives its cookie",
        arguments: [
            Notice(.approved, SenderID("a:b@c.d_e-1")), Notice(.denied, SenderID("x")), Notice(.signedOut),
        ])
    func notice(notice: Notice) {
        #expect(Notice(cookie: notice.cookie) == notice)
    }

    @Test(
        "A notice that we never wrote says nothing",
        arguments: [
            "", "approved", "approved/", "approved/<b>", "signed-out/x", "erased/x", "approved/a/b",
            "You won!",
        ])
    func forgedNotice(cookie: String) {
        #expect(Notice(cookie: cookie) == nil)
    }
}
