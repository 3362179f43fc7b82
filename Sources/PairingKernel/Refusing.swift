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
    /// Nobody waits for the answer any more, or the process stops.
    fileprivate static let stopping = Refusal(
        .unavailable, "stopping", "The server is stopping. Try again.", retryable: true,
        retryAfter: .seconds(1))
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
