/// One of a device's conversations with its agents. Its device chooses the name; what was said in one is not known in
/// another.
public struct ConversationName: Sendable, Hashable, CustomStringConvertible {
    /// The longest name in bytes.
    public static let maximumLength = 128
    /// The one of everything that names none.
    public static let main = ConversationName(stored: "")

    /// The name; empty for ``main``.
    public let text: String

    /// Reads a name of the device's.
    ///
    /// - Returns: `nil` for the empty text, for one of more than ``maximumLength`` bytes, and for one with characters that
    ///   are not shown (I7): it is kept as it is, so it must need no cleaning.
    public init?(_ text: String) {
        guard (1...Self.maximumLength).contains(text.utf8.count),
            cleanDeviceText(text, maximumScalars: Self.maximumLength) == text
        else { return nil }
        self.text = text
    }

    /// A name that was read before; the empty text is ``main``.
    public init(stored text: String) { self.text = text }

    /// ``text``
    public var description: String { text }

    /// Whether it is the one of everything that names none.
    public var isMain: Bool { text.isEmpty }
}
