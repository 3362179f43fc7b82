/// Which events a web hook is told.
public struct WebhookFilter: Sendable, Equatable, CustomStringConvertible {
    /// The most patterns.
    public static let most = 50

    /// Names of events, such as `pairing.approved`, and beginnings of names, such as `pairing.*`; none for all events.
    public let patterns: [String]

    /// Tells everything.
    public static let everything = WebhookFilter(patterns: [])

    private init(patterns: [String]) { self.patterns = patterns }

    /// Reads patterns as people type them, parted by blanks, commas or line ends.
    ///
    /// - Returns: `nil` for one that is no name and no beginning of one, and for too many.
    public init?(_ text: String) {
        let words = text.split { $0.isWhitespace || $0 == "," || $0 == ";" }.map { String($0) }
        guard words.count <= Self.most, words.allSatisfy(Self.isPattern) else { return nil }
        patterns = words.contains("*") ? [] : Array(Set(words)).sorted()
    }

    /// Whether the hook is told an event of this name.
    public func admits(_ event: String) -> Bool {
        patterns.isEmpty
            || patterns.contains { $0.hasSuffix("*") ? event.hasPrefix($0.dropLast()) : event == $0 }
    }

    /// The patterns, with commas; `*` for all.
    public var description: String { patterns.isEmpty ? "*" : patterns.joined(separator: ", ") }

    private static func isPattern(_ word: String) -> Bool {
        if word == "*" { return true }
        let name = word.hasSuffix(".*") ? word.dropLast(2) : word[...]
        return !name.isEmpty && word.utf8.count <= 64
            && name.utf8.allSatisfy { (97...122).contains($0) || $0 == UInt8(ascii: "_") || $0 == 46 }
    }
}
