import ChannelHost
import Foundation
import PairingCore
import Testing

/// The channel `openclaw`, as it is built, installed and loaded.
@Suite("The channel openclaw")
struct OpenClawChannelTests {
    private static let device = String(repeating: "0a", count: 32)
    private static let node = #"""
        {"client":{"id":"node-host","version":"2026.9.0","platform":"linux","mode":"node","deviceFamily":"Pi"},
        "role":"node","caps":["canvas"],"commands":["canvas.present","canvas.hide"]}
        """#

    private func load() async throws -> ChannelHost {
        let cage = try Cage()
        let script = repository.appending(path: "scripts/install-channels").path()
        let installed = try await run(script, [cage.folder.path(), builtProducts.path()])
        try #require(installed.status == 0, "\(installed.output)")
        return cage.load()
    }

    private func message(_ body: String) -> ChannelDeviceMessage {
        ChannelDeviceMessage(
            number: 1, id: "m", receivedAt: Timestamp(milliseconds: 1), body: body)
    }

    @Test("What a client says of itself is checked and shown")
    func review() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let shown = try await host.review(
            try claim(Self.device + ":node", channel: "openclaw", metadata: Self.node, hasKey: true))
        #expect(
            shown.details.map { "\($0.label): \($0.value)" } == [
                "Client: node-host 2026.9.0", "Role: node, node", "Platform: linux, Pi",
                "Abilities: canvas", "Commands: canvas.present, canvas.hide",
            ])
        let plain = try await host.review(
            try claim("oc-0123456789abcdef", channel: "openclaw", metadata: #"{"client":{"id":"cli"}}"#))
        #expect(plain.details.map(\.value) == ["cli"])
        let many = (0..<100).map { #""camera.snap\#($0)""# }.joined(separator: ",")
        let long = try await host.review(
            try claim(
                Self.device, channel: "openclaw",
                metadata: #"{"client":{"id":"cli"},"commands":[\#(many)]}"#))
        let commands = try #require(long.details.last)
        #expect(commands.value.count <= 256 && commands.value.hasSuffix(" more"))
        for (senderID, metadata, reason) in [
            ("tablet-1", Self.node, "invalid_sender_id"), ("oc-01", Self.node, "invalid_sender_id"),
            (Self.device.uppercased(), Self.node, "invalid_sender_id"),
            (Self.device, "{}", "invalid_metadata"),
            (Self.device, #"{"client":{"id":"cli"},"commands":["rm -rf /"]}"#, "invalid_metadata"),
            (Self.device, #"{"client":{"id":"cli"},"caps":[1]}"#, "invalid_metadata"),
        ] {
            let refused = try await refusal {
                try await host.review(try claim(senderID, channel: "openclaw", metadata: metadata))
            }
            #expect(refused?.reason == reason, "\(senderID) \(metadata)")
        }
    }

    @Test("Text passes; commands and what comes of them do where the device named them when it was paired")
    func messages() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let (session, _) = try await host.open(
            try opening(Self.device, channel: "openclaw", metadata: Self.node)
        ) { _ in }
        defer { host.close(session, reason: "bye") }
        for body in [
            #""hi""#, #"{"type":"text","text":"hi"}"#,
            #"{"type":"ack","command":"canvas.present","callId":"7","ok":true,"result":{"a":1}}"#,
        ] {
            let output = try await host.receive(message(body), in: session)
            #expect(output.messages.map(\.body) == [body])
        }
        for (body, reason) in [
            (#"{"type":"typing"}"#, "invalid_message"), ("1", "invalid_message"),
            (#"{"type":"ack","command":"system.run","ok":true}"#, "unknown_command"),
        ] {
            let refused = try await refusal { try await host.receive(message(body), in: session) }
            #expect(refused?.reason == reason, "\(body)")
        }
        var events: [String] = []
        for body in [
            #"{"type":"command","command":"canvas.present"}"#, #"{"type":"text","text":"hi"}"#,
            #"{"type":"command"}"#,
        ] {
            events += try await host.deliver(
                ChannelAgentMessage(number: 1, agent: "a", body: body), in: session
            ).map(\.event)
        }
        #expect(events == ["command", "message", "message"])
        let unknown = try await refusal {
            try await host.deliver(
                ChannelAgentMessage(
                    number: 1, agent: "a", body: #"{"type":"command","command":"system.run"}"#),
                in: session)
        }
        #expect(unknown?.reason == "unknown_command" && unknown?.retryable == false)
    }
}
