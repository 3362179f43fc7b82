import PairingCore
import Postgres

/// Why the database did not carry something out, as far as it changes what a caller does.
public enum StoreFailure: Sendable {
    /// It cannot be reached, or refuses everybody now.
    case unavailable
    /// It accepts no changes, as during a failover.
    case readOnly
    /// Its schema is not there yet, or this program's role has no right to it.
    case unprepared
    /// What was asked may succeed if it is asked again shortly.
    case busy
    /// Whoever asked no longer wants it.
    case cancelled
    /// The statement or the data is at fault.
    case broken

    /// - Returns: `nil` where the error does not come from the database.
    public init?(_ error: any Error) {
        guard let error = error as? PostgresError else { return nil }
        if error.isReadOnly {
            self = .readOnly
        } else if error.isUnprepared {
            self = .unprepared
        } else if error.isUnavailable {
            self = .unavailable
        } else if error.isRetryable || error.code == .statementTimedOut {
            self = .busy
        } else if error.code == .cancelled {
            self = .cancelled
        } else {
            self = .broken
        }
    }

    /// Whether nobody knows if what was asked has happened.
    public static func leavesOpen(_ error: any Error) -> Bool {
        (error as? PostgresError)?.code == .commitOutcomeUnknown
    }

    /// Whether everything else would fail in the same way.
    public var concernsAll: Bool {
        switch self {
        case .unavailable, .readOnly, .unprepared: true
        case .busy, .cancelled, .broken: false
        }
    }
}
