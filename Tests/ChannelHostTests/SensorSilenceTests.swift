import ChannelHost
import Foundation
import Testing

@Suite("When a sensor is silent")
struct SensorSilenceTests {
    private func load() async throws -> ChannelHost {
        let cage = try Cage()
        let script = repository.appending(path: "scripts/install-channels").path()
        let installed = try await run(script, [cage.folder.path(), builtProducts.path()])
        try #require(installed.status == 0, "\(installed.output)")
        return cage.load()
    }

    @Test(
        "iot: a sensor is silent once its most frequent reading should have come three times, and after a day",
        arguments: [
            (
                #"[{"name":"t","unit":"Cel","type":"number","periodMs":60000},"#
                    + #"{"name":"d","unit":"1","type":"boolean","periodMs":20000}]"#,
                [60, 86400]
            ),
            (#"[{"name":"t","unit":"Cel","type":"number","periodMs":100}]"#, [3, 86400]),
            (#"[{"name":"t","unit":"Cel","type":"number","periodMs":86400000}]"#, [3 * 86400]),
        ])
    func iotSilence(readings: String, seconds: [Int]) async throws {
        let host = try await load()
        defer { host.shutdown() }
        let metadata = #"{"readings":\#(readings)}"#
        let (session, _) = try await host.open(
            try opening("ws-2-0001", channel: "iot", metadata: metadata)
        ) { _ in }
        defer { host.close(session, reason: "bye") }
        #expect(session.silencePeriods == seconds.map { .seconds($0) })
    }
}
