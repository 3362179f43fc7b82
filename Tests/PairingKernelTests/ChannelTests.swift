import ChannelHost
import PairingCore
import PairingStore
import Postgres
import Synchronization
import Testing

@testable import PairingKernel

/// Serialized: they count what one plugin, which all of them share, was told.
@Suite("Sessions and their channel", .serialized)
struct ChannelTests {
    private func count(_ name: String) async throws -> Double {
        let status = try await Instance.channels.value.status.first { $0.id.text == "obedient" }
        return try #require(status).values[name] ?? 0
    }

    /// A device of the channel that does what messages tell it, connected.
    private func connected(
        _ sender: String, to instance: Instance
    ) async throws -> (device: TestDevice, socket: RecordingSocket, grant: SessionGrant) {
        let device = try await instance.pair(sender, channel: "obedient")
        let socket = try instance.socket()
        return (device, socket, try await instance.connect(device, on: socket))
    }

    private func payloads(_ event: String, of socket: RecordingSocket) -> [String] {
        socket.frames.filter { $0.event == event }.map(\.payload)
    }

    @Test("A channel hears of a session's beginning and, once, of its end and why")
    func life() async throws {
        try await System.run { one, two in
            let opened = try await count("opened")
            let (device, socket, _) = try await connected("tablet-01", to: one)
            try await eventually("the greeting") { socket.frames.map(\.event) == ["welcome"] }
            #expect(try await count("opened") > opened)

            let replaced = try await count("closed_replaced")
            let second = try two.socket()
            try await two.connect(device, on: second)
            #expect(try await socket.closure() == .replaced)
            try await eventually("replaced") { try await self.count("closed_replaced") == replaced + 1 }

            let revoked = try await count("closed_revoked")
            try await one.revoke(device)
            #expect(try await second.closure() == .revoked)
            try await eventually("revoked") { try await self.count("closed_revoked") == revoked + 1 }

            let gone = try await count("closed_disconnected")
            let (_, third, _) = try await connected("tablet-02", to: one)
            one.sessions.detach(third)
            one.sessions.detach(third)
            try await eventually("gone") { try await self.count("closed_disconnected") == gone + 1 }
        }
    }

    @Test("A session that its channel refuses does not begin, and replaces none")
    func refusedSession() async throws {
        try await System.run { one, _ in
            let device = try await one.pair("unwelcome", channel: "obedient")
            let refusal = try await one.refusal(of: device)
            #expect(refusal?.code == .forbidden && refusal?.reason == "unwelcome")
            #expect(refusal?.message == "You fed the bears.")
            #expect(one.sessions.liveCount == 0)
        }
    }

