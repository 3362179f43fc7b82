import NIOHTTP1
import PairingCore
import Testing

@testable import DeviceGateway

@Suite("Upgrades")
struct UpgradePolicyTests {
    static let policy = UpgradePolicy(
        path: "/ws", origins: OriginPolicy([Origin("https://nodes.example.org")].compactMap { $0 }),
        subprotocol: "goclaw.nodes.v1")

    static let fields: [(String, String)] = [
        ("Host", "nodes.example.org"), ("Upgrade", "websocket"), ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("X-Real-IP", "203.0.113.7"),
    ]

    /// A good request with some fields replaced, added or, where `nil`, removed.
    static func decide(
        _ changes: [(String, String?)] = [], uri: String = "/ws", method: HTTPMethod = .GET,
        version: HTTPVersion = .http1_1
    ) -> UpgradePolicy.Decision {
        var headers = HTTPHeaders(fields)
        for (name, _) in changes { headers.remove(name: name) }
        for (name, value) in changes { if let value { headers.add(name: name, value: value) } }
        return policy.decide(HTTPRequestHead(version: version, method: method, uri: uri, headers: headers))
    }

    static func status(_ decision: UpgradePolicy.Decision) -> UInt? {
        if case .refuse(let answer) = decision { answer.status.code } else { nil }
    }

    @Test("A good handshake is granted with the client's address and what it dialled")
    func granted() throws {
        let expected = UpgradeRequest(
            address: try #require(ClientAddress("203.0.113.7")),
            origins: [try #require(Origin("https://nodes.example.org"))], usesSubprotocol: false)
        #expect(Self.decide() == .upgrade(expected))
        #expect(Self.decide(uri: "/ws?x=1") == .upgrade(expected))
        #expect(Self.decide([("Host", "NODES.example.org:443")]) == .upgrade(expected))
        #expect(Self.decide([("Origin", "https://nodes.example.org")]) == .upgrade(expected))
    }

    @Test("An upgrade of OpenClaw's paths speaks its dialect; a page there stays a page")
    func openClaw() {
        var policy = Self.policy
        let request = { (fields: [(String, String)], uri: String) in
            HTTPRequestHead(version: .http1_1, method: .GET, uri: uri, headers: HTTPHeaders(fields))
        }
        #expect(policy.decide(request(Self.fields, "/gateway")) == .page("/gateway"))
        policy.openClawPaths = ["/", "/gateway"]
        for uri in ["/", "/?token=secret", "/gateway"] {
            guard case .upgrade(let upgrade) = policy.decide(request(Self.fields, uri)) else {
                Issue.record("\(uri) is refused")
                continue
            }
            #expect(upgrade.dialect == .openclaw && !upgrade.usesSubprotocol)
        }
        let page = Self.fields.filter { $0.0 != "Upgrade" && $0.0 != "Connection" }
        #expect(policy.decide(request(page, "/")) == .page("/"))
        guard case .upgrade(let own) = policy.decide(request(Self.fields, "/ws")) else {
            Issue.record("/ws is refused")
            return
        }
        #expect(own.dialect == .nodes)
        policy.path = nil
        #expect(policy.decide(request(Self.fields, "/ws")) == .page("/ws"))
    }

    @Test("Who dials a dialect that is left out is told so; a page there stays a page")
    func leftOut() {
        var policy = Self.policy
        policy.unservedPaths = ["/gateway"]
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: "/gateway?token=x", headers: HTTPHeaders(Self.fields))
        guard case .refuse(let answer) = policy.decide(head) else {
            Issue.record("it is not refused")
            return
        }
        #expect(answer.status == .notFound && answer.body.contains("gateway.dialects"))
        #expect(!answer.body.contains("token"))
        let page = Self.fields.filter { $0.0 != "Upgrade" && $0.0 != "Connection" }
        let plain = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: "/gateway", headers: HTTPHeaders(page))
        #expect(policy.decide(plain) == .page("/gateway"))
    }

