/// The error codes of the device protocol; every refusal, on whatever surface, has one.
public enum ErrorCode: String, Sendable, Hashable, CaseIterable {
    case invalidRequest = "INVALID_REQUEST"
    case unauthorized = "UNAUTHORIZED"
    case forbidden = "FORBIDDEN"
    case notPaired = "NOT_PAIRED"
    case notFound = "NOT_FOUND"
    case alreadyExists = "ALREADY_EXISTS"
    case failedPrecondition = "FAILED_PRECONDITION"
    case resourceExhausted = "RESOURCE_EXHAUSTED"
    case unavailable = "UNAVAILABLE"
    case `internal` = "INTERNAL"
}

/// Why something was refused, for a program (`code`, `reason`) and for a person (`message`) (I6).
///
/// `message` says what was wrong, what was expected and what to do next. Nothing in a refusal is secret.
public struct Refusal: Error, Sendable, Equatable {
    /// The class of the refusal.
    public var code: ErrorCode
    /// A machine-readable word that tells refusals of one code apart, such as `revoked` or `cooldown`.
    public var reason: String
    /// A sentence for the device's developer or the administrator.
    public var message: String
    /// Whether the same request can succeed later without a change.
    public var retryable: Bool
    /// How long to wait before the same request is worth repeating.
    public var retryAfter: Duration?
    /// Further facts, name to value; times in milliseconds since the epoch.
    public var details: [String: JSONValue]

    /// Makes a refusal.
    public init(
        _ code: ErrorCode, _ reason: String, _ message: String, retryable: Bool = false,
        retryAfter: Duration? = nil, details: [String: JSONValue] = [:]
    ) {
        self.code = code
        self.reason = reason
        self.message = message
        self.retryable = retryable
        self.retryAfter = retryAfter
        self.details = details
    }

    /// The database cannot be asked: nothing is granted and nothing is lost (I5).
    public static let unavailable = Refusal(.databaseUnavailable)

    /// An internal fault that says nothing about itself to a peer; the log has the cause.
    public static let `internal` = Refusal(.internalFault)
}
