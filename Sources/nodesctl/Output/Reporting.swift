import ArgumentParser
import PairingCore

/// Runs a command's body; what it throws becomes a sentence on standard error and the exit status.
///
/// - Parameter asJSON: whether the sentence is wrapped in a JSON object.
func reporting(asJSON: Bool, _ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let code as ExitCode {
        throw code
    } catch {
        let failure =
            (error as? CommandFailure) ?? (error as? Refusal).map { CommandFailure($0) }
            ?? CommandFailure(.failure, String(describing: error))
        Terminal.complain(
            asJSON ? failure.json.text : "nodesctl: " + terminalText(failure.message, keepingLines: true))
        throw ExitCode(failure.status.rawValue)
    }
}
