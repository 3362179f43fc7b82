import Cryptography
import PairingCore
import PairingStore

/// Follows the chain of hashes through the event feed; pure.
struct EventChain {
    /// What is wrong with the first row that is.
    enum Fault: Error, Equatable {
        /// Rows are missing before this position.
        case missing(before: Int64)
        /// The row is not what its hash was made of, or what came before it is not.
        case altered(Int64)
        /// The row has no hash.
        case unchained(Int64)
        /// The chain ends with another hash than the counter has.
        case otherHead(Int64)
        /// At this position the chain has another hash than the one that was kept elsewhere.
        case otherAnchor(Int64)
        /// The position that was kept elsewhere is not in the chain any more, or not yet.
        case anchorOutside(Int64)
    }

    /// The last position that was followed.
    private(set) var position: Int64
    /// The hash there.
    private(set) var hash: [UInt8]
    /// A hash that somebody kept elsewhere.
    private let anchor: ChainHead?

    init(_ ends: PairingStore.ChainEnds, anchor: ChainHead?) throws(Fault) {
        position = ends.after
        hash = ends.hash
        self.anchor = anchor
        guard let anchor else { return }
        guard (ends.after...max(ends.after, ends.position)).contains(anchor.position) else {
            throw .anchorOutside(anchor.position)
        }
        try compare(anchor)
    }

    mutating func follow(_ row: PairingStore.ChainedEvent) throws(Fault) {
        guard row.position == position + 1 || continues(row) else { throw .missing(before: row.position) }
        // What was kept elsewhere was written after the backup that is in use now.
        if let anchor, (position + 1..<row.position).contains(anchor.position) {
            throw .anchorOutside(anchor.position)
        }
        guard let found = row.hash else { throw .unchained(row.position) }
        let expected = Self.hash(of: row.values, after: hash)
        guard found == expected else { throw .altered(row.position) }
        position = row.position
        hash = expected
        if let anchor { try compare(anchor) }
    }

    /// Whether the row itself says that the positions before it are left out, because a database that was taken back to
    /// an earlier moment gives none twice.
    private func continues(_ row: PairingStore.ChainedEvent) -> Bool {
        guard row.position > position, row.values[2] == EventName.databaseRestored.rawValue,
            let details = row.values[10].flatMap({ try? JSONValue(parsing: $0.utf8) })
        else { return false }
        return details["after"] == .integer(position)
    }

    /// - Parameter ends: as they were when following began.
    func finish(_ ends: PairingStore.ChainEnds) throws(Fault) {
        guard position == ends.position else { throw .missing(before: ends.position + 1) }
        // Where nothing is chained yet, nothing was followed.
        guard hash == ends.head || ends.position == ends.after else { throw .otherHead(position) }
    }

    private func compare(_ anchor: ChainHead) throws(Fault) {
        guard anchor.position != position || anchor.hash == hash else { throw .otherAnchor(position) }
    }

    /// The function `event_hash` of the schema, done again here: a changed database does not prove itself.
    static func hash(of values: [String?], after before: [UInt8]) -> [UInt8] {
        var bytes = before
        for value in values {
            if let value {
                bytes += Array("\(value.utf8.count):".utf8)
                bytes += Array(value.utf8)
            } else {
                bytes.append(UInt8(ascii: "-"))
            }
        }
        return sha256(bytes)
    }
}

/// A position of the feed and the hash there: what is kept elsewhere, so that not even the database's owner can rewrite
/// what happened before.
public struct ChainHead: Sendable, Equatable, CustomStringConvertible {
    /// The position.
    public let position: Int64
    /// SHA-256.
    public let hash: [UInt8]

    init(position: Int64, hash: [UInt8]) {
        self.position = position
        self.hash = hash
    }

    /// Reads `POSITION:HEX`.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let position = Int64(parts[0]), position >= 0, parts[1].utf8.count == 64
        else {
            return nil
        }
        let digits = Array(parts[1].utf8)
        var hash: [UInt8] = []
        for index in stride(from: 0, to: 64, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16),
                digits[index] != UInt8(ascii: "+")
            else { return nil }
            hash.append(byte)
        }
        self.init(position: position, hash: hash)
    }

    /// `POSITION:HEX`
    public var description: String { "\(position):\(hexadecimal(hash))" }
}
