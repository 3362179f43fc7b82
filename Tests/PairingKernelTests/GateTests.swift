import PairingCore
import PairingStore
import Postgres
import Synchronization
import Testing

@testable import PairingKernel

@Suite("The gate that strangers wait at (I10)")
struct GateTests {
    private struct Failed: Error {}

    /// Visitors behind a gate, who leave one at a time.
    private final class Room: Sendable {
        let gate = Gate(width: 2, capacity: 3)
        private let entered = Mutex<[Int]>([])
        private let inside = Atomic(0)
        private let leaving = AsyncStream.makeStream(of: Void.self)

        var visitors: [Int] { entered.withLock { $0 } }

        /// - Throws: ``Failed`` for the visitor 3.
        func visit(_ number: Int) async throws -> Int {
            try await gate.pass {
                entered.withLock { $0.append(number) }
                #expect(inside.add(1, ordering: .relaxed).newValue <= 2)
                for await _ in leaving.stream { break }
                inside.subtract(1, ordering: .relaxed)
                if number == 3 { throw Failed() }
                return number
            }
        }

        func letOneLeave() { leaving.continuation.yield() }
    }

    @Test("Few are inside at once, some wait in the order of their arrival, and more are refused")
    func bounds() async throws {
        let room = Room()
        var visits: [Task<Int, any Error>] = []
        for number in 0..<5 {
            visits.append(Task { try await room.visit(number) })
            try await eventually("\(number) has come") {
                room.visitors.count + room.gate.waiting == number + 1
            }
        }
        #expect(room.visitors.sorted() == [0, 1])
        let refusal = await #expect(throws: Refusal.self) { try await room.visit(5) }
        #expect(refusal?.code == .resourceExhausted)
        #expect(refusal?.retryable == true)
        #expect(refusal?.retryAfter != nil)
        for count in 3...5 {
            room.letOneLeave()
            try await eventually("\(count) have entered") { room.visitors.count == count }
        }
        #expect(room.visitors.dropFirst(2) == [2, 3, 4])
        room.letOneLeave()
        room.letOneLeave()
        for number in [0, 1, 2, 4] { #expect(try await visits[number].value == number) }
        // Who fails leaves, too.
        await #expect(throws: Failed.self) { try await visits[3].value }
        room.letOneLeave()
        #expect(try await room.visit(6) == 6)
    }

    @Test("However many strangers ask, a paired device connects, and its messages pass (I3)")
    func strangers() async throws {
        try await System.withDatabase { url in
            let instance = try await Instance(1, url: url, settings: try System.settings) {
                $0.lockTimeout = .seconds(60)
                $0.statementTimeout = .seconds(60)
            }
            let paired = try await instance.pair("tablet-01")
            // New requests wait for this lock.
            let isReleased = Atomic(false)
            let isHeld = Atomic(false)
            async let holder: Void = instance.pool.transaction { transaction in
                try transaction.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended('pairing-requests', 0))")
                isHeld.store(true, ordering: .relaxed)
                // The server ends a transaction that is idle for long.
                while !isReleased.load(ordering: .relaxed) {
                    try transaction.execute("SELECT pg_sleep(0.01)")
                }
            }
            try await eventually("the lock") { isHeld.load(ordering: .relaxed) }
            let strangers = try (0..<900).map { number in
                let claim = PairingClaim(
                    channel: paired.channel, senderID: try #require(SenderID("stranger-\(number)")),
                    credential: .none)
                let socket = try instance.socket("198.51.100.7")
                let peer = try TestPeer.make(address: "198.51.100.7")
                return Task { () -> Refusal? in
                    do throws(Refusal) {
                        _ = try await instance.sessions.requestPairing(claim, from: peer, on: socket)
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            try await eventually("as many as may wait") {
                instance.kernel.pairing.strangers.waiting == 512
            }
            let socket = try instance.socket()
            let grant = try await instance.connect(paired, on: socket)
            _ = try await instance.sessions.send(id: "m", body: "1", grant: grant, on: socket)
            try await eventually("the answer") { socket.messages.count == 1 }
            #expect(instance.sessions.hasAuthority)
            isReleased.store(true, ordering: .relaxed)
            try await holder
            var refusals: [Refusal] = []
            for stranger in strangers {
                if let refusal = await stranger.value { refusals.append(refusal) }
            }
            #expect(!refusals.isEmpty && refusals.count < 900 - 512)
            #expect(refusals.allSatisfy { $0.reason == "overloaded" && $0.retryable })
            await instance.kill()
        }
    }
}
