import ChannelHost
import Foundation
import PairingCore
import Testing

@Suite("Calling plugins")
struct CallTests {
    /// Limits short enough for a test to wait for, and long enough for a call that does nothing.
    private var impatient: ChannelCallLimits {
        var limits = ChannelCallLimits()
        limits.call = .seconds(2)
        limits.ticket = .seconds(2)
        return limits
    }

    private func load(_ animal: String, limits: ChannelCallLimits = ChannelCallLimits()) async throws
        -> ChannelHost
    {
        let cage = try Cage()
        try await cage.add(animal)
        let host = cage.load(limits: limits)
        #expect(host.refused == [])
        return host
    }

    @Test("A channel that is not loaded is not found, and those that are loaded are named")
    func unknownChannel() async throws {
        let host = try await load("tame")
        defer { host.shutdown() }
        let refused = try #require(try await refusal { try await host.review(try claim(channel: "circus")) })
        #expect(refused.code == .notFound)
        #expect(refused.reason == "unknown_channel")
        #expect(refused.message == "There is no channel \"circus\" here. The channels are: zoo.")
    }

    @Test(
        "A plugin's refusal reaches the device with its code and reason",
        arguments: [
            (
                "invalid", ErrorCode.invalidRequest, "no_entry",
                "The zoo is closed on Mondays; come on Tuesday."
            ),
            ("forbidden", .forbidden, "no_entry", "The zoo is closed on Mondays; come on Tuesday."),
            (
                "unavailable", .unavailable, "no_entry",
                "The zoo is closed on Mondays; come on Tuesday. Try again later."
            ),
            (
                "silent", .invalidRequest, "channel_refused",
                "The channel zoo refuses this without saying why."
            ),
        ])
    func refusing(senderID: String, code: ErrorCode, reason: String, message: String) async throws {
        let host = try await load("refusing")
        defer { host.shutdown() }
        let refused = try #require(try await refusal { try await host.review(try claim(senderID)) })
        #expect(refused.code == code)
        #expect(refused.reason == reason)
        #expect(refused.message == message)
        #expect(refused.retryable == (code == .unavailable))
    }

    @Test(
        "A plugin that breaks a promise in a call fails that call alone",
        arguments: ["unknown_status", "later_without_ticket", "mischief"])
    func failing(animal: String) async throws {
        let host = try await load(animal)
        defer { host.shutdown() }
        let refused = try #require(try await refusal { try await host.review(try claim()) })
        #expect(refused.code == .unavailable)
        #expect(refused.reason == "channel_failed")
        #expect(host.status[0].misbehaviours >= 1)
        #expect(host.isReady)
    }

    @Test(
        "A plugin that misuses a sink or the host's table is told so and does no harm",
        arguments: ["misplaced", "other_thread", "gone"])
    func misuse(animal: String) async throws {
        let host = try await load(animal)
        defer { host.shutdown() }
        #expect(try await refusal { try await host.review(try claim()) } == nil)
    }

    @Test("A sink kept past its call takes nothing")
    func keptSink() async throws {
        let host = try await load("kept_sink")
        defer { host.shutdown() }
        #expect(try await host.review(try claim()).details == [])
        let opened = try await refusal { try await host.open(try opening()) { _ in } }
        #expect(opened == nil)
    }

