import PairingCore

/// How OpenClaw's clients are told where their pairing stands. Texts and codes are those that its clients look for.
extension OpenClawDialect {
    /// Nobody has decided: the code is where clients show it, in the message.
    func pending(_ id: String, _ connect: OpenClawConnect, _ ticket: JSONValue) -> String {
        let code = ticket["code"]?.string ?? ""
        return OpenClawFrames.failure(
            id, "NOT_PAIRED", "pairing required: device is not approved yet; code \(code)",
            details: facts(connect).merging([
                "code": .string("PAIRING_REQUIRED"), "reason": .string("not-paired"),
                "requestId": ticket["requestId"] ?? .null,
                "remediationHint": .string("Approve this device on /nodes: code \(code)"),
                "recommendedNextStep": .string("wait_then_retry"), "retryable": .bool(true),
                "pauseReconnect": .bool(false),
                "pairingCode": .string(code.filter { $0 != "-" }),
                "expiresInMs": ticket["expiresInMs"] ?? .null,
            ]) { $1 }, retryAfter: 3000)
    }

    private func facts(_ connect: OpenClawConnect) -> [String: JSONValue] {
        [
            "deviceId": .string(connect.deviceID), "requestedRole": .string(connect.role),
            "requestedScopes": .array(connect.scopes.map(JSONValue.string)),
        ]
    }

    /// The device is connected: JSON text, of which most is the same for all.
    func hello(_ connect: OpenClawConnect, _ grant: JSONValue, _ now: Int64) -> String {
        let session = grant["sessionId"]?.string ?? ""
        // Clients keep what they are given and send it along; it opens nothing, the device's own credential does.
        let token = Base64URL.encode(Array(session.filter { $0 != "-" }.utf8.prefix(32)))
        let scopes = JSONValue.array(connect.scopes.map(JSONValue.string)).text
        return #"{"type":"hello-ok","protocol":\#(connect.version),"#
            + #""server":{"version":"1.0.0","connId":\#(session.json)},\#(Self.announced),"#
            + #""auth":{"role":\#(connect.role.json),"scopes":\#(scopes),"deviceToken":\#(token.json),"#
            + #""issuedAtMs":\#(now)},"policy":{"maxPayload":\#(facts.maximumMessage),"#
            + #""maxBufferedBytes":\#(facts.maximumBuffered),"tickIntervalMs":\#(Self.tick)}}"#
    }

    /// What every client is told of the server, as members of a JSON object.
    private static let announced: String = {
        let events = ["connect.challenge", "tick", "shutdown", "chat", "agent", "node.invoke.request"]
        let features = JSONValue.object([
            "methods": .array(methods.map(JSONValue.string)), "events": .array(events.map(JSONValue.string)),
        ])
        return #""features":\#(features.text),"snapshot":{"presence":[],"health":{},"#
            + #""stateVersion":{"presence":0,"health":0},"uptimeMs":1}"#
    }()

    /// An administrator decided, or time did: the client comes again, or learns why not.
    mutating func resolved(_ payload: JSONValue, _ now: Int64) -> [DialectStep] {
        let decision = payload["decision"]?.string ?? "expired"
        let words =
            switch decision {
            case "approved": ("approved", "pairing approved: connect again")
            case "denied": ("rejected", "pairing required: an administrator denied the request")
            default: ("expired", "pairing required: nobody decided the request in time")
            }
        var told: [String: JSONValue] = ["decision": .string(words.0), "ts": .integer(now)]
        told["requestId"] = payload["requestId"]
        if let waits { told["deviceId"] = .string(waits.deviceID) }
        stopWaiting()
        return [
            .send(OpenClawFrames.event("device.pair.resolved", told, seq: nil)),
            .close(.policyViolation, words.1),
        ]
    }

