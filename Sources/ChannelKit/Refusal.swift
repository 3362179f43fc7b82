/// Why a device, or its message, is refused. The device's developer reads it.
public struct Refusal: Error, Sendable, Equatable {
    /// The class of a refusal.
    public enum Kind: Sendable {
        /// What the device sent breaks a rule.
        case invalid
        /// It is well-formed, but this device may not.
        case forbidden
        /// Not now; the same can succeed later.
        case unavailable
    }

    /// The class of the refusal.
    public var kind: Kind
    /// For programs: `[a-z][a-z0-9_]{0,63}`.
    public var code: String
    /// What was wrong, what was expected, what to do.
    public var message: String

    /// Makes a refusal.
    public init(_ kind: Kind, _ code: String, _ message: String) {
        self.kind = kind
        self.code = code
        self.message = message
    }

    /// What the device sent breaks a rule.
    public static func invalid(_ code: String, _ message: String) -> Refusal {
        Refusal(.invalid, code, message)
    }

    /// It is well-formed, but this device may not.
    public static func forbidden(_ code: String, _ message: String) -> Refusal {
        Refusal(.forbidden, code, message)
    }

    /// Not now; the same can succeed later.
    public static func unavailable(_ code: String, _ message: String) -> Refusal {
        Refusal(.unavailable, code, message)
    }
}

/// What is wrong with a channel's configuration. The operator reads it.
public struct ConfigurationError: Error, Sendable, Equatable {
    /// The key, what is wrong with its value, and what was expected.
    public var message: String

    /// Makes an error.
    public init(_ message: String) { self.message = message }
}
