import PairingCore
import PairingStore
import Postgres
import Synchronization
import Testing

@testable import PairingKernel

@Suite("Messages of a device that somebody has locked, and answers whose commit had no answer (I4, I10)")
struct LockedDeviceTests {
    /// Holds a device's row, as somebody's hand does.
    private final class Hand: Sendable {
        private let isReleased = Atomic(false)
        private let isHolding = Atomic(false)

        var holds: Bool { isHolding.load(ordering: .acquiring) }

        func release() { isReleased.store(true, ordering: .releasing) }

        /// Returns once it is released.
        func hold(_ device: SenderID, in pool: PostgresPool) async throws {
            try await pool.transaction { transaction in
                try transaction.execute(
                    "SELECT FROM device_streams WHERE sender_key = $1 FOR UPDATE", [.text(device.key)])
                self.isHolding.store(true, ordering: .releasing)
                while !self.isReleased.load(ordering: .acquiring) {
                    // The transaction's thread may wait.
                    try transaction.execute("SELECT pg_sleep(0.02)")
                }
            }
        }
    }

    private static func withHand(
        on device: SenderID, of instance: Instance, _ body: (Hand) async throws -> Void
    ) async throws {
        let hand = Hand()
        let held = Task { try await hand.hold(device, in: instance.pool) }
        try await eventually("the lock") { hand.holds }
        let result: Result<Void, any Error>
        do { result = .success(try await body(hand)) } catch { result = .failure(error) }
        hand.release()
        try await held.value
        try result.get()
    }

    @Test("While one device's row is locked the others' messages are accepted and answered as ever (I10)")
    func others() async throws {
        try await System.run { one, _ in
            let device = try await one.pair("locked")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            let other = try await one.pair("other")
            let otherSocket = try one.socket()
            let otherGrant = try await one.connect(other, on: otherSocket)
            var isRefused = false
            try await Self.withHand(on: device.senderID, of: one) { _ in
                async let locked = one.sessions.send(id: "1", body: "1", grant: grant, on: socket)
                var slowest = Duration.zero
                for index in 1...40 {
                    let start = ContinuousClock.now
                    let receipt = try await one.sessions.send(
                        id: "\(index)", body: "\(index)", grant: otherGrant, on: otherSocket)
                    #expect(receipt.sequence == Int64(index))
                    slowest = max(slowest, .now - start)
                    if index % 10 == 0 {
                        try await one.sessions.acknowledge(
                            upTo: Int64(index), grant: otherGrant, on: otherSocket)
                    }
                }
                // Far below the time that a statement waits for a lock.
                #expect(slowest < .seconds(2), "\(slowest)")
                try await eventually("the answers") { otherSocket.messages.count == 40 }
                do {
                    _ = try await locked
                } catch let refusal as Refusal {
                    isRefused = true
                    #expect(refusal.code == .unavailable && refusal.retryable)
                }
            }
            #expect(isRefused)
            let receipt = try await one.sessions.send(id: "1", body: "1", grant: grant, on: socket)
            #expect(receipt.sequence == 1)
            try await eventually("the answer") { socket.messages.map(\.body) == ["1"] }
        }
    }

    @Test("A message of a locked device is accepted as soon as the device is free")
    func released() async throws {
        try await System.run { one, _ in
            let device = try await one.pair("locked")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            try await Self.withHand(on: device.senderID, of: one) { hand in
                async let locked = one.sessions.send(id: "1", body: "1", grant: grant, on: socket)
                // Longer than a batch waits for a lock.
                try await eventually("a wait") {
                    try await one.pool.query(
                        "SELECT 1 AS waits FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                    ).first != nil
                }
                hand.release()
                #expect(try await locked.sequence == 1)
            }
            try await eventually("the answer") { socket.messages.map(\.body) == ["1"] }
        }
    }

    @Test(
        "An answer that was stored without anybody learning of it is delivered, before any later one (I4)",
        arguments: [false, true])
    func storedUnknown(isFollowed: Bool) async throws {
        let agent = TestAgent(isFailing: true)
        try await System.run(agents: [agent]) { one, _ in
            let device = try await one.pair("tablet")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            _ = try await one.sessions.send(id: "1", body: "1", grant: grant, on: socket)
            // As by a commit of this session whose answer was lost.
            let settlement = PairingStore.Settlement(
                sender: grant.liveSession.sender, sequence: 1, messageID: "1",
                result: .answered([PairingStore.AgentReply(agent: "test", body: "\"stored\"")]))
            var stored: PairingStore.StoredSettlement?
            try await eventually("the commit") {
                // The instance itself may have the device locked, to count a failure.
                let outcome = try await one.kernel.store.settle(
                    [settlement], for: one.sessions.dispatcher.claim)
                if case .stored(let settled) = outcome[0] { stored = settled }
                return outcome[0] != .locked
            }
            #expect(stored?.messages.map(\.sequence) == [1])
            agent.recover()
            if isFollowed {
                _ = try await one.sessions.send(id: "2", body: "2", grant: grant, on: socket)
            }
            let expected = isFollowed ? ["\"stored\"", "2"] : ["\"stored\""]
            try await eventually("the answers") { socket.messages.count >= expected.count }
            #expect(socket.messages.map(\.body) == expected)
            #expect(socket.messages.map(\.sequence) == Array(1...Int64(expected.count)))
        }
    }
}
