/// A JSON text read once, with what its value does not show: how a member was spelt, and what could be read of a
/// text that is not acceptable.
public struct JSONDocument: Sendable {
    /// The value, or why there is none.
    public let result: Result<JSONValue, JSONSyntaxError>
    /// The member that was asked for, as it was sent: its tokens and their order, without the space between them.
    /// `nil` where there is none, or no value.
    public let excerpt: String?
    /// The string members of the outermost object; of a text that is not acceptable those before its fault,
    /// without one that it names twice.
    public let head: [String: String]
    /// Where the first string that holds NUL begins; the database cannot store it (I7).
    public let offsetOfNUL: Int?

    /// Reads a text as ``JSONValue/init(parsing:limits:)`` does.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8; the caller bounds their number.
    ///   - path: names of members, from the outermost object inwards, of what ``excerpt`` is to be; the value does
    ///     not hold it.
    public init(
        reading bytes: some Sequence<UInt8>, limits: JSONLimits = JSONLimits(), excerpting path: [String] = []
    ) {
        self =
            bytes.withContiguousStorageIfAvailable { Self(reading: $0, limits, path) }
            ?? Array(bytes).withUnsafeBufferPointer { Self(reading: $0, limits, path) }
    }

    private init(reading bytes: UnsafeBufferPointer<UInt8>, _ limits: JSONLimits, _ path: [String]) {
        var reader = JSONReader(bytes: bytes, limits: limits, path: path)
        do throws(JSONSyntaxError) {
            result = .success(try reader.text())
            excerpt = reader.excerpt.map(reader.compact)
        } catch {
            result = .failure(error)
            excerpt = nil
        }
        head = reader.head
        offsetOfNUL = reader.offsetOfNUL
    }
}

extension JSONValue {
    /// Reads one JSON text (RFC 8259), strictly and in one pass.
    ///
    /// Foundation's decoder cannot be asked for what untrusted text needs: it takes half a second for 512
    /// KiB of empty arrays, keeps one of two members with the same name without a word, and accepts a byte
    /// order mark.
    ///
    /// Two names that Unicode holds equivalent but whose bytes differ are two names; as a ``JSONValue``'s are
    /// compared by their meaning, it keeps the first of them.
    ///
    /// - Parameter bytes: UTF-8; the caller bounds their number.
    /// - Throws: ``JSONSyntaxError`` for anything but exactly one JSON value within `limits`: also for
    ///   invalid UTF-8, lone surrogates, a member named twice (RFC 8259 §4 leaves its meaning open), and a
    ///   number too great for a double. NUL is a character like others here; see ``containsNUL``.
    public init(parsing bytes: some Sequence<UInt8>, limits: JSONLimits = JSONLimits())
        throws(JSONSyntaxError)
    {
        self = try JSONDocument(reading: bytes, limits: limits).result.get()
    }
}
