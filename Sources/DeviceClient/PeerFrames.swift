import NodesProtocol
import PairingCore

/// A frame of the server as a device understands it.
package enum PeerFrame: Equatable, Sendable {
    case response(id: String, payload: JSONValue)
    case refusal(id: String?, PeerError)
    case event(name: String, payload: JSONValue)

    /// What a channel says to its device nests up to 64 levels, inside the frame.
    private static let limits = JSONLimits(depth: 65)

    /// Reads the text of a frame; unknown keys are ignored.
    ///
    /// - Returns: `nil` where it is no frame of the protocol.
    package init?(_ text: [UInt8]) {
        guard let value = try? JSONValue(parsing: text, limits: Self.limits) else { return nil }
        switch (value["type"]?.string, value["ok"]) {
        case ("res", .bool(true)):
            guard let id = value["id"]?.string else { return nil }
            self = .response(id: id, payload: value["payload"] ?? .object([:]))
        case ("res", .bool(false)):
            guard let error = value["error"].flatMap(PeerError.init) else { return nil }
            self = .refusal(id: value["id"]?.string, error)
        case ("event", _):
            guard let name = value["event"]?.string else { return nil }
            self = .event(name: name, payload: value["payload"] ?? .object([:]))
        default: return nil
        }
    }
}

/// The `error` of an answer.
package struct PeerError: Equatable, Sendable {
    /// One of the protocol's codes, or one this program does not know yet.
    package var code: String
    /// `details.reason`, which tells errors of one code apart; may be empty.
    package var reason: String
    /// The sentence for a person.
    package var message: String
    /// Whether the same request can succeed later.
    package var retryable: Bool
    /// How long to wait before that.
    package var retryAfter: Duration?

    package init(code: String, reason: String, message: String, retryable: Bool, retryAfter: Duration? = nil)
    {
        self.code = code
        self.reason = reason
        self.message = message
        self.retryable = retryable
        self.retryAfter = retryAfter
    }

    /// - Returns: `nil` where the value is not an error object.
    package init?(_ value: JSONValue) {
        guard let code = value["code"]?.string else { return nil }
        self.code = code
        reason = value["details"]?["reason"]?.string ?? ""
        message = value["message"]?.string ?? ""
        retryable = value["retryable"] == .bool(true)
        if case .integer(let milliseconds) = value["retryAfterMs"] {
            // A day is longer than anything the protocol knows; a greater number is a fault of the server.
            retryAfter = .milliseconds(min(max(milliseconds, 0), 86_400_000))
        }
    }
}

/// A pending request: what the device shows while it waits.
package struct DeviceTicket: Equatable, Sendable {
    /// The request.
    package var requestID: String
    /// What the administrator compares.
    package var code: PairingCode
    /// When the request ends, where the server said so.
    package var expiresAt: Timestamp?
    /// The same by the server's clock, from now.
    package var expiresIn: Duration?

    /// Reads the payload of `device.pair.request`, or of a `connect` that answered `pending_pairing`.
    ///
    /// - Returns: `nil` where there is no request in it.
    package init?(payload: JSONValue) {
        guard let requestID = payload["requestId"]?.string,
            let code = payload["code"]?.string.flatMap(PairingCode.init)
        else { return nil }
        self.requestID = requestID
        self.code = code
        if case .integer(let time) = payload["expiresAt"] { expiresAt = Timestamp(milliseconds: time) }
        if case .integer(let time) = payload["expiresInMs"] { expiresIn = .milliseconds(time) }
    }
}

/// A request as the device sends it.
package func requestFrame(id: String, _ method: MethodName, _ parameters: [String: JSONValue]) -> JSONValue {
    .object([
        "type": .string("req"), "id": .string(id), "method": .string(method.rawValue),
        "params": .object(parameters),
    ])
}
