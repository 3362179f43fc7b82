import CLibPQ

/// What the server answered to one request, copied out of libpq.
struct Answer {
    /// An error the server reported.
    struct Failure {
        let sqlState: SQLState?
        let constraint: String?
        let message: String
        /// The server ends the connection with it.
        let isFatal: Bool

        func error(_ code: PostgresError.Code) -> PostgresError {
            PostgresError(code, sqlState: sqlState, constraint: constraint, detail: message)
        }
    }

    /// The last statement's rows.
    private(set) var rows = PostgresRows()
    /// The first error.
    private(set) var failure: Failure?
    /// A statement asked for data by COPY, which the connection now waits for.
    private(set) var isCopy = false

    /// Takes in one of libpq's results and frees it.
    mutating func add(_ result: OpaquePointer) {
        defer { PQclear(result) }
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK:
            rows = Self.rows(result)
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
            isCopy = true
        case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE:
            failure = failure ?? Self.failure(result)
        default:
            // An empty statement, which is no error.
            break
        }
    }

    private static func failure(_ result: OpaquePointer) -> Failure {
        Failure(
            sqlState: field(.sqlState, of: result).map { SQLState($0) },
            constraint: field(.constraint, of: result),
            message: String(cString: PQresultErrorMessage(result)), isFatal: isFatal(result))
    }

    /// Whether the server ends the connection with an error or notice.
    static func isFatal(_ result: OpaquePointer) -> Bool {
        ["FATAL", "PANIC"].contains(field(.severity, of: result))
    }

    /// The `PG_DIAG_…` codes, macros that Swift can't see.
    private enum Field: Unicode.Scalar {
        case sqlState = "C"
        case constraint = "n"
        /// In English, whatever the server's language.
        case severity = "V"
    }

    private static func field(_ field: Field, of result: OpaquePointer) -> String? {
        PQresultErrorField(result, Int32(field.rawValue.value)).map { String(cString: $0) }
    }

    private static func rows(_ result: OpaquePointer) -> PostgresRows {
        let width = PQnfields(result)
        let count = PQntuples(result)
        let columns = (0..<width).map { column in
            Columns.Column(
                name: PQfname(result, column).map { String(cString: $0) } ?? "",
                type: TypeID(oid: PQftype(result, column)))
        }
        var bytes: [UInt8] = []
        var ends: [Int] = []
        ends.reserveCapacity(Int(width) * Int(count))
        for row in 0..<count {
            for column in 0..<width {
                if PQgetisnull(result, row, column) == 1 {
                    ends.append(~bytes.count)
                } else if let value = PQgetvalue(result, row, column) {
                    bytes.append(
                        contentsOf: UnsafeRawBufferPointer(
                            start: value, count: Int(PQgetlength(result, row, column))))
                    ends.append(bytes.count)
                }
            }
        }
        return PostgresRows(
            columns: Columns(columns), bytes: bytes, ends: ends,
            affected: Int(String(cString: PQcmdTuples(result))) ?? 0, count: Int(count))
    }
}
