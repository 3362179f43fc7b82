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
