import PairingCore

/// Who is let through a gate and who waits: at once a few, and of those who wait the network blocks in turn, and
/// within one its addresses (I13). A pure machine.
struct GateMachine: Sendable {
    /// Names a visitor for as long as it waits.
    typealias Ticket = UInt64

    /// What becomes of a visitor who comes.
    enum Arrival: Equatable {
        case enters
        /// Until it is its turn, or until it is displaced.
        case waits
        /// The same; this other one is refused instead, because its network holds most of the room.
        case waitsDisplacing(Ticket)
        case refused
    }

    private let width: Int
    private var inside = 0
    private var room: FairRoom<Ticket>
    private var blocks = Turns<Turns<[Ticket]>>()
    private var places: [Ticket: ClientAddress] = [:]

    /// - Parameters:
    ///   - width: how many may be inside at once.
    ///   - capacity: how many may wait for that.
    init(width: Int, capacity: Int) {
        self.width = width
        room = FairRoom(capacity: capacity)
    }

    var waiting: Int { room.count }

    /// Lets somebody in where fewer than may be are inside.
    mutating func enterAtOnce() -> Bool {
        guard inside < width else { return false }
        inside += 1
        return true
    }

    mutating func arrive(_ ticket: Ticket, from address: ClientAddress) -> Arrival {
        if enterAtOnce() { return .enters }
        switch room.entrance(of: address) {
        case .enters:
            add(ticket, address)
            return .waits
        case .displaces(let other):
            remove(other)
            add(ticket, address)
            return .waitsDisplacing(other)
        case .refused: return .refused
        }
    }

    /// Somebody has left.
    ///
    /// - Returns: who enters next.
    mutating func leave() -> Ticket? {
        guard let block = blocks.next, let address = blocks.values[block]?.next,
            let ticket = blocks.values[block]?.values[address]?.first
        else {
            inside -= 1
            return nil
        }
        remove(ticket)
        blocks.values[block]?.moveOn(from: address)
        blocks.moveOn(from: block)
        return ticket
    }

    /// Somebody waits no more. Nothing happens where it does not wait.
    mutating func remove(_ ticket: Ticket) {
        guard let address = places.removeValue(forKey: ticket) else { return }
        room.remove(ticket)
        let block = address.networkBlock
        blocks.values[block]?.values[address.limitKey]?.removeAll { $0 == ticket }
        if blocks.values[block]?.values[address.limitKey]?.isEmpty == true {
            blocks.values[block]?.remove(address.limitKey)
        }
        if blocks.values[block]?.values.isEmpty == true { blocks.remove(block) }
    }

    private mutating func add(_ ticket: Ticket, _ address: ClientAddress) {
        places[ticket] = address
        room.insert(ticket, of: address)
        blocks.add(address.networkBlock, Turns())
        blocks.values[address.networkBlock]?.add(address.limitKey, [])
        blocks.values[address.networkBlock]?.values[address.limitKey]?.append(ticket)
    }
}

/// Keys that have their turn one after the other.
private struct Turns<Value: Sendable>: Sendable {
    var values: [String: Value] = [:]
    private var order: [String] = []

    /// Whose turn it is.
    var next: String? { order.first }

    /// A key is there; a new one's turn is the last.
    mutating func add(_ key: String, _ value: Value) {
        guard values[key] == nil else { return }
        values[key] = value
        order.append(key)
    }

    mutating func remove(_ key: String) {
        values[key] = nil
        order.removeAll { $0 == key }
    }

    /// A key has had its turn, and may have gone with it.
    mutating func moveOn(from key: String) {
        guard order.first == key else { return }
        order.append(order.removeFirst())
    }
}
