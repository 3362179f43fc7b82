import ArgumentParser
import NodesConfiguration
import PairingCore
import Postgres

/// Runs a command's body; what it throws becomes a sentence on standard error and the exit status.
///
/// - Parameter asJSON: whether the sentence is wrapped in a JSON object.
func reporting(asJSON: Bool, _ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let code as ExitCode {
        throw code
    } catch {
        let failure = CommandFailure(error: error)
        Terminal.complain(
            asJSON ? failure.json.text : "nodesctl: " + terminalText(failure.message, keepingLines: true))
        throw ExitCode(failure.status.rawValue)
    }
}

extension CommandFailure {
    /// Any error in the words of the command line.
    init(error: any Error) {
        switch error {
        case let error as CommandFailure: self = error
        case let refusal as Refusal: self.init(refusal)
        case let error as ConfigurationError:
            self.init(.configuration, "The configuration is wrong:\n\(error)")
        case let error as PostgresError
        where error.code == .invalidConfiguration || error.code == .sessionUnsupported:
            self.init(.configuration, "database.url can't be used: \(error)")
        case let error as PostgresError where error.isUnavailable:
            // An operator may read what the server said; it helps to find out why.
            self.init(
                .unavailable,
                "PostgreSQL cannot be reached; nothing was done. Check database.url and the server. "
                    + String(reflecting: error))
            refusal = .unavailable
        case let error as PostgresError where error.isRetryable:
            self.init(.tryAgain, "The database is busy; try again. \(error)")
        case let error as PostgresError: self.init(.failure, String(reflecting: error))
        default: self.init(.failure, String(describing: error))
        }
    }
}
