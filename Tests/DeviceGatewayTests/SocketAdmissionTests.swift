import PairingCore
import Testing

@testable import DeviceGateway

@Suite("Admission of sockets (I13)")
struct SocketAdmissionTests {
    /// An admission with sockets that are numbers, as many as were opened.
    private struct Door {
        var admission: SocketAdmission<UInt64>
        private(set) var opened: UInt64 = 0

        init(sockets: Int = 1000, strangers: Int, perAddress: Int = 1000, waiting: Int = 100) {
            admission = SocketAdmission(
                limits: SocketLimits(
                    sockets: sockets, strangers: strangers, strangersPerAddress: perAddress,
                    waitingPerBlock: waiting))
        }

        @discardableResult
        mutating func open(_ address: String) throws -> Result {
            opened += 1
            let address = try #require(ClientAddress(address))
            return Result(admission.open(SocketID(opened), opened, of: address))
        }

        mutating func authenticate(_ id: UInt64) throws -> Bool {
            admission.authenticate(SocketID(id))
        }

        mutating func open(_ count: Int, from address: String) throws {
            for _ in 0..<count { #expect(try open(address) == .admitted) }
        }
    }

    private enum Result: Equatable {
        case admitted
        case displacing(UInt64, SocketAdmission<UInt64>.Dismissal)
        case refused(SocketAdmission<UInt64>.Refusal, SocketAdmission<UInt64>.Dismissal)

        init(_ admission: SocketAdmission<UInt64>.Admission) {
            self =
                switch admission {
                case .admitted: .admitted
                case .admittedDisplacing(let other, let dismissal): .displacing(other, dismissal)
                case .refused(let refusal, let dismissal): .refused(refusal, dismissal)
                }
        }
    }

    @Test("An address, or a /64, has so many sockets that nobody has authenticated")
    func perAddress() throws {
        var door = Door(strangers: 100, perAddress: 2)
        #expect(try door.open("2001:db8::1") == .admitted)
        #expect(try door.open("2001:db8::ffff") == .admitted)
        #expect(try door.open("2001:db8::1") == .refused(.address, .told))
        #expect(try door.open("2001:db8:0:1::1") == .admitted)
        // It counts while it is being closed, and no longer than until it is gone.
        door.admission.gone(SocketID(1))
        #expect(try door.open("2001:db8::1") == .admitted)
    }

    @Test("When the room is full, a smaller network displaces the newest of the one that holds most")
    func displacement() throws {
        var door = Door(strangers: 10)
        try door.open(3, from: "198.51.100.1")
        try door.open(7, from: "203.0.113.1")
        #expect(try door.open("192.0.2.1") == .displacing(10, .told))
        #expect(try door.open("192.0.2.1") == .displacing(9, .dropped))
        #expect(door.admission.strangerCount == 10 && door.admission.dismissedCount == 2)
        #expect(try door.open("203.0.113.2") == .displacing(8, .dropped), "an address that holds none")
        // Of the network that holds most itself.
        #expect(try door.open("203.0.113.1") == .refused(.instance, .dropped))
        for id in 8...14 { door.admission.gone(SocketID(UInt64(id))) }
        #expect(door.admission.dismissedCount == 0)
    }

    @Test("Two networks that hold nearly the same do not take each other's places for ever")
    func noChurn() throws {
        var door = Door(strangers: 9)
        try door.open(5, from: "198.51.100.1")
        try door.open(4, from: "203.0.113.1")
        #expect(try door.open("203.0.113.1") == .refused(.instance, .told))
        #expect(try door.open("198.51.100.1") == .refused(.instance, .dropped))
    }

