import PairingCore

/// How a command ends. The numbers are those of `sysexits.h` where it has one.
enum ExitStatus: Int32, CaseIterable {
    case success = 0
    case failure = 1
    case usage = 64
    case refused = 65
    case notFound = 66
    case unavailable = 69
    case tryAgain = 75
    case notPermitted = 77
    case configuration = 78

    /// What the number means, for `--help` and the documents.
    var meaning: String {
        switch self {
        case .success: "done"
        case .failure: "failed for a reason that the message names"
        case .usage: "the command line is wrong; nothing was done"
        case .refused:
            "refused: the state is not the one expected, such as a request that was decided meanwhile"
        case .notFound: "there is no such request, device, account, token, agent or file"
        case .unavailable:
            "PostgreSQL cannot be reached, or is busy; a change may have been carried out: look, or repeat it, a repeat "
                + "decides nothing twice"
        case .tryAgain: "too much at once; try again later"
        case .notPermitted: "not permitted"
        case .configuration: "the configuration is wrong; the message lists every problem"
        }
    }

    /// The table of all of them.
    static var table: String {
        (["EXIT STATUS:"] + allCases.map { "  \($0.rawValue)  \($0.meaning)" }).joined(separator: "\n")
    }
}

/// Why a command did not do what it was asked.
struct CommandFailure: Error, Equatable, CustomStringConvertible {
    /// How the program ends.
    var status: ExitStatus
    /// Sentences: what was wrong, what was expected, what to do.
    var message: String
    /// The kernel's answer, where it gave one.
    var refusal: Refusal?

    var description: String { message }

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    /// A refusal of the kernel in the words of the command line.
    init(_ refusal: Refusal) {
        status =
            switch refusal.code {
            case .invalidRequest: .usage
            case .unauthorized, .forbidden: .notPermitted
            case .notPaired, .notFound: .notFound
            case .alreadyExists, .failedPrecondition: .refused
            case .resourceExhausted: .tryAgain
            case .unavailable: .unavailable
            case .internal: .failure
            }
        message =
            refusal.details.isEmpty
            ? refusal.message
            : refusal.message + " ("
                + refusal.details.sorted { $0.key < $1.key }.map {
                    "\($0.key): \($0.value.string ?? $0.value.text)"
                }
                .joined(separator: ", ") + ")"
        self.refusal = refusal
    }

    /// The same for a program: one object `{"error": {code, reason, message, …}}`.
    var json: JSONValue {
        .object([
            "error": .object([
                "code": refusal.map { .string($0.code.rawValue) } ?? .null,
                "reason": refusal.map { .string($0.reason) } ?? .null,
                "message": .string(message),
                "status": .integer(Int64(status.rawValue)),
                "retryable": .bool(refusal?.retryable ?? false),
                "retryAfterMs": refusal?.retryAfter.map { .integer($0.milliseconds) } ?? .null,
                "details": .object(refusal?.details ?? [:]),
            ])
        ])
    }
}