    @Test("I7: Details that are no text are left out; the others are cleaned and cut")
    func badDetails() async throws {
        let host = try await load("bad_details")
        defer { host.shutdown() }
        let details = try await host.review(try claim()).details
        #expect(
            details == [
                Detail(label: "Reversed", value: "ab[31m <script>"),
                Detail(
                    label: String(repeating: "x", count: 64), value: String(repeating: "x", count: 256)),
            ])
        #expect(host.status[0].misbehaviours == 4)
    }

    @Test("Of a flood of details the first 32 are kept")
    func detailFlood() async throws {
        let host = try await load("detail_flood")
        defer { host.shutdown() }
        let details = try await host.review(try claim()).details
        #expect(details.map(\.value) == (0..<32).map(String.init))
    }

    @Test(
        "Metadata that is no JSON object does not reach the plugin", arguments: ["[]", "{", "nonsense", "1"])
    func badMetadata(metadata: String) async throws {
        let host = try await load("tame")
        defer { host.shutdown() }
        let refused = try await refusal { try await host.review(try claim(metadata: metadata)) }
        #expect(refused?.reason == "invalid_metadata")
    }

    @Test("I10: A call that never returns costs its channel a thread, and its caller the time limit")
    func endless() async throws {
        let cage = try Cage()
        try await cage.add("endless_review")
        try await cage.add("tame", as: "other", flags: ["-g"])
        try cage.writeManifest(for: "other", ["id": "zoo2"])
        let host = cage.load(limits: impatient)
        // Its threads never end: there is nothing to wait for.
        defer { host.shutdown(within: .milliseconds(1)) }
        #expect(host.channels.count == 1)
        let first = try #require(try await refusal { try await host.review(try claim("endless")) })
        #expect(first.code == .unavailable)
        #expect(first.reason == "channel_timeout")
        #expect(first.retryable)
        #expect(host.isReady)
        // The other thread still works.
        #expect(try await refusal { try await host.review(try claim()) } == nil)
        let second = try #require(try await refusal { try await host.review(try claim("endless")) })
        #expect(second.reason == "channel_timeout")
        // Now no thread is left: the channel is out of service, at once, and the process not ready.
        #expect(try await eventually { !host.isReady })
        let third = try #require(try await refusal { try await host.review(try claim()) })
        #expect(third.reason == "channel_out_of_service")
        #expect(!host.isReady)
        #expect(host.status[0].overdueCalls == 2)
    }

    @Test("A channel whose calls come back late is back in service when they do")
    func slow() async throws {
        let host = try await load("slow_review", limits: impatient)
        defer { host.shutdown() }
        async let one = refusal { try await host.review(try claim("slow")) }
        async let two = refusal { try await host.review(try claim("slow")) }
        let refusals = try await [one, two]
        #expect(refusals.map { $0?.reason } == ["channel_timeout", "channel_timeout"])
        #expect(try await eventually { host.isReady })
        #expect(try await refusal { try await host.review(try claim()) } == nil)
    }

    @Test("More calls than may wait are refused at once")
    func busy() async throws {
        var limits = impatient
        limits.threads = 1
        limits.waiting = 1
        let host = try await load("slow_review", limits: limits)
        defer { host.shutdown() }
        let reasons = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<8 {
                group.addTask { try await refusal { try await host.review(try claim("slow")) }?.reason }
            }
            return try await group.reduce(into: [:]) { $0[$1 ?? "none", default: 0] += 1 }
        }
        #expect(reasons["channel_busy", default: 0] >= 1, "\(reasons)")
    }

    @Test("A ticket that is never answered lapses; one answered twice counts once")
    func tickets() async throws {
        let never = try await load("never_answered", limits: impatient)
        defer { never.shutdown() }
        let refused = try await refusal { try await never.review(try claim()) }
        #expect(refused?.reason == "channel_timeout")
        #expect(never.isReady)

        let twice = try await load("double_answer")
        defer { twice.shutdown() }
        let details = try await twice.review(try claim()).details
        #expect(details.map(\.value) == ["kept", "first"])
        #expect(twice.status[0].misbehaviours == 3)
    }

    @Test("A plugin has 64 names for its numbers, and a bounded share of the log")
    func numbers() async throws {
        let host = try await load("numbers")
        defer { host.shutdown() }
        let details = try await host.review(try claim()).details
        #expect(details.map(\.value) == ["64"])
        #expect(host.status[0].values.count == 64)
        #expect(host.status[0].values["counter_63"] == 2)
        #expect(host.status[0].misbehaviours == 3)
    }

    @Test("A plugin that breaks rules without end is left alone for the rest of the minute")
    func mischief() async throws {
        var limits = ChannelCallLimits()
        limits.misbehaviours = 20
        let host = try await load("mischief", limits: limits)
        defer { host.shutdown() }
        var reasons: [String: Int] = [:]
        for _ in 0..<200 {
            reasons[try await refusal { try await host.review(try claim()) }?.reason ?? "none", default: 0] +=
                1
        }
        // A minute may have turned in between.
        #expect(reasons["channel_failed", default: 0] <= 20)
        #expect(reasons["channel_out_of_service", default: 0] >= 180)
        #expect(host.isReady)
    }
}

/// A session of a device of the zoo.
func opening(_ senderID: String = "tiger-1", channel: String = "zoo", metadata: String = "") throws
    -> ChannelSessionOpening
{
    ChannelSessionOpening(
        channel: try #require(ChannelID(channel)), senderID: try #require(SenderID(senderID)), hasKey: true,
        metadata: metadata, openedAt: Timestamp(milliseconds: 1_000))
}
