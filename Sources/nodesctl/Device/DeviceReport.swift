import DeviceClient
import PairingCore

extension DeviceOutcome {
    /// Its word in `--json`.
    var word: String {
        switch self {
        case .quit: "quit"
        case .revoked: "revoked"
        case .replaced: "replaced"
        case .denied: "denied"
        case .refused: "refused"
        case .failed: "failed"
        }
    }

    /// What to tell a person: what happened and what to do.
    var sentence: String {
        switch self {
        case .quit: "Stopped."
        case .revoked:
            "An administrator revoked this device. Start again with --repair to ask for a new pairing."
        case .replaced:
            "Another connection of this device took over. Only one program may use this credential at a time."
        case .denied:
            "An administrator denied the request. Ask them why; start again with --repair to ask anew."
        case .refused(let error): "The server refused for good: \(error.sentence)"
        case .failed(let reason): "The device stopped: \(reason)."
        }
    }
}

extension DeviceReport {
    /// The line of `--json`, with `event` and `at`, the time in milliseconds since the epoch.
    func json(at time: Timestamp) -> JSONValue {
        var members = members
        members["event"] = .string(name)
        members["at"] = .integer(time.milliseconds)
        return .object(members)
    }

    private var name: String {
        switch self {
        case .waiting: "waiting"
        case .resolved: "resolved"
        case .connected: "connected"
        case .disconnected: "disconnected"
        case .serverStopping: "server_stopping"
        case .refused: "refused"
        case .message: "message"
        case .event: "channel_event"
        case .accepted: "accepted"
        case .notAccepted: "not_accepted"
        case .repairing: "repairing"
        case .stopped: "stopped"
        }
    }

    private var members: [String: JSONValue] {
        switch self {
        case .waiting(let ticket):
            [
                "requestId": .string(ticket.requestID), "code": .string(ticket.code.description),
                "expiresAt": ticket.expiresAt.map { .integer($0.milliseconds) } ?? .null,
                "expiresInMs": ticket.expiresIn.map { .integer($0.milliseconds) } ?? .null,
            ]
        case .resolved(let decision): ["decision": .string(decision)]
        case .connected(let session, let instance):
            ["sessionId": .string(session), "instanceId": .string(instance)]
        case .disconnected(let loss, let delay):
            [
                "reason": .string(loss.sentence), "code": loss.code.map { .integer(Int64($0)) } ?? .null,
                "retryInMs": .integer(delay.milliseconds),
            ]
        case .serverStopping, .repairing: [:]
        case .refused(let error): ["error": error.json]
        case .message(let number, let agent, let message):
            ["messageSeq": .integer(number), "agent": .string(agent), "message": message]
        case .event(let name, let payload): ["name": .string(name), "payload": payload]
        case .accepted(let id, let number): ["messageId": .string(id), "messageSeq": .integer(number)]
        case .notAccepted(let id, let error): ["messageId": .string(id), "error": error.json]
        case .stopped(let outcome): stopped(outcome)
        }
    }

    private func stopped(_ outcome: DeviceOutcome) -> [String: JSONValue] {
        var members: [String: JSONValue] = [
            "outcome": .string(outcome.word), "message": .string(outcome.sentence),
        ]
        if case .refused(let error) = outcome { members["error"] = error.json }
        return members
    }

    /// The lines for a person.
    var text: String {
        switch self {
        case .waiting(let ticket): ticket.poster
        case .resolved("approved"): "An administrator approved."
        case .resolved("expired"): "Nobody decided in time. Asking again."
        case .resolved(let decision): "The request is \(decision)."
        case .connected(let session, let instance):
            "Connected: session \(session) on instance \(instance)."
        case .disconnected(let loss, let delay):
            "Not connected: \(loss.sentence). Trying again in \(delay.seconds) s."
        case .serverStopping: "The server is about to stop."
        case .refused(let error): "Refused: \(error.sentence)"
        case .message(let number, let agent, let message): "\(agent) #\(number): \(message.text)"
        case .event(let name, let payload): "\(name): \(payload.text)"
        case .accepted(let id, let number): "Sent #\(number) (\(id))."
        case .notAccepted(let id, let error): "Not sent (\(id)): \(error.sentence)"
        case .repairing: "An administrator revoked or denied this device. Asking for a new pairing."
        case .stopped(let outcome): outcome.sentence
        }
    }
}

extension DeviceReport.Loss {
    fileprivate var code: UInt16? {
        switch self {
        case .closed(let code, _): code
        case .dialFailed, .unanswered, .unreadable, .refused: nil
        }
    }

    fileprivate var sentence: String {
        switch self {
        case .dialFailed(let reason): reason
        case .closed(nil, _): "the connection was lost"
        case .closed(let code?, let reason):
            reason.isEmpty ? "closed with \(code)" : "closed with \(code) (\(terminalText(reason)))"
        case .unanswered: "the server did not answer in time"
        case .unreadable: "the server sent something that is not the protocol; is this the right address?"
        case .refused: "the server refused for now"
        }
    }
}

extension PeerError {
    /// The code, the reason and the server's sentence.
    fileprivate var sentence: String {
        reason.isEmpty ? "\(message) (\(code))" : "\(message) (\(code), \(reason))"
    }

    fileprivate var json: JSONValue {
        .object([
            "code": .string(code), "reason": .string(reason), "message": .string(message),
            "retryable": .bool(retryable),
            "retryAfterMs": retryAfter.map { .integer($0.milliseconds) } ?? .null,
        ])
    }
}

extension DeviceTicket {
    /// The code, large, and what to do with it.
    fileprivate var poster: String {
        let line = String(repeating: "─", count: code.description.count + 8)
        let time = expiresIn.map { " within \(max(1, $0.seconds / 60)) min" } ?? ""
        return """

                ┌\(line)┐
                │\(String(repeating: " ", count: line.count))│
                │    \(code)    │
                │\(String(repeating: " ", count: line.count))│
                └\(line)┘

            On the Nodes page, compare this code and approve\(time). Request \(requestID).
            Waiting for an administrator…
            """
    }
}

extension Duration {
    /// Whole seconds, rounded up, for people.
    fileprivate var seconds: Int64 { (milliseconds + 999) / 1000 }
}
