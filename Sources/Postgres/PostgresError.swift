/// Whatever can go wrong between this process and PostgreSQL.
///
/// `description` holds a code and an SQLSTATE and is safe to log and to pass on. What the server said, which may
/// quote data, is only in `String(reflecting:)`.
public struct PostgresError: Error, Sendable {
    /// What kind of failure it is. More kinds may be added: switch with a `default`.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name, for logs and metrics.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// The connection string or a limit isn't usable.
        public static let invalidConfiguration = Code("invalidConfiguration")
        /// No connection could be made; the pool keeps trying by itself.
        public static let connectionFailed = Code("connectionFailed")
        /// The connection broke inside a transaction, which thereby never happened.
        public static let connectionLost = Code("connectionLost")
        /// The connection broke while a commit, or a statement that is its own transaction, was being answered:
        /// it may have happened or not. Settle it by an idempotent repeat.
        public static let commitOutcomeUnknown = Code("commitOutcomeUnknown")
        /// Every connection stayed busy for the whole acquire timeout.
        public static let acquireTimedOut = Code("acquireTimedOut")
        /// So many callers wait for a connection already that one more is refused.
        public static let tooManyWaiters = Code("tooManyWaiters")
        /// The pool was closed.
        public static let shuttingDown = Code("shuttingDown")
        /// The calling task was cancelled; its transaction was rolled back or never began.
        public static let cancelled = Code("cancelled")
        /// A statement ran into its timeout: the server stopped it, or the server fell silent and its connection
        /// was abandoned.
        public static let statementTimedOut = Code("statementTimedOut")
        /// The server answers nobody, not even its pulse: what ran was given up and never happened.
        public static let unresponsive = Code("unresponsive")
        /// The server refused a statement; `sqlState` says why.
        public static let server = Code("server")
        /// A parameter can't be sent: text with a NUL, too many or too big.
        public static let invalidParameter = Code("invalidParameter")
        /// A column is missing, NULL or of another type than was asked for.
        public static let decoding = Code("decoding")
        /// A statement that doesn't fit this interface: COPY, or COMMIT inside a transaction's closure.
        public static let unsupportedStatement = Code("unsupportedStatement")
        /// LISTEN doesn't work here, as behind a pooler that gives connections out by transaction.
        public static let listenUnsupported = Code("listenUnsupported")
        /// A connection is no session of its own, as behind a pooler that gives connections out by transaction.
        public static let sessionUnsupported = Code("sessionUnsupported")
        /// The schema and this program don't fit each other.
        public static let migration = Code("migration")
    }

    /// What kind of failure it is.
    public let code: Code
    /// What the server said, if it was the server.
    public let sqlState: SQLState?
    /// The constraint that was violated, where the server names one.
    public let constraint: String?
    /// Which column, limit or migration it is about; holds no data.
    let summary: String?
    /// What the server or libpq said; may quote data.
    let detail: String?
    /// The statement was sent and the connection ended before its answer.
    var isOutcomeOpen: Bool

    init(
        _ code: Code, sqlState: SQLState? = nil, constraint: String? = nil, summary: String? = nil,
        detail: String? = nil, isOutcomeOpen: Bool = false
    ) {
        self.code = code
        self.sqlState = sqlState
        self.constraint = constraint
        self.summary = summary.map(Self.line)
        self.detail = detail.map(Self.line)
        self.isOutcomeOpen = isOutcomeOpen
    }

    /// libpq's sentences end with a line break, and some have one inside: a record of the log is one line.
    private static func line(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    /// The database as a whole accepts no changes: it's a standby, or set to be read-only.
    public var isReadOnly: Bool { sqlState == .readOnlySQLTransaction }

    /// The database isn't prepared for what was asked: its schema isn't there, or the role has no right to it.
    public var isUnprepared: Bool {
        switch sqlState {
        case .insufficientPrivilege?, .undefinedTable?, .undefinedFunction?, .invalidSchemaName?: true
        default: false
        }
    }

    /// The same error for a statement that commits: without an answer nobody knows whether it did.
    var ofCommit: PostgresError {
        guard isOutcomeOpen else { return self }
        return PostgresError(.commitOutcomeUnknown, sqlState: sqlState, summary: summary, detail: detail)
    }

    /// A statement prepared before was refused: since a change of the schema, or DISCARD ALL, it must be prepared again.
    var isOutdatedStatement: Bool {
        sqlState == .featureNotSupported || sqlState == .invalidSQLStatementName
    }

    /// The database can't be reached or refuses everybody now; what was asked may be in order.
    ///
    /// True as well for a commit whose outcome is unknown.
    public var isUnavailable: Bool {
        switch code {
        case .connectionFailed, .connectionLost, .commitOutcomeUnknown, .acquireTimedOut, .tooManyWaiters,
            .shuttingDown, .unresponsive:
            return true
        case .statementTimedOut:
            return sqlState == nil
        case .server:
            guard let sqlState else { return false }
            return ["08", "53"].contains(sqlState.errorClass) || sqlState.code.hasPrefix("57P0")
                || sqlState == .readOnlySQLTransaction || sqlState == .idleInTransactionSessionTimeout
        default:
            return false
        }
    }

    /// The transaction certainly didn't happen, and the same again may succeed: the database was unavailable, or
    /// the transaction lost against another (serialization, deadlock, lock timeout).
    public var isRetryable: Bool {
        if code == .commitOutcomeUnknown { return false }
        if isUnavailable { return true }
        switch sqlState {
        case .serializationFailure?, .deadlockDetected?, .lockNotAvailable?: return true
        default: return false
        }
    }
}

extension PostgresError: CustomStringConvertible, CustomDebugStringConvertible {
    /// Code, SQLSTATE and what it's about; no data.
    public var description: String {
        var text = "PostgreSQL: \(code)"
        if let sqlState { text += " (SQLSTATE \(sqlState))" }
        if let summary { text += ": \(summary)" }
        return text
    }

    /// All that's known, what the server said included; may quote data.
    public var debugDescription: String {
        var text = description
        if let constraint { text += " [constraint \(constraint)]" }
        if let detail { text += " [\(detail)]" }
        return text
    }
}
