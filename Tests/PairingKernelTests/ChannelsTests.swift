import Foundation
import PairingStore
import Postgres
import Testing

@testable import ChannelHost
@testable import PairingCore
@testable import PairingKernel

@Suite("The channels of every process")
struct ChannelsTests {
    /// A report with one of everything.
    private static func report(_ text: String = "text", amount: Double = 2.5) throws -> ChannelsReport {
        let description = ChannelDescription(
            id: try #require(ChannelID("zoo")), displayName: text, version: text, abi: "1.0",
            path: "/srv/" + text, sha256: String(repeating: "ab", count: 32), swiftVersion: text,
            limits: ChannelLimits())
        let status = ChannelStatus(
            id: description.id, outOfService: text, isStuck: true, overdueCalls: 1, waitingCalls: 2,
            sessions: 3, misbehaviours: 4, values: ["passed": amount, "temperature": -0.5])
        let found = ChannelsReport.Found(
            id: description.id, version: text, path: "/srv/" + text, sha256: description.sha256)
        let refused = ChannelsReport.Refused(path: "/srv/" + text, reason: text)
        var limited = description
        limited.limits.requiresKey = true
        limited.limits.maximumMessageBytes = 32_000
        limited.limits.messagesPerSecond = 0.2
        limited.limits.burst = 20
        limited.limits.heartbeat = .seconds(90)
        limited.limits.silence = .seconds(120)
        limited.limits.pairingLifetime = .seconds(86_400)
        limited.limits.tick = .milliseconds(1500)
        limited.swiftVersion = nil
        var idle = status
        idle.outOfService = nil
        idle.isStuck = false
        idle.values = [:]
        return ChannelsReport(
            channels: [
                ChannelsReport.Channel(description, status, outlook: .other(found)),
                ChannelsReport.Channel(limited, idle, outlook: .refused(text)),
                ChannelsReport.Channel(limited, idle, outlook: .gone),
                ChannelsReport.Channel(limited, idle, outlook: .same),
            ], refused: [refused], newcomers: [found], newlyRefused: [refused]
        ).cleaned
    }

    @Test("A report survives its way through JSON", arguments: [0, 2.5, 1e300, 9_007_199_254_740_992])
    func roundTrip(amount: Double) throws {
        let report = try Self.report(amount: amount)
        let text = report.json.text
        #expect(ChannelsReport(json: try JSONValue(parsing: text.utf8)) == report)
    }

    @Test("JSON that is not a report is none, and members that were added do not matter")
    func foreign() throws {
        let report = try Self.report()
        guard case .object(var members) = report.json else { return }
        for name in members.keys {
            var less = members
            less[name] = nil
            #expect(ChannelsReport(json: .object(less)) == nil)
            less[name] = .string("other")
            #expect(ChannelsReport(json: .object(less)) == nil)
        }
        members["added"] = .bool(true)
        #expect(ChannelsReport(json: .object(members)) == report)
        #expect(ChannelsReport(json: .null) == nil)
    }

    @Test("I7: what a plugin says of itself is cleaned before it is told")
    func cleaned() throws {
        let text = try Self.report("a\u{1B}[31m\u{202E}b\u{0}\nc\u{200B}").json.text
        #expect(text.contains("a[31mb c"))
        for scalar in ["\u{1B}", "\u{202E}", "\u{0}", "\u{200B}", "\\u0000", "\\n"] {
            #expect(!text.contains(scalar))
        }
    }

    @Test("Limits are told in the units people use")
    func limits() throws {
        let channels = try Self.report().channels
        #expect(
            channels[1].limits.facts.map(\.value) == [
                "a key", "32,000 bytes", "0.2 a second, up to 20 at once", "every 90 s",
                "closed after 2 min", "expires after 1 d", "every 1,500 ms",
            ])
        #expect(channels[0].limits.facts.map(\.value).last == "none")
        #expect(channels[0].limits.facts.first?.value == "a key or a device token")
        #expect(channels[0].openCalls == "2 waiting, 1 out of time")
        #expect(channels[0].valueFacts.map(\.value) == ["2.5", "-0.5"])
        #expect(plainNumber(1_234_567) == "1,234,567")
        #expect(plainNumber(-1000) == "-1,000")
        #expect(plainNumber(1e300) == "1e+300")
    }

    @Test("Each process knows what every gateway says of its channels, until the gateway is gone")
    func everyGateway() async throws {
        try await System.run { one, two in
            func gateways() async throws -> [GatewayChannels] {
                try await one.kernel.administration.channels(by: System.admin).gateways
            }
            func told(_ gateway: GatewayChannels) -> [String] {
                guard case .report(let report) = gateway.account else { return [] }
                return report.channels.map(\.id.text)
            }
            let here = try one.kernel.administration.channelsHere(by: System.admin)
            let loaded = here.channels.map(\.id.text)
            #expect(loaded.contains("zoo"))
            try await eventually("reports of both") {
                try await gateways().map(told) == [loaded, loaded]
            }
            let both = try await gateways()
            #expect(both.map(\.name) == ["instance-1", "instance-2"])
            #expect(both.map(\.instanceID) == [one.sessions.instanceID, two.sessions.instanceID])
            // The gateway may say its own words again between the two statements.
            try await eventually("foreign words") {
                try await one.pool.execute(
                    "UPDATE instances SET channels = '{}' WHERE instance_id = $1",
                    [.uuid(two.sessions.instanceID.text)])
                return try await gateways().last?.account == .foreign
            }
            try await eventually("the next report") { try await gateways().map(told) == [loaded, loaded] }
            try await two.stop()
            #expect(try await gateways().map(\.name) == ["instance-1"])
        }
    }
}