    @Test("A device whose channel is not loaded here is told to come back, not that it is unknown")
    func missingChannel() async throws {
        try await System.run { one, _ in
            let device = try await one.pair("tablet-01")
            try await one.pool.execute(
                "UPDATE paired_devices SET channel = 'elsewhere'", [])
            let moved = TestDevice(device, channel: try #require(ChannelID("elsewhere")))
            let refusal = try await one.refusal(of: moved)
            #expect(refusal?.code == .unavailable && refusal?.retryable == true)
        }
    }

    @Test("A refused message is not accepted, takes no number, and the device reads why")
    func refusedMessage() async throws {
        try await System.run { one, _ in
            let (_, socket, grant) = try await connected("tablet-01", to: one)
            await #expect(throws: Refusal(.invalidRequest, "not_tuesday", "Come on Tuesday.")) {
                try await one.sessions.send(id: "a", body: #""refuse""#, grant: grant, on: socket)
            }
            do {
                _ = try await one.sessions.send(id: "b", body: #""fail""#, grant: grant, on: socket)
                Issue.record("a message was accepted that the channel failed on")
            } catch let refusal as Refusal {
                #expect(refusal.code == .unavailable && refusal.retryable)
            }
            let receipt = try await one.sessions.send(id: "a", body: "1", grant: grant, on: socket)
            #expect(receipt.sequence == 1)
            #expect(receipt.frames == [ChannelFrame(event: "receipt", payload: #"{"ok":true}"#)])
            try await eventually("the answer") { payloads("says", of: socket).count == 1 }
            #expect(payloads("says", of: socket)[0].contains(#""body":{"number":1}"#))
        }
    }

    @Test("A message becomes what the channel makes of it, all of it answered; a repeat keeps its number")
    func severalMessages() async throws {
        try await System.run { one, _ in
            let (_, socket, grant) = try await connected("tablet-01", to: one)
            _ = try await one.sessions.send(id: "a", body: #""split""#, grant: grant, on: socket)
            _ = try await one.sessions.send(id: "b", body: #""nothing""#, grant: grant, on: socket)
            _ = try await one.sessions.send(id: "c", body: "1", grant: grant, on: socket)
            let again = try await one.sessions.send(id: "a", body: #""split""#, grant: grant, on: socket)
            #expect(again.sequence == 1 && again.frames.count == 1)
            try await eventually("three answers") { payloads("says", of: socket).count >= 3 }
            #expect(
                payloads("says", of: socket) == [
                    #"{"messageSeq":1,"id":"1-1","body":"half"}"#,
                    #"{"messageSeq":2,"id":"1-2","body":{"number":1}}"#,
                    #"{"messageSeq":3,"id":"1-3","body":{"number":3}}"#,
                ])
        }
    }

    @Test("A repeat is what was accepted before: it gets the first receipt, whatever it says now")
    func repeatsWithAnotherBody() async throws {
        try await System.run { one, _ in
            let (_, socket, grant) = try await connected("tablet-01", to: one)
            let first = try await one.sessions.send(id: "a", body: "1", grant: grant, on: socket)
            let refused = try await one.sessions.send(id: "a", body: #""refuse""#, grant: grant, on: socket)
            #expect(refused == first)
            _ = try await one.sessions.send(id: "b", body: "2", grant: grant, on: socket)
            try await eventually("two answers") { payloads("says", of: socket).count >= 2 }
            #expect(payloads("says", of: socket).count == 2)
        }
    }

    @Test("A message that the channel leaves out for good is not offered again, and not waited for")
    func leftOut() async throws {
        try await System.run { one, two in
            let (device, socket, grant) = try await connected("tablet-01", to: one)
            _ = try await one.sessions.send(id: "a", body: #""never""#, grant: grant, on: socket)
            try await eventually("the message is settled") {
                try await one.pool.query("SELECT 1 FROM messages WHERE done_at IS NULL").count == 0
            }
            let streams = try await one.pool.query("SELECT acknowledged_out FROM device_streams")
            #expect(try streams.map { try $0.int64("acknowledged_out") } == [1])
            let next = try two.socket()
            try await two.connect(device, on: next)
            try await eventually("the greeting") { !next.frames.isEmpty }
            #expect(next.frames.map(\.event) == ["welcome"])
        }
    }

    @Test(
        "A message that the channel fails on is tried again, and ends as undeliverable; the next one follows (I4)"
    )
    func undelivered() async throws {
        try await System.run { one, two in
            let (device, socket, grant) = try await connected("tablet-01", to: one)
            _ = try await one.sessions.send(id: "a", body: #""never""#, grant: grant, on: socket)
            _ = try await one.sessions.send(id: "b", body: "1", grant: grant, on: socket)
            _ = try await one.sessions.send(id: "c", body: #""not now""#, grant: grant, on: socket)
            _ = try await one.sessions.send(id: "d", body: "2", grant: grant, on: socket)
            try await eventually("the answer behind the failing one") {
                payloads("says", of: socket).count == 2
            }
            #expect(socket.closures.isEmpty)
            let rows = try await one.pool.query(
                "SELECT sequence, attempts, end_reason FROM messages WHERE ended = 'undeliverable' ORDER BY sequence"
            )
            #expect(try rows.map { try $0.int64("sequence") } == [1, 3])
            #expect(try rows.map { try $0.int("attempts") } == [0, System.settings.deliveryAttempts])
            let next = try two.socket()
            try await two.connect(device, on: next)
            try await eventually("the answers again") { payloads("says", of: next).count == 2 }
            #expect(payloads("says", of: next) == payloads("says", of: socket))
        }
    }

    @Test("A channel gets a device's metadata to the byte, 16 KiB of great numbers too")
    func metadata() async throws {
        try await System.run { one, _ in
            let device = try TestDevice("tablet-01", channel: "obedient")
            let peer = try TestPeer.fresh()
            var claim = try device.claim(to: peer)
            claim.metadata = .object(["z": .array(Array(repeating: .number(1e300), count: 2300)), "b": .null])
            let text = claim.metadata.text
            #expect(text.utf8.count > 16000)
            let waiting = try one.socket()
            let answer = try await one.sessions.requestPairing(claim, from: peer, on: waiting)
            guard case .pending(let ticket) = answer else { throw TimedOut(description: "paired already") }
            try await one.approve(ticket)
            one.sessions.detach(waiting)
            let socket = try one.socket()
            try await one.connect(device, on: socket)
            try await eventually("the greeting") { !socket.frames.isEmpty }
            #expect(socket.frames == [ChannelFrame(event: "welcome", payload: text)])
        }
    }

    @Test("A channel ends a session with a reason of its own")
    func leaving() async throws {
        try await System.run { one, _ in
            let (_, socket, grant) = try await connected("tablet-01", to: one)
            _ = try await one.sessions.send(id: "a", body: #""leave""#, grant: grant, on: socket)
            #expect(try await socket.closure() == .endedByChannel("closing time"))
        }
    }
}
