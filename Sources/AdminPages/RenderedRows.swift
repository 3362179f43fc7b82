import Synchronization

/// The rows of lists as they were rendered, by what they show.
///
/// Lists are read again and again, by many people and by pages that keep themselves up to date, and few of their rows
/// are another than before.
final class RenderedRows: Sendable {
    /// The most rows that are kept: a few megabytes.
    static let capacity = 4096

    private let rows = Mutex<[String: [UInt8]]>([:])

    subscript(key: String) -> [UInt8]? {
        get { rows.withLock { $0[key] } }
        set {
            rows.withLock { rows in
                // What is still shown comes back with the next pages.
                if rows.count >= Self.capacity { rows.removeAll(keepingCapacity: true) }
                rows[key] = newValue
            }
        }
    }
}
