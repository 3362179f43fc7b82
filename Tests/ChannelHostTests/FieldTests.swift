import ChannelHost
import Foundation
import PairingCore
import Testing

/// What channel authors ran into, each by the name of its row in the field's list.
@Suite("What channel authors ran into")
struct FieldTests {
    private func load(_ animal: String, limits: ChannelCallLimits = ChannelCallLimits()) async throws
        -> ChannelHost
    {
        let cage = try Cage()
        try await cage.add(animal)
        return cage.load(limits: limits)
    }

    @Test(
        "C1, I4: A plugin that hands on what a sink answered fails, and nothing is lost or held against the device"
    )
    func handsOn() async throws {
        let host = try await load("hands_on")
        defer { host.shutdown() }
        #expect(host.refused == [])
        var refusals: [Refusal?] = [
            try await refusal { try await host.review(try claim("torn")) },
            try await refusal { try await host.open(try opening("torn")) { _ in } },
        ]
        let (session, frames) = try await host.open(try opening()) { _ in }
        #expect(frames.count == 1)
        for id in ["plain", "explained"] {
            let message = ChannelDeviceMessage(
                number: 1, id: id, receivedAt: Timestamp(milliseconds: 0), body: "1")
            refusals.append(try await refusal { try await host.receive(message, in: session) })
        }
        refusals.append(
            try await refusal {
                try await host.deliver(ChannelAgentMessage(number: 1, body: "1"), in: session)
            })
        for refused in refusals {
            #expect(refused?.reason == "channel_failed")
            #expect(refused?.code == .unavailable)
            #expect(refused?.retryable == true)
        }
        #expect(host.status[0].misbehaviours == 2 * refusals.count)
    }

    @Test("C1: A plugin that cannot be created for what it put into the sink is refused for that")
    func handsOnLimits() async throws {
        let cage = try Cage()
        try await cage.add("hands_on_limits")
        #expect(
            try cage.refusal()
                == "it cannot be configured: it put a limits record into the sink of create that has a rate that is "
                + "not a number, or times beyond a year")
    }

    @Test("C5: A library that was changed in place is told from one that was installed")
    func changedInPlace() async throws {
        let cage = try Cage()
        let library = try await cage.add("tame")
        var limits = ChannelCallLimits()
        limits.folderLook = .milliseconds(20)
        let host = cage.load(limits: limits)
        defer { host.shutdown() }
        func outlook() throws -> ChannelsReport.Outlook { try #require(host.report.channels.first).outlook }
        // As cp does it: the same file. One byte behind the end changes nothing that is mapped.
        let file = try FileHandle(forWritingTo: library)
        try file.seekToEnd()
        try file.write(contentsOf: Data([0]))
        try file.close()
        let isTold = try await eventually {
            guard case .refused(let reason)? = try? outlook() else { return false }
            return reason.contains("was changed in place while this process runs it")
                && reason.contains("scripts/install-channels")
        }
        #expect(isTold)
        // As install-channels does it: another file under the name.
        try Data(contentsOf: library).write(to: library, options: .atomic)
        try cage.allow(0o755, library)
        let isAnother = try await eventually {
            guard case .refused(let reason)? = try? outlook() else { return false }
            return reason.contains("has the SHA-256") && !reason.contains("in place")
        }
        #expect(isAnother)
    }

    @Test("C7: Calls that take too long are named, with their times and the way out, until they are back")
    func slowCalls() async throws {
        var limits = ChannelCallLimits()
        limits.call = .seconds(1)
        let host = try await load("slow_review", limits: limits)
        defer { host.shutdown() }
        async let one = refusal { try await host.review(try claim("slow")) }
        async let two = refusal { try await host.review(try claim("slow")) }
        #expect(try await [one, two].map { $0?.reason } == ["channel_timeout", "channel_timeout"])
        let refused = try #require(try await refusal { try await host.review(try claim()) })
        #expect(refused.reason == "channel_out_of_service")
        let form =
            /The channel zoo is out of service: all of its 2 threads are occupied by calls that have not returned: review for \d\.\d s, review for \d\.\d s; the limit is 1000 ms, beyond which a call takes a ticket \(goclaw_sink.later\)\. Try again later\./
        #expect(refused.message.wholeMatch(of: form) != nil, "\(refused.message)")
        #expect(try await eventually { host.isReady })
        // On a busy machine a call may take a second by itself.
        var isBack = false
        for _ in 1...30 where !isBack {
            isBack = try await refusal { try await host.review(try claim()) } == nil
        }
        #expect(isBack)
    }
}
