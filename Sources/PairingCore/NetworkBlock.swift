/// A block of network addresses, such as `10.0.0.0/8` or `fd00::/8`.
public struct NetworkBlock: Sendable, Hashable, CustomStringConvertible {
    /// Its first address.
    private let bytes: [UInt8]
    /// How many leading bits all its addresses share.
    private let bits: Int
    /// As it was written.
    public let description: String

    /// Reads an address and a number of bits, or an address alone: a block of one.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let address = ClientAddress(String(parts[0])) else { return nil }
        bytes = address.bytes
        guard parts.count == 2 else {
            bits = bytes.count * 8
            description = text
            return
        }
        guard let bits = Int(parts[1]), (0...bytes.count * 8).contains(bits), parts[1].utf8.count <= 3,
            parts[1].utf8.allSatisfy({ $0 >= 48 && $0 <= 57 })
        else { return nil }
        self.bits = bits
        description = text
    }

    /// Whether the address is one of the block's; an IPv4-mapped IPv6 address is the IPv4 address.
    public func contains(_ address: ClientAddress) -> Bool {
        guard address.bytes.count == bytes.count else { return false }
        let whole = bits / 8
        guard bytes.prefix(whole) == address.bytes.prefix(whole) else { return false }
        guard bits % 8 > 0 else { return true }
        return (bytes[whole] ^ address.bytes[whole]) >> UInt8(8 - bits % 8) == 0
    }
}

/// Which addresses this software connects to because somebody typed where: those of the public Internet, and what the
/// configuration adds. A pure rule.
public struct ReachableAddresses: Sendable, Equatable {
    /// Not the public Internet's, by IANA's registries of special-purpose addresses (RFC 6890 and what followed).
    private static let special = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        // Those that lead to IPv4 addresses by a detour, with those that are no host's.
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    ].compactMap(NetworkBlock.init)
    /// What IPv6 has of global unicast addresses; everything else is special.
    private static let global = NetworkBlock("2000::/3")

    /// What may be reached besides.
    public var allowed: [NetworkBlock]

    /// Allows the public Internet and these.
    public init(allowed: [NetworkBlock] = []) { self.allowed = allowed }

    /// Whether the address may be connected to.
    ///
    /// - Parameter own: whether it is an address of this machine, which is then as private as the loopback's.
    public func allows(_ address: ClientAddress, isOwn own: Bool = false) -> Bool {
        if allowed.contains(where: { $0.contains(address) }) { return true }
        if own || Self.special.contains(where: { $0.contains(address) }) { return false }
        return address.bytes.count == 4 || Self.global?.contains(address) ?? false
    }
}
