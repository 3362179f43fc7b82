import PairingCore
import Postgres

/// Why the database did not carry something out, as far as it changes what a caller does.
public enum StoreFailure: Sendable {
    /// It cannot be reached, or refuses everybody now.
    case unavailable
    /// What was asked may succeed if it is asked again shortly.
    case busy
    /// Whoever asked no longer wants it.
    case cancelled
    /// The statement or the data is at fault.
    case broken

    /// - Returns: `nil` where the error does not come from the database.
    public init?(_ error: any Error) {
        guard let error = error as? PostgresError else { return nil }
        if error.isUnavailable {
            self = .unavailable
        } else if error.isRetryable || error.code == .statementTimedOut {
            self = .busy
        } else if error.code == .cancelled {
            self = .cancelled
        } else {
            self = .broken
        }
    }
}
