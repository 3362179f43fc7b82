// Constants of the tests.
// swift-format-ignore-file: NeverForceUnwrap

import PairingCore

@testable import AdminPages
@testable import PairingKernel

func sampleDigest(_ digit: String) -> String { String(repeating: "\(digit)0b1c2d3", count: 8) }

func sampleChannel(
    _ id: String, name: String = "", version: String = "1.0.0", digest: String = "a",
    outlook: ChannelsReport.Outlook = .same, outOfService: String? = nil, isStuck: Bool = false,
    sessions: Int = 0, misbehaviours: Int = 0, values: [String: Double] = [:]
) -> ChannelsReport.Channel {
    var limits = ChannelLimits()
    limits.requiresKey = id == "iot"
    limits.maximumMessageBytes = 128_000
    limits.messagesPerSecond = 5
    limits.burst = 20
    limits.heartbeat = .milliseconds(30_000)
    return ChannelsReport.Channel(
        id: ChannelID(id)!,
        library: ChannelsReport.Library(
            displayName: name, version: version, abi: "1.0",
            path: "/usr/lib/goclaw-nodes/channels/\(id).so", sha256: sampleDigest(digest),
            swiftVersion: id == "echo" ? nil : "6.2.1"),
        limits: limits, outOfService: outOfService, isStuck: isStuck, overdueCalls: isStuck ? 2 : 0,
        waitingCalls: isStuck ? 17 : 0, sessions: sessions, misbehaviours: misbehaviours, values: values,
        outlook: outlook)
}

func sampleFound(_ id: String, version: String, digest: String) -> ChannelsReport.Found {
    ChannelsReport.Found(
        id: ChannelID(id)!, version: version, path: "/usr/lib/goclaw-nodes/channels/\(id).so",
        sha256: sampleDigest(digest))
}

func sampleGateway(
    _ name: String, _ account: GatewayChannels.Account, digit: Int = 1, ageSeconds: Int64 = 7300
) -> GatewayChannels {
    GatewayChannels(
        instanceID: InstanceID("\(digit)f1c1d1e-0000-4000-8000-00000000abcd")!, name: name,
        startedAt: sampleNow + .seconds(-ageSeconds), account: account)
}

/// Two gateways and a kernel that have seen everything that can happen to a channel.
let sampleChannels: ChannelsOverview = {
    let refusal = ChannelsReport.Refused(
        path: "/usr/lib/goclaw-nodes/channels/old.so",
        reason: "old.so's manifest speaks channel ABI 2.0, this process 1.0: " + hostileText)
    let newWeb = ChannelsReport.Outlook.other(sampleFound("web", version: "1.1.0", digest: "f"))
    let first = ChannelsReport(
        channels: [
            sampleChannel(
                "echo", name: hostileText, outlook: .gone, sessions: 3,
                values: ["reviews_passed": 1234, "load": 0.25]),
            sampleChannel(
                "iot", name: "Sensors", version: "2.0.0", digest: "c", outlook: .refused(hostileText),
                outOfService:
                    "all of its 2 threads are occupied by calls that have not returned: receive for 12 s, deliver for 7.0 s",
                isStuck: true, sessions: 41, misbehaviours: 2),
            sampleChannel("web", name: "Web browsers", outlook: newWeb, sessions: 118),
        ], refused: [refusal],
        newcomers: [sampleFound("watch", version: "0.1.0", digest: "9")],
        newlyRefused: [
            ChannelsReport.Refused(
                path: "/usr/lib/goclaw-nodes/channels/torn.so", reason: "torn.so has no manifest")
        ])
    var second = first
    second.channels[1] = sampleChannel("iot", name: "Sensors", version: "2.1.0", digest: "d", sessions: 7)
    second.channels[0].outOfService = "it broke the interface's rules 100 times in this minute"
    second.channels[0].misbehaviours = 100
    var here = first
    here.channels.removeFirst()
    here.channels[0] = sampleChannel("iot", name: "Sensors", version: "2.0.0", digest: "c")
    here.newcomers = []
    return ChannelsOverview(
        here: here,
        gateways: [
            sampleGateway("gateway-0", .report(first)), sampleGateway("gateway-1", .report(second), digit: 2),
            sampleGateway("gateway-2", .none, digit: 3, ageSeconds: 1),
            sampleGateway("gateway-3", .foreign, digit: 4),
        ])
}()
