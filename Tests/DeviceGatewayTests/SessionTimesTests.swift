import PairingCore
import PairingKernel
import Testing

@testable import DeviceGateway

@Suite("A channel's times")
struct SessionTimesTests {
    @Test(
        "Heartbeat and silence hold within the gateway's, and give up no device that answers every ping",
        arguments: [
            (nil, nil, 30, 75), (10, 25, 10, 25), (nil, 60, 30, 60), (60, 300, 30, 75), (0.01, 0.01, 1, 2),
            (20, 25, 20, 40), (30, 10, 30, 60),
        ] as [(Double?, Double?, Double, Double)])
    func bounded(heartbeat: Double?, silence: Double?, ping: Double, givenUp: Double) throws {
        let settings = GatewaySettings(
            origins: OriginPolicy([try #require(Origin("https://nodes.example.org"))]), socketPath: "/none")
        var limits = ChannelLimits()
        limits.heartbeat = heartbeat.map { .seconds($0) }
        limits.silence = silence.map { .seconds($0) }
        let times = settings.times(within: limits)
        #expect(times.ping == .seconds(ping) && times.silence == .seconds(givenUp))
    }
}
