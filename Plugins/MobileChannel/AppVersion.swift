/// The version of an app: one to four numbers with dots, and optionally what makes it a version before the
/// release of those numbers (`-beta.2`) or a build of it (`+118`).
struct AppVersion: Comparable, CustomStringConvertible {
    let description: String
    private let numbers: [Int]
    private let isPrerelease: Bool

    init?(_ text: String) {
        guard text.utf8.count <= 64 else { return nil }
        let release = text.prefix { $0 != "+" }
        let core = release.prefix { $0 != "-" }
        let parts = core.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part in
            part.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains) ? Int(part) : nil
        }
        guard (1...4).contains(parts.count), numbers.count == parts.count else { return nil }
        self.numbers = numbers + Array(repeating: 0, count: 4 - numbers.count)
        isPrerelease = release.count > core.count
        description = text
    }

    static func == (left: Self, right: Self) -> Bool {
        left.numbers == right.numbers && left.isPrerelease == right.isPrerelease
    }

    /// Versions before one release are equal here: only releases are told from what comes before them.
    static func < (left: Self, right: Self) -> Bool {
        left.numbers == right.numbers
            ? left.isPrerelease && !right.isPrerelease
            : left.numbers.lexicographicallyPrecedes(right.numbers)
    }
}
