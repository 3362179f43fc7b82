/// Room that strangers share by network block and, within one, by address (I13).
///
/// While there is room anybody takes it. When there is none, whoever comes from a block that holds less than the one
/// that holds most takes the place of the newest of that one, and the block that holds most gets no more: so the cost
/// of a flood falls on where it comes from. A pure machine; every step takes about the same time, however many there
/// are, except for the few that one address holds.
public struct FairRoom<ID: Hashable & Sendable>: Sendable {
    private struct Block: Sendable, Equatable {
        var addresses: [String: [ID]] = [:]
        var sizes = Sizes()
        var count = 0

        /// The newest of the address that holds most.
        var newest: ID? { sizes.heaviest.flatMap { addresses[$0]?.last } }
    }

    private struct Place: Sendable, Equatable {
        var block: String
        var address: String
    }

    /// Keys by how many each holds, so that one that holds most is at hand.
    private struct Sizes: Sendable, Equatable {
        private var keys: [Int: Set<String>] = [:]
        private(set) var greatest = 0

        /// One of the keys that hold most.
        var heaviest: String? { keys[greatest]?.first }

        mutating func change(_ key: String, from old: Int, to new: Int) {
            keys[old]?.remove(key)
            if keys[old]?.isEmpty == true { keys[old] = nil }
            if new > 0 { keys[new, default: []].insert(key) }
            greatest = max(greatest, new)
            while greatest > 0, keys[greatest] == nil { greatest -= 1 }
        }
    }

    /// What becomes of somebody who comes.
    public enum Entrance: Sendable, Equatable {
        /// There is room.
        case enters
        /// There is room once this one, who is of those that hold most, has gone.
        case displaces(ID)
        /// There is none: whoever comes is of those that hold most.
        case refused
    }

    /// How many there is room for.
    public let capacity: Int
    private var blocks: [String: Block] = [:]
    private var places: [ID: Place] = [:]
    private var sizes = Sizes()

    /// - Parameter capacity: how many there is room for. An address or block that holds nothing may find a place
    ///   beyond it, where nobody holds more than one: that is for the caller to allow.
    public init(capacity: Int) { self.capacity = capacity }

    /// How many are in.
    public var count: Int { places.count }

    /// How many of this address are in.
    public func count(of address: ClientAddress) -> Int {
        blocks[address.networkBlock]?.addresses[address.limitKey]?.count ?? 0
    }

    /// How many of this address's network block are in.
    public func blockCount(of address: ClientAddress) -> Int { blocks[address.networkBlock]?.count ?? 0 }

    /// Whether this one is in.
    public func contains(_ id: ID) -> Bool { places[id] != nil }

    /// What becomes of somebody of this address who comes now. Changes nothing.
    public func entrance(of address: ClientAddress) -> Entrance {
        guard count >= capacity else { return .enters }
        let own = blocks[address.networkBlock]
        // A place is taken where the heavier still holds at least as much as the lighter does afterwards: otherwise
        // two that hold nearly the same would take each other's for ever.
        if (own?.count ?? 0) + 1 < sizes.greatest, let block = sizes.heaviest.flatMap({ blocks[$0] }) {
            return block.newest.map { .displaces($0) } ?? .refused
        }
        guard let own else { return .refused }
        let ofAddress = own.addresses[address.limitKey]?.count ?? 0
        guard ofAddress + 1 < own.sizes.greatest, let newest = own.newest else { return .refused }
        return .displaces(newest)
    }

    /// Somebody is in, whatever room there is.
    public mutating func insert(_ id: ID, of address: ClientAddress) {
        remove(id)
        let place = Place(block: address.networkBlock, address: address.limitKey)
        places[id] = place
        var block = blocks.removeValue(forKey: place.block) ?? Block()
        let ofAddress = block.addresses[place.address]?.count ?? 0
        block.addresses[place.address, default: []].append(id)
        block.sizes.change(place.address, from: ofAddress, to: ofAddress + 1)
        block.count += 1
        sizes.change(place.block, from: block.count - 1, to: block.count)
        blocks[place.block] = block
    }

    /// Somebody is gone. Nothing happens where it was not in.
    public mutating func remove(_ id: ID) {
        guard let place = places.removeValue(forKey: id), var block = blocks.removeValue(forKey: place.block),
            var address = block.addresses.removeValue(forKey: place.address)
        else { return }
        if let index = address.lastIndex(of: id) { address.remove(at: index) }
        block.sizes.change(place.address, from: address.count + 1, to: address.count)
        if !address.isEmpty { block.addresses[place.address] = address }
        block.count -= 1
        sizes.change(place.block, from: block.count + 1, to: block.count)
        if block.count > 0 { blocks[place.block] = block }
    }
}

extension FairRoom: Equatable {}
