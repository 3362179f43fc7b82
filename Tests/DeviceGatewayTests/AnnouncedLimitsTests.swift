import PairingCore
import Testing

@testable import DeviceGateway
@testable import PairingKernel

@Suite("What connect tells of limits")
struct AnnouncedLimitsTests {
    @Test(
        "A device is told the greatest message that is accepted, whatever its channel would take",
        arguments: [(nil, 512 << 10), (1024, 1024), (1 << 20, 512 << 10)] as [(Int?, Int64)])
    func greatestBody(declared: Int?, told: Int64) throws {
        let instance = try #require(InstanceID("9469921c-3534-4c46-81bd-9f2d83418ac6"))
        let origin = try #require(Origin("https://nodes.example.org"))
        let facts = ServerFacts(
            instanceID: instance,
            settings: GatewaySettings(origins: OriginPolicy([origin]), socketPath: "/s"))
        var limits = ChannelLimits()
        limits.maximumMessageBytes = declared
        let grant = SessionGrant(
            sessionID: "s", instanceID: instance, channel: try #require(ChannelID("web")),
            senderID: try #require(SenderID("tablet-01")), generation: Generation(1), epoch: Epoch(1),
            limits: limits)
        let announced = try #require(facts.paired(grant)["limits"])
        #expect(announced["maxBodyBytes"] == .integer(told))
        #expect(announced["maxMessageBytes"] == .integer(512 << 10))
        #expect(announced["maxFragments"] == .integer(128))
    }
}
