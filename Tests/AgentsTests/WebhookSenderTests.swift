import PairingCore
import Testing

@testable import Agents

@Suite("Sending web hooks")
struct WebhookSenderTests {
    private static func sender(
        allowing networks: [String] = [], plain: Bool = true, timeout: Duration = .seconds(10)
    ) -> WebhookSender {
        WebhookSender(
            rules: WebhookSender.Rules(
                addresses: ReachableAddresses(allowed: networks.compactMap(NetworkBlock.init)),
                allowsPlain: plain,
                timeout: timeout), clock: { Timestamp(milliseconds: 1_800_000_000_123) })
    }

    private static let delivery = WebhookSender.Delivery(
        id: "event-1", body: #"{"a":1}"#,
        secrets: [Array(repeating: 1, count: 32), Array(repeating: 2, count: 32)])

    private static func outcome(
        _ answer: [ScriptedServer.Step], timeout: Duration = .seconds(10)
    ) async throws -> (WebhookSender.Outcome, [ScriptedServer.Request]) {
        try await ScriptedServer.serving([answer]) { server in
            let route = try await sender(allowing: ["127.0.0.1"], timeout: timeout).route(
                to: try WebhookAddress(server.url))
            let outcome = await route.send(delivery)
            await route.close()
            return (outcome, server.requests)
        }
    }

    private static func status(_ line: String, _ headers: String = "") -> [ScriptedServer.Step] {
        [.send("HTTP/1.1 \(line)\r\nContent-Length: 0\r\n\(headers)\r\n")]
    }

    @Test("A delivery is identified, timed, and signed with every secret")
    func signed() async throws {
        let (outcome, requests) = try await Self.outcome(Self.status("204 No Content"))
        #expect(outcome == .delivered)
        let request = try #require(requests.first)
        #expect(request.header("webhook-id") == "event-1" && request.body == #"{"a":1}"#)
        let expected = Self.delivery.secrets.map {
            StandardWebhook.signature(of: request.body, id: "event-1", timestamp: "1800000000", secret: $0)
        }
        #expect(request.header("webhook-signature") == expected.joined(separator: " "))
        #expect(
            StandardWebhook.secret(StandardWebhook.text(ofSecret: Self.delivery.secrets[0]))
                == Self.delivery.secrets[0])
    }

    @Test("410 ends it, other errors and redirects are failures, and what Retry-After says is told")
    func failures() async throws {
        #expect(try await Self.outcome(Self.status("410 Gone")).0 == .gone)
        let busy = try await Self.outcome(Self.status("503 Busy", "Retry-After: 7\r\n")).0
        #expect(busy == .failed("It answers with status 503.", retryAfter: .seconds(7)))
        let (moved, requests) = try await Self.outcome(
            Self.status("302 Found", "Location: http://127.0.0.1:1/\r\n"))
        #expect(moved == .failed("It answers with status 302.", retryAfter: nil))
        #expect(requests.count == 1)
        guard case .failed = try await Self.outcome([.hang], timeout: .milliseconds(200)).0 else {
            Issue.record("a receiver that says nothing took it")
            return
        }
    }

    @Test("A name that leads to this machine is refused before anything is connected to")
    func rebound() async throws {
        let (connections, failure) = try await ScriptedServer.serving([Self.status("200 OK")]) { server in
            let failure = await #expect(throws: AgentFailure.self) {
                _ = try await Self.sender().route(to: try WebhookAddress("http://localhost:\(server.port)/"))
            }
            return (server.connections, failure)
        }
        #expect(connections == 0)
        #expect(failure?.message.contains("webhooks.allowed_networks") == true)
    }

    @Test("A name is asked for once, and what was found then is connected to")
    func pinned() async throws {
        let outcome = try await ScriptedServer.serving([Self.status("200 OK")]) { server in
            let route = try await Self.sender(allowing: ["127.0.0.1", "::1"]).route(
                to: try WebhookAddress("http://LOCALHOST:\(server.port)/x"))
            let outcome = await route.send(Self.delivery)
            await route.close()
            return (outcome, server.requests.first?.header("host"))
        }
        #expect(outcome.0 == .delivered)
        #expect(outcome.1?.hasPrefix("localhost:") == true)
    }

    @Test(
        "Addresses that two readers could take for two hosts are refused",
        arguments: [
            "", "example.org", "ftp://example.org/", "https://", "https:///x", "https://a b/",
            "https://user@example.org/",
            "https://user:pw@127.0.0.1/", "https://example.org\\@127.0.0.1/", "https://example.org#@x/",
            "https://[::1/",
            "https://[fe80::1%25eth0]/", "https://ex%61mple.org/", "https://example.org:0/",
            "https://example.org:99999/",
            "https://example.org:+443/", "https://bücher.example/", "https://.example.org/", "http+unix://x/",
        ])
    func malformed(text: String) {
        #expect(throws: WebhookAddress.Problem.self) { try WebhookAddress(text) }
    }

    @Test("Addresses are read, and said against where http or an address inside is not allowed")
    func addresses() throws {
        let address = try WebhookAddress("HTTPS://Example.ORG:8443/a?b=c")
        #expect(address.text == "https://example.org:8443/a?b=c" && address.host == "example.org")
        #expect(try WebhookAddress("https://[2606:4700::1]").text == "https://[2606:4700::1]/")
        #expect(Self.sender(plain: false).objection(to: address) == nil)
        #expect(
            Self.sender(plain: false).objection(to: try WebhookAddress("http://example.org"))?.contains(
                "allow_http") == true)
        for inside in [
            "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/",
        ] {
            #expect(Self.sender().objection(to: try WebhookAddress(inside)) != nil, "\(inside)")
        }
    }
}