    /// A request was refused.
    mutating func refused(_ call: Call, _ refusal: Refusal) -> [DialectStep] {
        switch call {
        case .connect(let id, let connect): return refused(connect, id, refusal)
        case .send(let id, _, _, _, _), .history(let id, _), .agents(let id), .invocationResult(let id):
            return [.send(Self.failure(id, refusal))]
        case .abort(let id, _, let isLast, let runs):
            return isLast ? [.send(OpenClawFrames.response(id, Self.aborted(runs)))] : []
        case .acknowledgement: return []
        }
    }

    static func failure(_ id: String, _ refusal: Refusal) -> String {
        let code =
            switch refusal.code {
            case .notPaired: "NOT_PAIRED"
            case .forbidden: "FORBIDDEN"
            case .unavailable, .resourceExhausted, .internal: "UNAVAILABLE"
            default: "INVALID_REQUEST"
            }
        return OpenClawFrames.failure(
            id, code, refusal.message, details: ["reason": .string(refusal.reason)],
            retryAfter: refusal.retryable ? refusal.retryAfter?.milliseconds ?? 1000 : nil)
    }

    private func refused(
        _ connect: OpenClawConnect, _ id: String, _ refusal: Refusal
    ) -> [DialectStep] {
        let text: String
        let frame: String
        let reason = refusal.reason
        let isNotPaired = refusal.code == .notPaired
        if isNotPaired && reason == "revoked" && connect.bringsToken || reason == "token_revoked" {
            text = "unauthorized: device token mismatch (rotate/reissue device token)"
            frame = OpenClawFrames.failure(
                id, "INVALID_REQUEST", text,
                details: [
                    "code": .string("AUTH_DEVICE_TOKEN_MISMATCH"),
                    "authReason": .string("device_token_mismatch"),
                    "recommendedNextStep": .string("update_auth_credentials"), "reason": .string("revoked"),
                ])
        } else if isNotPaired || reason == "denied_recently" {
            text = "pairing required: \(Self.words(reason))"
            frame = OpenClawFrames.failure(
                id, "NOT_PAIRED", text,
                details: facts(connect).merging([
                    "code": .string("PAIRING_REQUIRED"), "reason": .string(reason),
                    "retryable": .bool(refusal.retryAfter != nil), "pauseReconnect": .bool(true),
                    "decisionReason": refusal.details["decisionReason"] ?? .null,
                ]) { $1 }, retryAfter: refusal.retryAfter?.milliseconds)
        } else {
            let (words, code) = Self.proofFailure(refusal)
            text = words
            if let code {
                frame = OpenClawFrames.failure(
                    id, "INVALID_REQUEST", text,
                    details: refusal.details.merging(["code": .string(code)]) { $1 })
            } else {
                frame = Self.failure(id, refusal)
            }
        }
        return [.send(frame), .close(.policyViolation, OpenClawFrames.reason(text))]
    }

    private static func words(_ reason: String) -> String {
        switch reason {
        case "revoked": "an administrator revoked this device"
        case "denied", "denied_recently": "an administrator denied the request"
        default: "device is not approved yet"
        }
    }

    private static func proofFailure(_ refusal: Refusal) -> (String, String?) {
        switch refusal.reason {
        case "nonce_mismatch": return ("device nonce mismatch", "DEVICE_AUTH_NONCE_MISMATCH")
        case "invalid_proof": return ("device signature invalid", "DEVICE_AUTH_SIGNATURE_INVALID")
        case "device_id_mismatch": return ("device identity mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH")
        case "signed_at_out_of_range":
            let skew =
                refusal.details["differenceMs"]?.wholeNumber.map { " (clock differs by \($0) ms)" } ?? ""
            return ("device signature expired\(skew)", "DEVICE_AUTH_SIGNATURE_EXPIRED")
        default: return (refusal.message, nil)
        }
    }

    /// How a socket is closed, in this dialect's codes.
    public func closing(_ code: CloseCode, _ reason: String) -> DialectEnd {
        switch code {
        case .pairingRevoked: DialectEnd(.pairingRevoked, "device removed")
        case .denied:
            DialectEnd(.policyViolation, "pairing required: an administrator denied the request")
        default: DialectEnd(code, reason)
        }
    }
}
