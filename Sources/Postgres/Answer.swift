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
        func field(_ code: Character) -> String? {
            guard let ascii = code.asciiValue, let text = PQresultErrorField(result, Int32(ascii)) else {
                return nil
            }
            return String(cString: text)
        }
        // The codes are PG_DIAG_SQLSTATE, _CONSTRAINT_NAME and _SEVERITY_NONLOCALIZED, macros Swift can't see.
        return Failure(
            sqlState: field("C").map { SQLState($0) }, constraint: field("n"),
            message: String(cString: PQresultErrorMessage(result)),
            isFatal: ["FATAL", "PANIC"].contains(field("V")))
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
