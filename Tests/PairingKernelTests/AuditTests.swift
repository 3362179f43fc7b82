import Cryptography
import PairingCore
import PairingStore
import Postgres
import Testing

@testable import PairingKernel

@Suite("The audit")
struct AuditTests {
    private static let empty = PairingStore.ChainEnds(
        position: 3, head: hash(3), after: 0, hash: sha256([]))

    private static func row(_ position: Int64, _ text: String = "x") -> PairingStore.ChainedEvent {
        var before = sha256([])
        for earlier in stride(from: Int64(1), to: position, by: 1) {
            before = EventChain.hash(of: ["\(earlier)", "x", nil], after: before)
        }
        return PairingStore.ChainedEvent(
            position: position, values: ["\(position)", text, nil],
            hash: EventChain.hash(of: ["\(position)", "x", nil], after: before))
    }

    private static func hash(_ position: Int64) -> [UInt8] { row(position).hash ?? [] }

    private static func fault(
        _ rows: [PairingStore.ChainedEvent], anchor: ChainHead? = nil
    ) -> EventChain.Fault? {
        do throws(EventChain.Fault) {
            var chain = try EventChain(empty, anchor: anchor)
            for row in rows { try chain.follow(row) }
            try chain.finish(empty)
            return nil
        } catch {
            return error
        }
    }

    @Test("The first bad row is found, whatever was done to it")
    func faults() {
        #expect(Self.fault([Self.row(1), Self.row(2), Self.row(3)]) == nil)
        #expect(Self.fault([Self.row(1), Self.row(2, "y"), Self.row(3)]) == .altered(2))
        #expect(Self.fault([Self.row(1), Self.row(3)]) == .missing(before: 3))
        #expect(Self.fault([Self.row(1), Self.row(2)]) == .missing(before: 4))
        var bare = Self.row(2)
        bare.hash = nil
        #expect(Self.fault([Self.row(1), bare]) == .unchained(2))
        // Rewritten as a whole: what is given with it agrees, what was kept elsewhere does not.
        let rows = [Self.row(1), Self.row(2), Self.row(3)]
        #expect(Self.fault(rows, anchor: ChainHead(position: 2, hash: Self.hash(2))) == nil)
        #expect(Self.fault(rows, anchor: ChainHead(position: 2, hash: Self.hash(1))) == .otherAnchor(2))
        #expect(Self.fault(rows, anchor: ChainHead(position: 4, hash: Self.hash(1))) == .anchorOutside(4))
    }

