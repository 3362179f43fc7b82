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
        let gate: Gate
        private let address: ClientAddress
        private let entered = Mutex<[Int]>([])
        private let inside = Atomic(0)
        private let leaving = AsyncStream.makeStream(of: Void.self)

        init() throws {
            gate = Gate(width: 2, capacity: 3, patience: .seconds(600))
            address = try #require(ClientAddress("198.51.100.7"))
        }

        var visitors: [Int] { entered.withLock { $0 } }

        /// - Throws: ``Failed`` for the visitor 3.
        func visit(_ number: Int) async throws -> Int {
            try await gate.pass(address) {
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
        let room = try Room()
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

    private func address(_ text: String) throws -> ClientAddress { try #require(ClientAddress(text)) }

    @Test("Networks, and within one its addresses, have their turns, however many of one wait (I13)")
    func turns() throws {
        var machine = GateMachine(width: 1, capacity: 100)
        let arrivals = [
            "198.51.100.1", "198.51.100.1", "198.51.100.1", "198.51.100.2", "203.0.113.1", "192.0.2.1",
            "203.0.113.1",
        ]
        let isIn = machine.enterAtOnce()
        #expect(isIn)
        for (number, text) in arrivals.enumerated() {
            let arrival = machine.arrive(UInt64(number), from: try address(text))
            #expect(arrival == .waits)
        }
        machine.remove(2)
        var order: [UInt64] = []
        while let next = machine.leave() { order.append(next) }
        #expect(order == [0, 4, 5, 3, 6, 1])
        #expect(machine.waiting == 0)
        let isFree = machine.enterAtOnce()
        #expect(isFree)
    }

    @Test("Where too many wait, the newest of the network that holds most makes room, and gets no more (I13)")
    func displacement() throws {
        var machine = GateMachine(width: 0, capacity: 3)
        for number in 0..<3 { _ = machine.arrive(UInt64(number), from: try address("198.51.100.1")) }
        let more = machine.arrive(3, from: try address("198.51.100.1"))
        #expect(more == .refused)
        let other = machine.arrive(4, from: try address("203.0.113.1"))
        #expect(other == .waitsDisplacing(2))
        #expect(machine.waiting == 3)
    }

    @Test("Who waits for too long, or is cancelled, is told so and waits no more")
    func patience() async throws {
        let gate = Gate(width: 0, patience: .milliseconds(20))
        let address = try address("198.51.100.1")
        let refusal = await #expect(throws: Refusal.self) { try await gate.pass(address) {} }
        #expect(refusal?.code == .unavailable && refusal?.retryable == true)
        #expect(gate.waiting == 0)
        let patient = Gate(width: 0, patience: .seconds(600))
        let visit = Task { try await patient.pass(address) {} }
        try await eventually("it waits") { patient.waiting == 1 }
        visit.cancel()
        await #expect(throws: CancellationError.self) { try await visit.value }
        #expect(patient.waiting == 0)
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
            // Those who waited for too long were told so, too.
            #expect(
                refusals.allSatisfy { ["overloaded", "database_busy"].contains($0.reason) && $0.retryable })
            #expect(refusals.count { $0.reason == "overloaded" } >= 900 - 512 - 2)
            await instance.kill()
        }
    }
}