    @Test("A network that holds no socket finds room as long as there is any at all")
    func alwaysAPlace() throws {
        var door = Door(sockets: 12, strangers: 4)
        for block in 0..<12 { #expect(try door.open("10.0.\(block).1") == .admitted) }
        #expect(try door.open("10.0.99.1") == .refused(.instance, .dropped))
        door.admission.gone(SocketID(1))
        door.admission.gone(SocketID(13))
        #expect(try door.open("10.0.99.1") == .admitted)
        #expect(try door.open("10.0.99.1") == .refused(.instance, .dropped))
    }

    @Test("Whoever proved a pairing takes none of the strangers' room, however full it is")
    func authenticated() throws {
        var door = Door(sockets: 100, strangers: 4)
        for number in 0..<50 {
            let result = try door.open("10.0.\(number).1")
            #expect(result == .admitted)
            #expect(try door.authenticate(door.opened))
        }
        #expect(door.admission.authenticatedCount == 50 && door.admission.strangerCount == 0)
        try door.open(4, from: "198.51.100.1")
        for number in 0..<40 {
            if case .refused = try door.open("10.0.\(number).1") { Issue.record("a device was kept out") }
            #expect(try door.authenticate(door.opened))
            door.admission.disown(SocketID(door.opened))
            #expect(try door.authenticate(door.opened))
        }
        #expect(door.admission.strangerCount == 3 && door.admission.authenticatedCount == 90)
        // A socket that had to go the moment before stays dismissed.
        #expect(try !door.authenticate(54))
    }

    @Test("2,000 strangers of ten networks keep none of fifty devices out")
    func flood() throws {
        var door = Door(sockets: 16_000, strangers: 2000, perAddress: 200)
        for number in 0..<2000 { #expect(try door.open("10.0.\(number % 10).1") == .admitted) }
        for number in 0..<1000 {
            #expect(try door.open("10.0.\(number % 10).\(number % 250 + 2)") != .admitted)
        }
        for _ in 0..<50 {
            guard case .displacing = try door.open("192.0.2.7") else {
                Issue.record("a device was kept out")
                return
            }
        }
        #expect(door.admission.strangerCount == 2000)
    }

    @Test("A socket that is refused or closes counts until it is gone, and nothing is left of it then")
    func balance() throws {
        var door = Door(sockets: 10, strangers: 1, perAddress: 1)
        try door.open("10.0.0.1")
        try door.open("10.0.0.1")
        let request = try #require(RequestID("00000000-0000-4000-8000-000000000001"))
        _ = door.admission.wait(SocketID(1), for: request)
        #expect(door.admission.strangerCount == 1 && door.admission.dismissedCount == 1)
        #expect(door.admission.waitingCount == 1)
        for id in [1, 2, 2, 7] { door.admission.gone(SocketID(UInt64(id))) }
        #expect(door.admission.strangerCount == 0 && door.admission.dismissedCount == 0)
        #expect(door.admission.waitingCount == 0)
        #expect(try door.open("10.0.0.1") == .admitted)
    }

    @Test("Of the sockets that wait for one request the newest does, and a network has so many that wait")
    func waiting() throws {
        var door = Door(strangers: 100, waiting: 2)
        let requests = try (1...4).map {
            try #require(RequestID("00000000-0000-4000-8000-00000000000\($0)"))
        }
        try door.open(4, from: "198.51.100.1")
        func replaced(_ id: UInt64, _ request: Int) -> UInt64?? {
            switch door.admission.wait(SocketID(id), for: requests[request]) {
            case .waits: .some(nil)
            case .waitsReplacing(let other): other
            case .refused: nil
            }
        }
        #expect(replaced(1, 0) == .some(nil))
        #expect(replaced(1, 0) == .some(nil))
        #expect(replaced(2, 0) == .some(1))
        #expect(replaced(3, 1) == .some(nil))
        #expect(replaced(4, 2) == nil)
        try door.open("203.0.113.1")
        #expect(replaced(5, 2) == .some(nil), "another network")
        door.admission.stopWaiting(SocketID(3))
        #expect(replaced(4, 3) == .some(nil))
        // One's own place is free when a newer socket takes it.
        try door.open("198.51.100.2")
        #expect(replaced(6, 3) == .some(4))
        #expect(door.admission.waitingCount == 3)
        door.admission.authenticate(SocketID(6))
        #expect(door.admission.waitingCount == 2)
    }
}