    @Test("Positions are left out only where a row of a restored database says after which one")
    func restored() throws {
        func follow(_ event: String, after: Int64, anchor: ChainHead? = nil) throws(EventChain.Fault) {
            var chain = try EventChain(Self.empty, anchor: anchor)
            try chain.follow(Self.row(1))
            var values = [String?](repeating: nil, count: 11)
            (values[0], values[2], values[10]) = ("900", event, "{\"after\": \(after), \"epoch\": 2}")
            let row = PairingStore.ChainedEvent(
                position: 900, values: values, hash: EventChain.hash(of: values, after: Self.hash(1)))
            try chain.follow(row)
        }
        try follow("database.restored", after: 1)
        #expect(throws: EventChain.Fault.missing(before: 900)) { try follow("database.restored", after: 2) }
        #expect(throws: EventChain.Fault.missing(before: 900)) { try follow("pairing.denied", after: 1) }
        // A head of the time that is gone is in no chain any more.
        let ends = ChainHead(position: 3, hash: Self.hash(3))
        #expect(throws: EventChain.Fault.anchorOutside(3)) {
            try follow("database.restored", after: 1, anchor: ends)
        }
    }

    @Test("A head is read as it is printed, and nothing else is")
    func heads() {
        let head = ChainHead(position: 12, hash: Self.hash(1))
        #expect(ChainHead(head.description) == head)
        for text in [
            "", "12", "12:", "x:" + String(repeating: "0", count: 64),
            "1:" + String(repeating: "g", count: 64),
        ] {
            #expect(ChainHead(text) == nil)
        }
    }

    @Test(
        "I8: every event is chained as it is written, on however many instances; what is changed later is found"
    )
    func chain() async throws {
        try await System.run { one, two in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<20 {
                    group.addTask { _ = try await (number % 2 == 0 ? one : two).pair("device-\(number)") }
                }
                try await group.waitForAll()
            }
            let audit = one.kernel.audit
            let verdict = try await audit.verify(by: System.admin)
            #expect(verdict.first == 1 && verdict.count >= 40)
            #expect(try await audit.verify(anchor: verdict.head, by: System.admin).head == verdict.head)

            func refused(_ anchor: ChainHead? = nil) async -> Int64? {
                do throws(Refusal) {
                    _ = try await audit.verify(anchor: anchor, by: System.admin)
                    return nil
                } catch { return error.details["position"]?.wholeNumber }
            }
            // Nobody changes a row by accident, and only the first may go.
            await #expect(throws: PostgresError.self) {
                try await one.pool.execute("UPDATE events SET actor = 'nobody' WHERE position = 7")
            }
            await #expect(throws: PostgresError.self) {
                try await one.pool.execute("DELETE FROM events WHERE position = 7")
            }
            #expect(await refused() == nil)
            try await one.pool.execute("DELETE FROM events WHERE position <= 10")
            let trimmed = try await audit.verify(by: System.admin)
            #expect(trimmed.first == 11 && trimmed.head.position == verdict.head.position + 1)
            #expect(try await audit.verify(anchor: verdict.head, by: System.admin) == trimmed)
            let page = try await audit.events(.init(), before: nil, limit: 1, by: System.admin)
            #expect(page.events.first?.event == "audit.trimmed" && page.next == trimmed.head.position)

            // The owner can, with effort.
            try await one.pool.execute("ALTER TABLE events DISABLE TRIGGER USER")
            try await one.pool.execute("UPDATE events SET actor = 'nobody' WHERE position = 17")
            #expect(await refused() == 17)
            try await one.pool.execute("DELETE FROM events WHERE position = 15")
            #expect(await refused() == 16)
            try await one.pool.execute("ALTER TABLE events ENABLE TRIGGER USER")
        }
    }

    @Test("The audit is searched by who, what, device, address and time, and paged by position")
    func search() async throws {
        try await System.run { one, _ in
            _ = try await one.pair("Kiosk-1")
            let last = try await one.pair("kiosk-2")
            try await one.revoke(last)
            func found(_ change: (inout Audit.Filter) -> Void) async throws -> [String] {
                var filter = Audit.Filter()
                change(&filter)
                return try await one.kernel.audit.events(filter, before: nil, limit: 200, by: System.admin)
                    .events.map { "\($0.event) \($0.senderID ?? "")" }
            }
            #expect(
                try await found { $0.senderID = SenderID("kiosk-1") } == [
                    "pairing.approved Kiosk-1", "pairing.requested Kiosk-1",
                ])
            #expect(try await found { $0.event = "pairing.revoked" } == ["pairing.revoked kiosk-2"])
            #expect(try await found { $0.actor = "device" }.count == 2)
            #expect(try await found { $0.address = "192.0.2.7" }.count == 2)
            #expect(try await found { $0.address = "192.0.2.8" }.isEmpty)
            let now = Timestamp.wallClock
            #expect(try await found { $0.from = now + .seconds(3600) }.isEmpty)
            #expect(try await found { $0.until = now + .seconds(-3600) }.isEmpty)
            #expect(
                try await found {
                    $0.from = now + .seconds(-3600)
                    $0.until = now + .seconds(3600)
                }.count == 5)
            let first = try await one.kernel.audit.events(.init(), before: nil, limit: 3, by: System.admin)
            let second = try await one.kernel.audit.events(
                .init(), before: first.next, limit: 3, by: System.admin)
            #expect((first.events + second.events).map(\.position) == [5, 4, 3, 2, 1] && second.next == nil)
        }
    }
}
