import Foundation
import PairingCore
import Testing

@testable import ChannelHost

@Suite("What one device can do to its channel")
struct FairnessTests {
    private func load(_ animal: String, limits: ChannelCallLimits = ChannelCallLimits()) async throws
        -> ChannelHost
    {
        let cage = try Cage()
        try await cage.add(animal)
        let host = cage.load(limits: limits)
        #expect(host.refused == [])
        return host
    }

    // A minute may turn in the middle of a test, so a device may have its share twice.

    @Test(
        "A device on whose messages its channel fails is refused alone, and hears what it can do",
        arguments: ["fail", "status", "sink", "host", "ticket"])
    func failingMessages(id: String) async throws {
        let host = try await load("touchy")
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        let (other, _) = try await host.open(try opening("lion-1")) { _ in }
        var refusals: [Refusal] = []
        for _ in 0..<30 {
            if let refused = try await refusal({ try await host.receive(message(id), in: session) }) {
                refusals.append(refused)
            }
        }
        #expect(try #require(host.status[0].values["received"]) <= 20)
        let kept = refusals.filter { $0.reason == "channel_failing_here" }
        let first = try #require(kept.first)
        #expect(kept.count >= 10)
        #expect(first.code == .unavailable)
        #expect(first.retryable)
        #expect(try #require(first.retryAfter) <= .seconds(60))
        #expect(
            first.message == "The channel zoo failed too often on this device's messages; the server's log "
                + "says more. Try again later.")
        // The channel and its other devices are as they were; the session's end is told.
        #expect(host.status[0].outOfService == nil)
        #expect(try await refusal { try await host.receive(message("good"), in: other) } == nil)
        host.close(session, reason: "bye")
        #expect(try await eventually { host.status[0].values["closed"] == 1 })
        host.close(other, reason: "bye")
    }

    @Test("A channel that fails on what agents say to one device is kept from that device alone")
    func failingDeliveries() async throws {
        let host = try await load("touchy")
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        defer { host.close(session, reason: "bye") }
        var reasons: Set<String> = []
        for number in 1...30 {
            let said = ChannelAgentMessage(number: Int64(number), body: "{}")
            reasons.insert(
                try await refusal { try await host.deliver(said, in: session) }?.reason ?? "none")
        }
        #expect(reasons == ["channel_failed", "channel_failing_here"])
        #expect(try #require(host.status[0].values["delivered"]) <= 20)
        #expect(host.status[0].outOfService == nil)
    }

    @Test("Messages that wait while the channel fails on those before them do not reach it either")
    func batch() async throws {
        let host = try await load("touchy")
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        let results = try await host.receive(count: 200, in: session) { _, _ in message("fail") }
        #expect(results.allSatisfy { (try? $0.get()) == nil })
        #expect(try #require(host.status[0].values["received"]) <= 20)
        #expect(host.status[0].outOfService == nil)
        host.close(session, reason: "bye")
        #expect(try await eventually { host.status[0].values["closed"] == 1 })
    }

    @Test("A device whose sessions cannot be opened does not wear its channel out by coming again")
    func failingOpenings() async throws {
        let host = try await load("touchy")
        defer { host.shutdown() }
        var reasons: Set<String> = []
        for _ in 0..<30 {
            let refused = try await refusal { try await host.open(try opening("sour")) { _ in } }
            reasons.insert(refused?.reason ?? "none")
        }
        #expect(reasons == ["channel_failed", "channel_failing_here"])
        #expect(try #require(host.status[0].values["opened"]) <= 20)
        #expect(host.status[0].sessions == 0)
        #expect(host.status[0].outOfService == nil)
    }

    @Test("Time that a channel does not keep is charged to the device that it was for")
    func slowMessages() async throws {
        var limits = ChannelCallLimits()
        limits.call = .seconds(2)
        limits.misbehavioursPerSender = 1
        limits.misbehaviours = 5
        let host = try await load("touchy", limits: limits)
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        defer { host.close(session, reason: "bye") }
        var reasons: [String] = []
        while reasons.count < 8, reasons.last != "channel_failing_here" {
            reasons.append(
                try await refusal { try await host.receive(message("slow"), in: session) }?.reason ?? "none")
        }
        #expect(reasons.first == "channel_timeout")
        #expect(reasons.last == "channel_failing_here")
        #expect(host.status[0].outOfService == nil)
    }

    @Test("Many devices on whose messages a channel fails do put it out of service")
    func failingForMany() async throws {
        let host = try await load("touchy")
        defer { host.shutdown() }
        var sessions: [ChannelSession] = []
        for number in 0..<25 {
            sessions.append(try await host.open(try opening("tiger-\(number)")) { _ in }.session)
        }
        var reasons: Set<String> = []
        for session in sessions {
            for _ in 0..<10 {
                let refused = try await refusal { try await host.receive(message("fail"), in: session) }
                reasons.insert(refused?.reason ?? "none")
            }
            host.close(session, reason: "bye")
        }
        #expect(reasons.contains("channel_out_of_service"))
    }

    @Test("A share is a minute's, and a device that nobody has room for is charged to the channel")
    func shares() {
        var faults = SenderFaults(share: 2, capacity: 2)
        #expect(faults.pause(of: "a", at: 61) == nil)
        let first = (0..<4).map { _ in faults.charge("a", at: 61) }
        #expect(first == [true, true, false, false])
        let (paused, free) = (faults.pause(of: "a", at: 70), faults.pause(of: "b", at: 70))
        #expect(paused == .seconds(50))
        #expect(free == nil)
        let others = ["b", "c", "c", "c"].map { faults.charge($0, at: 119) }
        #expect(others == [true, true, true, true])
        let known = faults.pause(of: "c", at: 119)
        #expect(known == nil)
        let next = (faults.pause(of: "a", at: 120), faults.charge("c", at: 120))
        #expect(next == (nil, true))
    }

    @Test("A device that connects again has what is left of its rate, not a new one")
    func rate() async throws {
        let host = try await load("diligent")
        defer { host.shutdown() }
        let (first, _) = try await host.open(try opening()) { _ in }
        for _ in 0..<40 { _ = try await host.receive(message(), in: first) }
        host.close(first, reason: "bye")
        let (again, _) = try await host.open(try opening("TIGER-1")) { _ in }
        defer { host.close(again, reason: "bye") }
        let flood = try await refusal { try await host.receive(message(), in: again) }
        #expect(flood?.reason == "too_many_messages")
        let (other, _) = try await host.open(try opening("lion-1")) { _ in }
        defer { host.close(other, reason: "bye") }
        #expect(try await refusal { try await host.receive(message(), in: other) } == nil)
    }

    @Test("A rate beyond all measure is a rate")
    func extremeRates() {
        for rate in [.leastNonzeroMagnitude, 1e300, .greatestFiniteMagnitude] {
            #expect(ChannelLimits.burst(ofRate: rate) >= 1)
        }
    }

    @Test("A long reason is cut to what is kept, at a character's end; one that is no text is left out")
    func longReasons() async throws {
        let host = try await load("long_winded")
        defer { host.shutdown() }
        let refused = try await refusal { try await host.review(try claim()) }
        #expect(refused?.reason == "long")
        #expect(refused?.message == "x" + String(repeating: "ä", count: 511))
        #expect(host.status[0].misbehaviours == 0)
        let broken = try await refusal { try await host.review(try claim("broken")) }
        #expect(broken?.reason == "channel_refused")
        #expect(host.status[0].misbehaviours == 1)
    }

    @Test("A session that the host has given up is gone for the plugin, and nobody is asked to close it")
    func closeAfterEnd() async throws {
        let host = try await load("clinging")
        defer { host.shutdown() }
        let (requests, request) = AsyncStream.makeStream(of: Void.self)
        let (session, _) = try await host.open(try opening()) { _ in request.yield() }
        async let output = host.receive(message(), in: session)
        for await _ in requests { break }
        host.close(session, reason: "bye")
        #expect(try await output.messages.map(\.body) == ["\"gone\""])
        #expect(try await eventually { host.status[0].sessions == 0 })
    }

    @Test("A session that was given up before its plugin heard of it is not opened any more")
    func closedBeforeOpening() throws {
        let late = ChannelSession(try opening()) { _ in }
        #expect(late.markClosed() == .apart)
        #expect(!late.beginOpening())
        #expect(late.phase == .apart)
        #expect(late.markClosed() == nil)
        let timely = ChannelSession(try opening()) { _ in }
        #expect(timely.beginOpening())
        #expect(timely.markClosed() == .opening)
        #expect(!timely.requestClose(reason: "bye"))
    }

    @Test("One name is a counter's or a gauge's, not both")
    func kinds() async throws {
        let host = try await load("two_kinds")
        defer { host.shutdown() }
        #expect(try await refusal { try await host.review(try claim()) } == nil)
        #expect(host.status[0].values == ["lions": 2, "lions_total": 9])
        #expect(host.status[0].misbehaviours == 2)
    }

    @Test("A plugin that does not come back from its end does not keep the process from ending")
    func endlessEnd() async throws {
        let host = try await load("endless_destroy")
        host.shutdown(within: .milliseconds(200))
        #expect(host.status[0].misbehaviours == 1)
    }
}

private func message(_ id: String = "m") -> ChannelDeviceMessage {
    ChannelDeviceMessage(number: 1, id: id, receivedAt: Timestamp(milliseconds: 2_000), body: "{}")
}
