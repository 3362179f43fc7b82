import CLibCrypto

/// What can go wrong in this module. No case carries key material, passwords or messages.
public enum CryptographyError: Error, Equatable, CustomStringConvertible {
    /// libcrypto refused an operation. `reason` is OpenSSL's own text for its last error.
    case operationFailed(String, reason: String)
    /// The password hasher already has as many callers waiting as it allows: try again later.
    case tooManyWaiting
    /// scrypt parameters outside the ranges of ``ScryptParameters``.
    case invalidScryptParameters

    /// One sentence for a log.
    public var description: String {
        switch self {
        case .operationFailed(let operation, let reason): "libcrypto: \(operation) failed: \(reason)"
        case .tooManyWaiting: "too many password checks are waiting; try again in a few seconds"
        case .invalidScryptParameters:
            "scrypt parameters are out of range: N is a power of two in 2...2^20, r is 1...32, p is 1...16, "
                + "and N, r and p together need at most 512 MiB"
        }
    }

    /// Takes the reason from this thread's error queue and empties the queue, which would otherwise keep
    /// growing and blame later operations.
    static func last(_ operation: String) -> CryptographyError {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        let reason = ERR_reason_error_string(code).map { String(cString: $0) } ?? "no reason given"
        return .operationFailed(operation, reason: reason)
    }
}
