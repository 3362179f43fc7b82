import ChannelHost
import PairingCore
import PairingStore
import Postgres
import Testing

@testable import PairingKernel

@Suite("Messages that were sent together")
struct SentTogetherTests {
    private func connected(
        _ sender: String, to instance: Instance
    ) async throws -> (socket: RecordingSocket, grant: SessionGrant) {
        let device = try await instance.pair(sender, channel: "obedient")
        let socket = try instance.socket()
        return (socket, try await instance.connect(device, on: socket))
    }

    private func sequences(_ results: [Result<MessageReceipt, Refusal>]) -> [Int64?] {
        results.map { try? $0.get().sequence }
    }

    @Test(
        "They get their numbers in their order, and their channel hears the same numbers; a repeat keeps its own (I4)"
    )
    func order() async throws {
        try await System.run { one, _ in
            let (socket, grant) = try await connected("tablet-01", to: one)
            let first = await one.sessions.send(
                [
                    SentMessage(id: "a", body: "1"), SentMessage(id: "b", body: #""refuse""#),
                    SentMessage(id: "c", body: "3"), SentMessage(id: "a", body: "9"),
                    SentMessage(id: "d", body: "4"),
                ], grant: grant, on: socket)
            #expect(sequences(first) == [1, nil, 2, 1, 3])
            let second = await one.sessions.send(
                [SentMessage(id: "c", body: "8"), SentMessage(id: "e", body: "5")], grant: grant, on: socket)
            #expect(sequences(second) == [2, 4])
            try await eventually("four answers") {
                socket.frames.filter { $0.event == "says" }.map(\.payload)
                    == (1...4).map {
                        #"{"messageSeq":\#($0),"id":"1-\#($0)","body":{"number":\#($0)}}"#
                    }
            }
        }
    }

    @Test("One that the database cannot keep fails alone (I10)")
    func broken() async throws {
        try await System.run { one, _ in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            // What the wire refuses before it comes here: NUL, which PostgreSQL cannot store.
            let results = await one.sessions.send(
                [
                    SentMessage(id: "a", body: "1"), SentMessage(id: "b", body: "2\u{0}"),
                    SentMessage(id: "c", body: "3"),
                ], grant: grant, on: socket)
            #expect(sequences(results) == [1, nil, 2])
        }
    }

    @Test("Where there is no room for one, there is none for those after it, and none overtakes it")
    func full() async throws {
        try await System.run { one, _ in
            let (socket, grant) = try await connected("tablet-01", to: one)
            try await one.pool.execute(
                "UPDATE device_streams SET unanswered = 1, unanswered_bytes = $1 WHERE sender_key = 'tablet-01'",
                [.int64(MessageLimits().unansweredBytes - 100)])
            let results = await one.sessions.send(
                [
                    SentMessage(id: "a", body: "1"),
                    SentMessage(id: "b", body: "\"" + String(repeating: "x", count: 200) + "\""),
                    SentMessage(id: "c", body: "3"),
                ], grant: grant, on: socket)
            #expect(sequences(results) == [1, nil, nil])
            guard case .failure(let refusal) = results[2] else { return }
            #expect(refusal.reason == "unanswered_bytes")
        }
    }
}
