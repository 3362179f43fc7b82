import ChannelHost
import Foundation
import PairingCore
import Synchronization
import Testing

@Suite("Sessions")
struct SessionTests {
    private func load(
        _ animal: String, configuration: String = "{}", limits: ChannelCallLimits = ChannelCallLimits()
    ) async throws -> ChannelHost {
        let cage = try Cage()
        try await cage.add(animal)
        let host = cage.load(["zoo": configuration], limits: limits)
        #expect(host.refused == [])
        return host
    }

    @Test("The limits a plugin declares are known, and a key that it requires is required")
    func limits() async throws {
        let host = try await load("diligent", configuration: "{\"key\":true}")
        defer { host.shutdown() }
        let limits = host.channels[0].limits
        #expect(limits.requiresKey)
        #expect(!limits.allowsToken)
        #expect(limits.maximumMessageBytes == 100)
        #expect(limits.messagesPerSecond == 0.001)
        #expect(limits.burst == 40)
        #expect(limits.heartbeat == .seconds(20))
        #expect(limits.silence == .seconds(50))
        #expect(limits.pairingLifetime == .seconds(600))
        #expect(limits.tick == .milliseconds(30))
        let refused = try #require(try await refusal { try await host.review(try claim()) })
        #expect(refused.code == .invalidRequest)
        #expect(refused.reason == "key_required")
        #expect(try await refusal { try await host.review(try claim(hasKey: true)) } == nil)
    }

