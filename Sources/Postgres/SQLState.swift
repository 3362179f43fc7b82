/// A five-character SQLSTATE, as PostgreSQL reports it with every error.
///
/// Source: PostgreSQL 15 manual, appendix A, "PostgreSQL Error Codes".
public struct SQLState: Sendable, Hashable, CustomStringConvertible {
    /// The five characters.
    public let code: String

    /// Wraps a code as the server sent it.
    public init(_ code: String) { self.code = code }

    /// The first two characters: the class of the error.
    public var errorClass: String { String(code.prefix(2)) }

    /// The five characters.
    public var description: String { code }

    /// 08006: the connection failed.
    public static let connectionFailure = SQLState("08006")
    /// 08P01: what was sent fits no rule of the protocol.
    public static let protocolViolation = SQLState("08P01")
    /// 0A000: the server doesn't support it; also "cached plan must not change result type".
    public static let featureNotSupported = SQLState("0A000")
    /// 22001: a text is longer than its column.
    public static let stringDataRightTruncation = SQLState("22001")
    /// 22021: bytes that are no characters of the database's encoding.
    public static let characterNotInRepertoire = SQLState("22021")
    /// 22P02: a text that is no value of the type it's for.
    public static let invalidTextRepresentation = SQLState("22P02")
    /// 23502
    public static let notNullViolation = SQLState("23502")
    /// 23503
    public static let foreignKeyViolation = SQLState("23503")
    /// 23505
    public static let uniqueViolation = SQLState("23505")
    /// 23514
    public static let checkViolation = SQLState("23514")
    /// 25006: a write on a read-only server, as a standby is.
    public static let readOnlySQLTransaction = SQLState("25006")
    /// 25P03: the transaction sat idle for too long and the server ended the connection.
    public static let idleInTransactionSessionTimeout = SQLState("25P03")
    /// 26000: a prepared statement the server doesn't know.
    public static let invalidSQLStatementName = SQLState("26000")
    /// 40001
    public static let serializationFailure = SQLState("40001")
    /// 40P01
    public static let deadlockDetected = SQLState("40P01")
    /// 42P05: the session has a prepared statement of that name.
    public static let duplicatePreparedStatement = SQLState("42P05")
    /// 42501
    public static let insufficientPrivilege = SQLState("42501")
    /// 42601
    public static let syntaxError = SQLState("42601")
    /// 3F000: a schema that isn't there.
    public static let invalidSchemaName = SQLState("3F000")
    /// 42883
    public static let undefinedFunction = SQLState("42883")
    /// 42P01
    public static let undefinedTable = SQLState("42P01")
    /// 42703
    public static let undefinedColumn = SQLState("42703")
    /// 42P07
    public static let duplicateTable = SQLState("42P07")
    /// 53300
    public static let tooManyConnections = SQLState("53300")
    /// 55P03: a lock wasn't to be had within the lock timeout, or at once with NOWAIT.
    public static let lockNotAvailable = SQLState("55P03")
    /// 57014: the statement was cancelled, by its timeout or on request.
    public static let queryCanceled = SQLState("57014")
    /// 57P01: an administrator ended the connection or stops the server.
    public static let adminShutdown = SQLState("57P01")
    /// 57P02
    public static let crashShutdown = SQLState("57P02")
    /// 57P03: the server starts, stops or recovers.
    public static let cannotConnectNow = SQLState("57P03")
    /// P0001: `RAISE EXCEPTION` without a code of its own.
    public static let raiseException = SQLState("P0001")
}
