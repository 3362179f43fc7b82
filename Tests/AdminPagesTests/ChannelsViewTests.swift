import PairingCore
import Testing

@testable import AdminPages
@testable import PairingKernel

@Suite("The processes' channels side by side")
struct ChannelsViewTests {
    private func view(_ overview: ChannelsOverview, processName: String = "kernel-0") -> ChannelsView {
        ChannelsView(overview, processName: processName)
    }

    private func report(_ channels: ChannelsReport.Channel...) -> ChannelsReport {
        ChannelsReport(channels: channels)
    }

    @Test("Processes that have the same name are told apart")
    func labels() {
        let none = ChannelsReport()
        let gateways = [
            sampleGateway("host-1", .report(none), digit: 1),
            sampleGateway("host-1", .report(none), digit: 2),
            sampleGateway("host-2", .none, digit: 3), sampleGateway("host-3", .foreign, digit: 4),
        ]
        let one = view(ChannelsOverview(here: none, gateways: gateways), processName: "host-2")
        #expect(
            one.members.map(\.label) == [
                "host-1 (gateway 1f1c1d1e)", "host-1 (gateway 2f1c1d1e)", "host-2 (kernel)",
            ])
        #expect(one.silent == ["host-2 (gateway)"])
        #expect(one.foreign == ["host-3"])
        #expect(view(ChannelsOverview(here: none, gateways: gateways)).members.last?.label == "kernel-0")
    }

    @Test("Processes that agree are said in one breath, and nothing is said where nothing is to be done")
    func agreement() {
        let calm = report(sampleChannel("web"))
        let same = view(
            ChannelsOverview(
                here: calm, gateways: [sampleGateway("a", .report(calm)), sampleGateway("b", .report(calm))]))
        #expect(same.channels.map(\.id.text) == ["web"])
        #expect(same.channels[0].places.count == 3)
        #expect(!same.channels[0].isMixed)
        #expect(same.channels[0].changes.isEmpty)
        #expect(same.channels[0].troubles.isEmpty)
        let changed = report(sampleChannel("web", outlook: .gone))
        let some = view(
            ChannelsOverview(
                here: changed,
                gateways: [sampleGateway("a", .report(changed)), sampleGateway("b", .report(calm))]))
        #expect(some.channels[0].changes.map(\.value) == [.gone])
        #expect(some.channels[0].changes[0].labels == ["a", "kernel-0"])
    }

    @Test("Another library in one process, or none, is a difference; another process's version is shown")
    func differences() {
        let old = report(sampleChannel("web", digest: "a"))
        let new = report(sampleChannel("web", version: "2", digest: "b"), sampleChannel("xmas"))
        let mixed = view(ChannelsOverview(here: old, gateways: [sampleGateway("a", .report(new))]))
        #expect(mixed.channels.map(\.isMixed) == [true, true])
        // Devices meet the gateway's.
        #expect(mixed.channels[0].model.library.version == "2")
        #expect(mixed.channels[1].places.map { $0.channel == nil } == [false, true])
    }

    @Test("A channel that is stuck somewhere says where")
    func trouble() {
        let stuck = report(sampleChannel("web", outOfService: "no threads", isStuck: true))
        let one = view(
            ChannelsOverview(
                here: report(sampleChannel("web")), gateways: [sampleGateway("a", .report(stuck))]))
        #expect(one.channels[0].troubles.map(\.labels) == [["a"]])
        #expect(one.channels[0].troubles[0].value.isStuck)
    }
}