    @Test(
        "A request of a device that speaks HTTP is read by its head, or refused in the interface's form",
        arguments: [
            (HTTPMethod.POST, "/v1/chat/completions", nil as UInt?), (.GET, "/v1/models", nil),
            (.GET, "/v1/models/a%2Fb", nil), (.GET, "/v1/chat/completions", 405), (.POST, "/v1/models", 405),
            (.POST, "/v1/embeddings", 404), (.GET, "/v1/models/", 404),
        ])
    func exchanges(method: HTTPMethod, uri: String, status: UInt?) throws {
        let token = Base64URL.encode(Array(repeating: 7, count: 32))
        let changes: [(String, String?)] = [
            ("Authorization", "bearer \(token)"), ("Idempotency-Key", "a-1"), ("Upgrade", nil),
        ]
        let decision = Self.decide(changes, uri: uri, method: method)
        #expect(Self.status(decision) == status)
        guard status == nil else { return }
        guard case .exchange(let request) = decision else {
            Issue.record("\(decision)")
            return
        }
        #expect(request.token?.text == token && request.messageID == "a-1")
        if uri.contains("%2F") { #expect(request.call == .findModel("a/b")) }
        // The same rules of hosts and pages as everywhere.
        let elsewhere = Self.decide(changes + [("Host", "evil.example")], uri: uri, method: method)
        #expect(Self.status(elsewhere) == 421)
        #expect(
            Self.status(Self.decide(changes + [("Origin", "https://evil.example")], uri: uri, method: method))
                == 403)
        #expect(
            Self.status(Self.decide(changes + [("Idempotency-Key", "a b")], uri: uri, method: method)) == 400)
    }

    @Test("The subprotocol is granted to whoever offers it")
    func subprotocol() {
        guard
            case .upgrade(let request) = Self.decide([("Sec-WebSocket-Protocol", "other, goclaw.nodes.v1")])
        else {
            Issue.record("refused")
            return
        }
        #expect(request.usesSubprotocol)
    }

    @Test(
        "A bad handshake is refused",
        arguments: [
            ([("Origin", "null")], 403), ([("Origin", "https://evil.example")], 403),
            ([("Origin", "http://nodes.example.org")], 403),
            ([("Origin", "https://nodes.example.org.evil")], 403),
            ([("Origin", "")], 403),
            ([("Origin", "https://nodes.example.org"), ("Origin", "https://evil.example")], 403),
            ([("Host", "evil.example")], 421), ([("Host", "nodes.example.org:8443")], 421),
            ([("Host", nil)], 400),
            ([("Host", "nodes.example.org"), ("Host", "evil.example")], 400), ([("Upgrade", nil)], 426),
            ([("Upgrade", "h2c")], 426), ([("Connection", "close")], 426),
            ([("Sec-WebSocket-Version", nil)], 426), ([("Sec-WebSocket-Version", "8")], 426),
            ([("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "8")], 426),
            ([("Sec-WebSocket-Key", nil)], 400), ([("Sec-WebSocket-Key", "c2hvcnQ=")], 400),
            ([("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=!")], 400), ([("X-Real-IP", nil)], 400),
            ([("X-Real-IP", "somewhere")], 400),
            ([("X-Real-IP", "203.0.113.7"), ("X-Real-IP", "203.0.113.8")], 400),
        ] as [([(String, String?)], UInt)])
    func refused(changes: [(String, String?)], status: UInt) {
        #expect(Self.status(Self.decide(changes)) == status)
    }

    @Test(
        "A refusal names the header, its value and the setting to change",
        arguments: [
            ("Origin", "capacitor://localhost", "gateway.device_origins"), ("Origin", "file://", "file://"),
            ("Host", "localhost.:8080", "gateway.public_origins"),
            ("Host", "[::1]:8080", "https://[::1]:8080"), ("Sec-WebSocket-Version", "8", "expected 13"),
            ("Sec-WebSocket-Key", "c2hvcnQ=", "16 bytes"),
        ])
    func explained(header: String, value: String, advice: String) {
        guard case .refuse(let answer) = Self.decide([(header, value)]) else {
            Issue.record("accepted")
            return
        }
        #expect(answer.body.contains("The header \(header) says \"\(value)\""))
        #expect(answer.body.contains(advice))
    }

    @Test("An origin with a slash at its end, its default port or in capitals is no other one")
    func spellings() {
        for origin in [
            "https://nodes.example.org/", "https://nodes.example.org:443", "HTTPS://Nodes.Example.ORG",
        ] {
            guard case .upgrade = Self.decide([("Origin", origin)]) else {
                Issue.record("refused: \(origin)")
                continue
            }
        }
    }

    @Test("Other methods, versions and paths are not upgrades")
    func others() {
        #expect(Self.status(Self.decide(method: .POST)) == 405)
        #expect(Self.status(Self.decide(version: .http1_0)) == 426)
        #expect(Self.decide(uri: "/metrics") == .page("/metrics"))
        #expect(Self.decide(uri: "/ws/") == .page("/ws/"))
    }
}
