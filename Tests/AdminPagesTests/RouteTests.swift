import PairingCore
import Testing

@testable import AdminPages

private let uuid = "6f1c1d1e-0000-4000-8000-00000000abcd"

@Suite("Paths lead to pages")
struct RouteTests {
    @Test(
        "Every page has a path, and the path leads to the page",
        arguments: [
            .home, .login, .logout, .nodes, .channels, .agents, .requests, .export,
            .approve(RequestID(uuid)!), .deny(RequestID(uuid)!),
            .device(SenderID("tablet-reception-01")!), .revoke(SenderID("a:b@c.d_e")!), .selection,
            .browserDevice,
            .audit, .pairingWindow, .invitations, .account, .accounts, .person("maria.keller@example.org"),
            .removal("ops"),
        ] as [Route])
    func roundTrip(route: Route) {
        #expect(Route(path: route.path) == route)
    }

    @Test(
        "Anything else leads nowhere",
        arguments: [
            "", "nodes", "/nodes/", "//nodes", "/Nodes", "/channels/", "/channels/web", "/nodes/requests/",
            "/nodes/export/devices",
            "/nodes/requests/1/approve",
            "/nodes/requests/\(uuid)", "/nodes/requests/\(uuid)/approve/", "/nodes/requests/\(uuid)/erase",
            "/nodes/devices/", "/nodes/devices/-x", "/nodes/devices/a%2Fb", "/nodes/devices/a%00",
            "/nodes/devices/a%",
            "/nodes/devices/a/revoke/b", "/account/", "/accounts/Maria", "/accounts/a/erase",
            "/accounts//remove", "/nodes/devices/../login", "/login?next=/", "/etc/passwd",
        ])
    func unknown(path: String) {
        #expect(Route(path: path) == nil)
    }

    @Test(
        "One slash too many at the end leads to the page without it",
        arguments: [
            ("/nodes/", .nodes), ("/channels/", .channels), ("/nodes/devices/a/", .device(SenderID("a")!)),
            ("//", nil), ("/nodes//", nil), ("//evil.example/", nil), ("/nodes", nil), ("", nil),
        ] as [(String, Route?)])
    func slashed(path: String, route: Route?) {
        #expect(Route(slashedPath: path) == (path == "//" ? .home : route))
    }

    @Test("An encoded sender ID is the same device")
    func encoded() {
        #expect(Route(path: "/nodes/devices/tablet%2D1") == .device(SenderID("tablet-1")!))
    }

    @Test(
        "After signing in one goes to a page of this site",
        arguments: ["/nodes", "/", "/nodes?q=a%20b&devices=x"])
    func returnsTo(text: String) {
        #expect(ReturnPath(text)?.text == text)
    }

    @Test(
        "After signing in one is never sent to another site",
        arguments: [
            "https://evil.example/nodes", "//evil.example", "//evil.example/nodes", "/\\evil.example",
            "\\\\evil.example",
            "nodes", "", "/nodes\r\nX: y", "/nodes\t", " /nodes", "/nodes ", "/nodes\u{0}", "/nodés",
            "/login", "/logout",
            "/login?next=/login", "/nodes/../logout", "javascript:alert(1)",
            "/nodes?q=" + String(repeating: "x", count: 512),
        ])
    func neverLeaves(text: String) {
        #expect(ReturnPath(text) == nil)
    }
}
