import PairingCore
import Testing

@Suite("Origins")
struct OriginTests {
    @Test(
        "An origin is kept in canonical form",
        arguments: [
            ("https://nodes.example.org", "https://nodes.example.org"),
            ("HTTPS://Nodes.Example.ORG:443", "https://nodes.example.org"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"), ("http://localhost:80", "http://localhost"),
            ("https://localhost:80", "https://localhost:80"), ("https://[::1]:8443", "https://[::1]:8443"),
            ("http://[2001:DB8::1]", "http://[2001:db8::1]"), ("https://a:65535", "https://a:65535"),
            ("https://Nodes.example.org:443/", "https://nodes.example.org"),
        ])
    func canonical(_ text: String, _ expected: String) throws {
        let origin = try #require(Origin(text))
        #expect(origin.text == expected)
        #expect(origin.description == expected)
        #expect(origin == Origin(expected))
        #expect(origin.isSecure == expected.hasPrefix("https"))
    }

    @Test(
        "What is not an origin is refused",
        arguments: [
            "", "null", "nodes.example.org", "ws://nodes.example.org", "wss://nodes.example.org",
            "file:///etc/passwd", "https://", "https:///", "https://nodes.example.org//", "https://a/b",
            "https://user@nodes.example.org", "https://user:pass@nodes.example.org", "https://a b",
            "https://a:0", "https://a:65536", "https://a:", "https://a:+80", "https://a:80:80", "https://:80",
            "https://a?b", "https://a#b", "https://[::1", "https://[]", "https://[g::1]", "https://[::1]x",
            "https://a\u{0}", "https://a\r\nX: y", "https://n\u{F6}des.example.org", "https://a,https://b",
            // Lower-casing turns the Kelvin sign into a k.
            "https://lin\u{212A}.example", "https://*.example.org",
        ])
    func refused(_ text: String) {
        #expect(Origin(text) == nil)
    }

    private let policy: OriginPolicy

    init() throws {
        policy = OriginPolicy([
            try #require(Origin("https://nodes.example.org")), try #require(Origin("http://127.0.0.1:8080")),
            try #require(Origin("http://localhost:8080")),
        ])
    }

    @Test("Only a configured origin may upgrade or post; a client without the header may")
    func allows() {
        #expect(policy.allows(originHeader: nil))
        #expect(policy.allows(originHeader: "https://nodes.example.org"))
        #expect(policy.allows(originHeader: "https://nodes.example.org:443"))
        for origin in [
            "", "null", "http://nodes.example.org", "https://nodes.example.org:8443", "http://127.0.0.1",
            "https://evil.example.org", "https://nodes.example.org.evil", "https://nodes.example.org evil",
        ] {
            #expect(!policy.allows(originHeader: origin), "\(origin)")
        }
    }

    @Test(
        "The origins of apps may upgrade where they are configured, and never post",
        arguments: [
            ("capacitor://localhost", true), ("Capacitor://LOCALHOST/", true), ("tauri://localhost", true),
            ("ionic://localhost", true), ("https://app.example", true), ("https://app.example:443/", true),
            ("file://", true), ("file:///", true), ("capacitor://localhost:1", false),
            ("capacitor://localhost.evil", false), ("evil://localhost", false), ("http://app.example", false),
            ("null", false), ("", false), ("capacitor://", false), ("capacitor:localhost", false),
        ])
    func apps(origin: String, allowed: Bool) throws {
        let apps = [
            "capacitor://localhost", "tauri://localhost", "ionic://localhost", "https://app.example",
            "file://",
        ]
        let policy = OriginPolicy(
            policy.origins, deviceOrigins: try apps.map { try #require(DeviceOrigin($0)) })
        #expect(policy.allowsUpgrade(originHeader: origin) == allowed)
        #expect(!policy.allows(originHeader: origin))
        #expect(!self.policy.allowsUpgrade(originHeader: origin))
        #expect(policy.allowsUpgrade(originHeader: "https://nodes.example.org/"))
        #expect(policy.allowsUpgrade(originHeader: nil))
        #expect(policy.dialled(host: "app.example").isEmpty)
    }

    @Test(
        "What is no app's origin is refused",
        arguments: [
            "null", "", "capacitor", "capacitor://", "1a://x", "a b://x", "ws://localhost", "wss://localhost",
            "capacitor://a/b", "capacitor://user@a", "capacitor://a:0", "https://a/b", "http://",
            "://localhost",
            "c\u{F6}p://localhost", "*://localhost", "file://a/b",
        ])
    func noApps(text: String) {
        #expect(DeviceOrigin(text) == nil)
    }

    @Test("Whoever is refused is told the header, its value and the setting")
    func explanations() {
        let app = policy.upgradeRefusal(originHeader: "Capacitor://localhost")
        #expect(app.contains("Origin says \"Capacitor://localhost\""))
        #expect(app.contains("add \"capacitor://localhost\" to gateway.device_origins"))
        #expect(policy.upgradeRefusal(originHeader: "null").hasSuffix("Such pages never connect."))
        #expect(
            policy.upgradeRefusal(originHeader: "a\"\r\u{202E}").contains("says \"a\\\"\\u{d}\\u{202e}\","))
        let long = policy.upgradeRefusal(originHeader: String(repeating: "x", count: 8000))
        #expect(long.contains("xxx\"…") && long.utf8.count < 300)
        let dot = policy.hostRefusal(host: "localhost.:8080")
        #expect(dot.contains("Host says \"localhost.:8080\", which is not in gateway.public_origins"))
        #expect(
            dot.contains("Dial \"localhost:8080\", without the dot")
                && dot.contains("\"http://localhost.:8080\""))
        #expect(policy.hostRefusal(host: "[::1]:8080").contains("add \"http://[::1]:8080\" to that setting"))
        #expect(policy.hostRefusal(host: "a b").hasSuffix("Dial a host that is."))
    }

    @Test("The host that was dialled decides which origins a proof may name")
    func dialled() {
        #expect(policy.dialled(host: "nodes.example.org").map(\.text) == ["https://nodes.example.org"])
        #expect(policy.dialled(host: "Nodes.Example.Org:443").map(\.text) == ["https://nodes.example.org"])
        #expect(policy.dialled(host: "localhost:8080").map(\.text) == ["http://localhost:8080"])
        for host in [
            "", "localhost", "nodes.example.org:80", "evil", "127.0.0.1:8081", "nodes.example.org/",
            "nodes.example.or\u{FF47}",
        ] {
            #expect(policy.dialled(host: host).isEmpty, "\(host)")
        }
    }

    @Test(
        "An origin has a port where it is not the default one",
        arguments: [
            ("https://nodes.example.org", nil), ("https://nodes.example.org:443", nil),
            ("http://a:443", "443"),
            ("http://127.0.0.1:8080", "8080"), ("http://[::1]", nil), ("https://[::1]:8443", "8443"),
        ] as [(String, String?)])
    func port(text: String, port: String?) throws {
        #expect(try #require(Origin(text)).port == port)
    }

    @Test("Cookies are secure where the host's origin is https")
    func secureCookies() {
        #expect(policy.usesSecureCookies(host: "nodes.example.org"))
        #expect(!policy.usesSecureCookies(host: "127.0.0.1:8080"))
        #expect(!policy.usesSecureCookies(host: "elsewhere"))
    }

    @Test("A host that is configured with both schemes can mean either, by its port")
    func bothSchemes() throws {
        let both = OriginPolicy([
            try #require(Origin("https://a.example")), try #require(Origin("http://a.example")),
        ])
        #expect(both.dialled(host: "a.example").count == 2)
        #expect(both.dialled(host: "a.example:443").map(\.text) == ["https://a.example"])
        #expect(both.dialled(host: "a.example:80").map(\.text) == ["http://a.example"])
    }
}
