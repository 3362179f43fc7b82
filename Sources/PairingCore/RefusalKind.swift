/// One row of the catalogue of refusals: what is the same of every refusal for one reason (I6).
///
/// Whatever refuses names a row: ``Refusal/init(_:_:retryable:retryAfter:details:)``. The rows that devices' programs
/// meet are in `RefusalKind+Devices.swift` and `RefusalKind+Channels.swift`, and a test holds the table of errors in
/// `docs/device-developers.md` against them; those that only pages, commands and programs of agents show are in
/// `RefusalKind+Administration.swift`. What a channel refuses in its own words is in neither.
package struct RefusalKind: Sendable, Hashable {
    /// The class of the refusal.
    package let code: ErrorCode
    /// The word that tells refusals of one code apart, such as `revoked`.
    package let reason: String
    /// What is said where nothing more exact is known: what was wrong, what was expected, what to do next.
    package let text: String
    /// Whether the same request can succeed later without a change.
    package let isRetryable: Bool
    /// How long to wait before that, where it is always the same.
    package let retryAfter: Duration?

    init(
        _ code: ErrorCode, _ reason: String, _ text: String, retryable: Bool = false,
        retryAfter: Duration? = nil
    ) {
        self.code = code
        self.reason = reason
        self.text = text
        isRetryable = retryable
        self.retryAfter = retryAfter
    }
}

extension Refusal {
    /// Makes a refusal of the catalogue.
    ///
    /// - Parameters:
    ///   - message: a sentence that says it more exactly than the catalogue's.
    ///   - retryable: only where it depends on more than the reason.
    ///   - retryAfter: only where the catalogue names no time.
    package init(
        _ kind: RefusalKind, _ message: String? = nil, retryable: Bool? = nil,
        retryAfter: Duration? = nil, details: [String: JSONValue] = [:]
    ) {
        self.init(
            kind.code, kind.reason, message ?? kind.text, retryable: retryable ?? kind.isRetryable,
            retryAfter: retryAfter ?? kind.retryAfter, details: details)
    }

    /// Whether this is a refusal of that row, however it is worded.
    package func isOf(_ kind: RefusalKind) -> Bool { code == kind.code && reason == kind.reason }
}
