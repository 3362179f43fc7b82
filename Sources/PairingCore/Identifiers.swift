/// The device's stable identifier, chosen by the device and public: never a credential.
///
/// Grammar: `[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}`. A channel may narrow it further.
public struct SenderID: Sendable, Hashable, CustomStringConvertible {
    /// The greatest length in bytes.
    public static let maximumLength = 128

    /// The identifier as the device spelt it.
    public let text: String

    /// The spelling under which the identifier is unique: IDs that differ only in ASCII case are one (I1).
    public let key: String

    /// - Returns: `nil` where the text does not fit the grammar.
    public init?(_ text: String) {
        let bytes = text.utf8
        guard let first = bytes.first, bytes.count <= Self.maximumLength, isASCIIAlphanumeric(first),
            bytes.allSatisfy({ isASCIIAlphanumeric($0) || "._:@-".utf8.contains($0) })
        else { return nil }
        self.text = text
        key =
            bytes.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) } ? text.lowercased() : text
    }

    /// The text itself.
    public var description: String { text }

    /// Whether both are one identifier, whatever their letters' case.
    public static func == (left: Self, right: Self) -> Bool { left.key == right.key }

    /// Agrees with ``==(_:_:)``.
    public func hash(into hasher: inout Hasher) { hasher.combine(key) }
}

/// The name of a channel: the kind of device and its rules, one plugin each.
///
/// Grammar: `[a-z][a-z0-9_-]{0,31}`.
public struct ChannelID: Sendable, Hashable, CustomStringConvertible {
    /// The name itself.
    public let text: String

    /// - Returns: `nil` where the text does not fit the grammar.
    public init?(_ text: String) {
        let bytes = text.utf8
        guard let first = bytes.first, bytes.count <= 32,
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first),
            bytes.allSatisfy({
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
            })
        else { return nil }
        self.text = text
    }

    /// The text itself.
    public var description: String { text }
}

/// The identifier of a pairing request: a UUID (RFC 9562) in lower case, made by the database.
public struct RequestID: Sendable, Hashable, CustomStringConvertible {
    /// The UUID's text.
    public let text: String

    /// Reads a UUID in either case.
    ///
    /// - Returns: `nil` for anything that is not 36 characters of a UUID.
    public init?(_ text: String) {
        guard isUUID(text) else { return nil }
        self.text = text.lowercased()
    }

    /// The text itself.
    public var description: String { text }
}

/// The identifier of a running gateway, new with each start: a UUID in lower case.
public struct InstanceID: Sendable, Hashable, CustomStringConvertible {
    /// The UUID's text.
    public let text: String

    /// - Returns: `nil` for anything that is not 36 characters of a UUID.
    public init?(_ text: String) {
        guard isUUID(text) else { return nil }
        self.text = text.lowercased()
    }

    /// The text itself.
    public var description: String { text }
}

/// The identifier of one socket of this process; unique for the life of the process.
public struct SocketID: Sendable, Hashable, Comparable {
    /// A number that grows with every accepted socket.
    public let number: UInt64

    /// Wraps a number.
    public init(_ number: UInt64) { self.number = number }

    /// The smaller is the earlier one.
    public static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

/// Grows with every pairing and every revocation of a sender ID; tells an authority from a newer one.
public struct Generation: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The count, from 1.
    public let number: Int64

    /// Wraps a count.
    public init(_ number: Int64) { self.number = number }

    /// Reads a decimal number as a form or a parameter carries it.
    public init?(_ text: String) {
        guard let number = Int64(text), number >= 0 else { return nil }
        self.number = number
    }

    /// The number in decimal.
    public var description: String { String(number) }

    /// The smaller is the earlier one.
    public static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

/// Grows with every session of a device; tells the live session from an older one.
public struct Epoch: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The count, from 1.
    public let number: Int64

    /// Wraps a count.
    public init(_ number: Int64) { self.number = number }

    /// Of a request that has no session: no session's epoch.
    public static let none = Epoch(0)

    /// The number in decimal.
    public var description: String { String(number) }

    /// The smaller is the earlier one.
    public static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

func isASCIIAlphanumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    default: false
    }
}

private func isUUID(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard bytes.count == 36 else { return false }
    for (index, byte) in bytes.enumerated() {
        switch index {
        case 8, 13, 18, 23: guard byte == UInt8(ascii: "-") else { return false }
        default:
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "A")...UInt8(ascii: "F"):
                continue
            default: return false
            }
        }
    }
    return true
}