    @Test("A session has its slot from its opening to its closing, and messages go both ways")
    func life() async throws {
        let host = try await load("diligent")
        defer { host.shutdown() }
        let (session, frames) = try await host.open(try opening()) { _ in }
        let (other, _) = try await host.open(try opening("lion-1")) { _ in }
        #expect(frames == [ChannelFrame(event: "welcome", payload: "{}")])
        #expect(host.status[0].sessions == 2)
        #expect(try await host.receive(message(), in: session).messages.map(\.body) == ["1"])
        #expect(try await host.receive(message(), in: session).messages.map(\.body) == ["2"])
        #expect(try await host.receive(message(), in: other).messages.map(\.body) == ["1"])
        let said = ChannelAgentMessage(number: 7, body: "\"hello\"", part: .init(index: 3, isLast: true))
        let delivered = try await host.deliver(said, in: session)
        #expect(
            delivered
                == [ChannelFrame(event: "agent.says", payload: #"{"number":7,"body":"hello","part":3}"#)])
        host.close(session, reason: "bye")
        host.close(session, reason: "bye")
        host.close(other, reason: "bye")
        #expect(try await eventually { host.status[0].sessions == 0 })
        #expect(host.status[0].values["opened"] == 2)
        #expect(host.status[0].values["closed"] == 2)
    }

    @Test("A session that the plugin refuses is not opened, and never closed")
    func refusedSession() async throws {
        let host = try await load("diligent")
        defer { host.shutdown() }
        let refused = try #require(
            try await refusal { try await host.open(try opening("unwelcome")) { _ in } })
        #expect(refused.code == .forbidden)
        #expect(refused.reason == "unwelcome")
        #expect(refused.message == "You fed the bears.")
        #expect(try await eventually { host.status[0].sessions == 0 })
        #expect(host.status[0].values["closed"] == nil)
    }

    @Test("I4: Calls of one session come one after the other and are answered in order, tickets or not")
    func order() async throws {
        let host = try await load("diligent")
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        defer { host.close(session, reason: "bye") }
        let arrived = try await withThrowingTaskGroup(of: Int?.self) { group in
            for index in 1...40 {
                let id = index % 3 == 0 ? "later" : "now"
                group.addTask { Int(try await host.receive(message(id), in: session).messages[0].body) }
            }
            return try await group.reduce(into: []) { $0.append($1 ?? 0) }
        }
        // The plugin numbers what it gets and fails where two calls overlap; so nothing was lost or doubled.
        #expect(arrived.sorted() == Array(1...40))
    }

    @Test("I10: Of messages that came together each has its own outcome, and hears of the one before it")
    func together() async throws {
        let host = try await load("diligent")
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        let large = message(body: "\"" + String(repeating: "x", count: 100) + "\"")
        let messages = [message(), message("later"), large, message(), message()]
        let before = Mutex<[Bool?]>([])
        let results = try await host.receive(count: messages.count, in: session) { index, result in
            before.withLock { $0.append(result.map { (try? $0.get()) != nil }) }
            return messages[index]
        }
        #expect(results.map { try? $0.get().messages.map(\.body) } == [["1"], ["2"], nil, ["3"], ["4"]])
        #expect(before.withLock { $0 } == [nil, true, true, false, true])
        #expect(try await host.receive(count: 0, in: session) { _, _ in message() }.isEmpty)
        host.close(session, reason: "bye")
    }

    @Test("Messages to a device are delivered together up to the first that fails, and none behind it")
    func delivered() async throws {
        let host = try await load("touchy")
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        let said = (1...3).map { ChannelAgentMessage(number: $0, body: "{}") }
        let results = try await host.deliver(said, in: session)
        #expect(results.count == 1)
        #expect(try #require(host.status[0].values["delivered"]) == 1)
        host.close(session, reason: "bye")
    }

    @Test("Messages above the declared size, rate and burst are refused by the host")
    func declaredLimits() async throws {
        let host = try await load("diligent")
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        defer { host.close(session, reason: "bye") }
        let large = message(body: "\"" + String(repeating: "x", count: 100) + "\"")
        let refused = try #require(try await refusal { try await host.receive(large, in: session) })
        #expect(refused.reason == "message_too_large")
        #expect(refused.message == "The message has 102 bytes; the channel zoo takes up to 100.")
        for _ in 0..<40 { _ = try await host.receive(message(), in: session) }
        let flood = try #require(try await refusal { try await host.receive(message(), in: session) })
        #expect(flood.code == .resourceExhausted)
        #expect(flood.reason == "too_many_messages")
        #expect(try #require(flood.retryAfter) > Duration.seconds(900))
    }

    @Test("A plugin can ask for the end of a session")
    func closeRequest() async throws {
        let host = try await load("diligent")
        defer { host.shutdown() }
        let (reasons, reason) = AsyncStream.makeStream(of: String.self)
        let (session, _) = try await host.open(try opening()) { reason.yield($0) }
        _ = try await host.receive(message("leave"), in: session)
        reason.finish()
        #expect(await reasons.reduce(into: []) { $0.append($1) } == ["closing time"])
        host.close(session, reason: "bye")
    }

    @Test("A plugin that asks for ticks gets them, and its instance ends with the host")
    func ticks() async throws {
        let host = try await load("diligent")
        #expect(try await eventually { (host.status[0].values["ticks"] ?? 0) >= 3 })
        host.shutdown()
        #expect(host.status[0].values["destroyed"] == 1)
        let late = try await refusal { try await host.review(try claim()) }
        #expect(late?.code == .unavailable)
    }

    @Test("Without functions of its own a channel passes messages as they are")
    func passThrough() async throws {
        let host = try await load("tame")
        defer { host.shutdown() }
        let (session, frames) = try await host.open(try opening()) { _ in }
        #expect(frames == [])
        let output = try await host.receive(message(body: "[1]"), in: session)
        #expect(output == ChannelOutput(messages: [ChannelAgentMessage(body: "[1]")]))
        let said = ChannelAgentMessage(number: 7, id: "x", agent: "e\"cho", body: "{}")
        let sent = try await host.deliver(said, in: session)
        #expect(
            sent == [
                ChannelFrame(
                    event: "message", payload: #"{"messageSeq":7,"agent":"e\"cho","message":{}}"#)
            ])
        host.close(session, reason: "bye")
        #expect(host.status[0].sessions == 0)
    }

    @Test(
        "A message or frame that the sink does not take fails the call, so that nothing is lost in silence",
        arguments: [
            "not-json", "null-byte", "deep", "flood", "large", "sizeless", "null-record", "unaligned",
            "event",
            "payload", "host-event",
        ])
    func badMessages(id: String) async throws {
        let host = try await load("bad_messages")
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        defer { host.close(session, reason: "bye") }
        let refused = try #require(try await refusal { try await host.receive(message(id), in: session) })
        #expect(refused.reason == "channel_failed" || refused.reason == "channel_out_of_service")
        #expect(host.status[0].misbehaviours >= 2)
    }

    @Test("JSON that is JSON passes the sink")
    func goodMessage() async throws {
        let host = try await load("bad_messages")
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        defer { host.close(session, reason: "bye") }
        let output = try await host.receive(message("good"), in: session)
        #expect(output.messages.map(\.body) == [#"{"a":[1,-2.5e3,"\ud83d\ude00"]}"#])
    }
}

private func message(_ id: String = "m", body: String = "{}") -> ChannelDeviceMessage {
    ChannelDeviceMessage(number: 1, id: id, receivedAt: Timestamp(milliseconds: 2_000), body: body)
}
