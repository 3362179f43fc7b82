import PairingCore

/// How GoClaw's clients pair, and are told where their pairing stands.
///
/// What it calls `sender_id` is a secret here: whoever shows it is the device. It is made by this server, which stores its
/// hash, and administrators see an identifier made of that.
extension GoClawDialect {
    mutating func connect(_ frame: RequestFrame) -> [DialectStep] {
        let connect = GoClawConnect(
            frame.parameters, administratorsPrefix: facts.administratorsPrefix)
        guard connected == nil else { return [fail(frame, "INVALID_REQUEST", "already connected")] }
        switch connect.client {
        case .administrator(let token):
            return [ask(.administrator(frame.id, connect), .connectAdministrator(token: token))]
        case .bearer(let secret):
            guard secret.utf8.count >= GoClawConnect.shortestSecret, let device = facts.secretDevice(secret)
            else {
                return [
                    fail(
                        frame, "UNAUTHORIZED",
                        "invalid token: expected an API token of an administrator, or a secret of the device's own of "
                            + "\(GoClawConnect.shortestSecret) characters or more")
                ]
            }
            return [
                ask(
                    .connect(frame.id, connect, secret: secret),
                    .enter(connect.claim(device, channel: facts.channel), identity(device)))
            ]
        case .known(let secret):
            guard let device = device(secret) else { return [unknown(frame)] }
            return [ask(.connect(frame.id, connect, secret: secret), .connect(identity(device)))]
        case .fresh:
            let secret = made ?? facts.makeSecret()
            guard let device = device(secret) else { return [unknown(frame)] }
            made = secret
            return [
                ask(
                    .connect(frame.id, connect, secret: secret),
                    .pair(connect.claim(device, channel: facts.channel)))
            ]
        }
    }

    mutating func pairingStatus(_ frame: RequestFrame) -> [DialectStep] {
        let secret = GoClawConnect.senderID(frame.parameters)
        guard !secret.isEmpty else { return [fail(frame, "INVALID_REQUEST", "sender_id is required")] }
        guard let device = device(secret) else { return [unknown(frame)] }
        return [ask(.status(frame.id), .status(identity(device)))]
    }

    /// Whose secret that is. What administrators see of a device has another form, and proves nothing.
    private func device(_ secret: String) -> (token: DeviceToken, senderID: SenderID)? {
        secret.utf8.count >= GoClawConnect.shortestSecret ? facts.secretDevice(secret) : nil
    }

    private func identity(_ device: (token: DeviceToken, senderID: SenderID)) -> DeviceIdentity {
        DeviceIdentity(
            channel: facts.channel, senderID: device.senderID, evidence: .token(device.token))
    }

    private func unknown(_ frame: RequestFrame) -> DialectStep {
        .send(
            GoClawFrames.failure(
                frame.id, "UNAUTHORIZED", Self.unknownText, details: ["reason": .string("unknown")]))
    }

    private static let unknownText =
        "No pairing and no request is proven by this sender_id. Connect without it to ask for a pairing."

    // MARK: Answers

    /// `connect` was answered, or in its place the request of a device that nobody knows.
    mutating func entered(
        _ connect: GoClawConnect, _ payload: JSONValue, secret: String
    ) -> [String: JSONValue] {
        guard payload["status"]?.string == "paired" else {
            waits = true
            return [
                "protocol": .integer(3), "status": .string("pending_pairing"),
                "pairing_code": .string((payload["code"]?.string ?? "").filter { $0 != "-" }),
                "sender_id": .string(secret), "server": Self.server,
            ]
        }
        waits = false
        connected = connect
        return Self.hello(connect, role: "operator")
    }

    private static let server = JSONValue.object(["name": .string("goclaw"), "version": .string("1.0.0")])

    static func hello(_ connect: GoClawConnect, role: String) -> [String: JSONValue] {
        [
            "protocol": .integer(3), "role": .string(role), "user_id": .string(connect.userID),
            // GoClaw's name for the only tenant of a server that has one.
            "tenant_id": .string("0193a5b0-7000-7000-8000-000000000001"), "is_owner": .bool(false),
            "is_master_scope": .bool(false), "edition": .string("standard"), "server": server,
        ]
    }

    /// Clients know three words; what else there is to say stands beside them. Some read `status`, some `approved`.
    static func status(_ payload: JSONValue) -> [String: JSONValue] {
        let status = payload["status"]?.string ?? ""
        var told: [String: JSONValue] = [
            "approved": .bool(status == "approved"),
            "status": .string(["approved", "pending"].contains(status) ? status : "expired"),
        ]
        if status == "denied" || status == "revoked" { told["reason"] = .string(status) }
        return told
    }

    mutating func refused(_ call: Call, _ refusal: Refusal, _ now: Int64) -> [DialectStep] {
        switch call {
        case .connect(let id, _, _): return [.send(Self.unpaired(id, refusal))]
        case .status(let id):
            guard refusal.code == .notPaired else { return [.send(GoClawFrames.failure(id, refusal))] }
            return [
                .send(
                    GoClawFrames.failure(
                        id, "UNAUTHORIZED", Self.unknownText, details: ["reason": .string("unknown")]))
            ]
        case .administrator(let id, _): return [.send(GoClawFrames.failure(id, refusal))]
        case .send(let id, let question) where refusal.reason == "agent_not_allowed":
            return [
                .send(
                    GoClawFrames.failure(
                        id, "NOT_FOUND", "agent not found: \(question.agent.prefix(64))",
                        details: refusal.details))
            ]
        case .send(let id, _), .history(let id), .agents(let id), .list(let id):
            return [.send(GoClawFrames.failure(id, refusal))]
        case .decide(let id, let code):
            guard refusal.code == .notFound, let code = code?.string else {
                return [.send(GoClawFrames.failure(id, refusal))]
            }
            return [
                .send(
                    GoClawFrames.failure(
                        id, "NOT_FOUND", "pairing code \(code.prefix(16)) not found or expired",
                        details: ["reason": .string(refusal.reason)]))
            ]
        case .revoke(let id, let device):
            guard refusal.code == .notFound else { return [.send(GoClawFrames.failure(id, refusal))] }
            return [
                .send(
                    GoClawFrames.failure(
                        id, "NOT_FOUND", "paired device not found: \(device)",
                        details: ["reason": .string(refusal.reason)]))
            ]
        case .abort(let id, _): return aborted(id, nil)
        case .look, .acknowledgement: return []
        }
    }

    /// Why nobody is connected.
    private static func unpaired(_ id: String, _ refusal: Refusal) -> String {
        guard refusal.code == .notPaired || ["token_revoked", "denied_recently"].contains(refusal.reason)
        else {
            return GoClawFrames.failure(id, refusal)
        }
        let isRevoked = ["revoked", "token_revoked"].contains(refusal.reason)
        // At the one its pages stop, at the other they may ask anew.
        return GoClawFrames.failure(
            id, isRevoked ? "TENANT_ACCESS_REVOKED" : "UNAUTHORIZED",
            refusal.reason == "unknown" ? unknownText : refusal.message,
            details: ["reason": .string(isRevoked ? "revoked" : refusal.reason)],
            retryAfter: isRevoked ? nil : refusal.retryAfter?.milliseconds)
    }
}
