import Logging
import PairingCore
import PairingStore

/// Carries out `body`, and turns every failure into a refusal: the database's absence into `UNAVAILABLE`
/// (I5), anything unforeseen into `INTERNAL`, with the cause in the log only.
func refusing<Value>(
    _ logger: Logger, _ body: () async throws -> Value
) async throws(Refusal) -> Value {
    do {
        return try await body()
    } catch let refusal as Refusal {
        throw refusal
    } catch is CancellationError {
        throw .stopping
    } catch {
        switch StoreFailure(error) {
        case .unavailable:
            logger.warning("The database is unavailable", metadata: ["error": "\(error)"])
            throw .unavailable
        case .readOnly:
            logger.warning("The database accepts no changes", metadata: ["error": "\(error)"])
            throw .readOnly
        case .unprepared:
            logger.warning("The database is not prepared", metadata: ["error": "\(error)"])
            throw .unprepared("The pairing database is not prepared yet. Try again shortly.")
        case .busy:
            logger.warning("The database is busy", metadata: ["error": "\(error)"])
            throw .waitedTooLong
        case .cancelled: throw .stopping
        case .broken, nil:
            logger.error("A use case failed", metadata: ["error": "\(error)"])
            throw .internal
        }
    }
}

extension Refusal {
    /// The database is there but takes nothing in, as during a failover: nothing is granted and nothing is lost.
    static let readOnly = Refusal(.databaseReadOnly)

    /// The database's schema is not there, or not for this program's role.
    static func unprepared(_ message: String) -> Refusal {
        Refusal(.databaseUnprepared, message)
    }

    /// Nobody waits for the answer any more, or the process stops.
    static let stopping = Refusal(.stopping)
}

extension Outcome {
    /// The value, or the refusal as an error.
    func get() throws(Refusal) -> Value {
        switch self {
        case .done(let value): return value
        case .refused(let refusal): throw refusal
        }
    }
}
