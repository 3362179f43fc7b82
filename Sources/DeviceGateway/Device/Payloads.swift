import NodesProtocol
import PairingCore
import PairingKernel

/// What `connect` tells a client of the server.
struct ServerFacts: Sendable {
    let instanceID: InstanceID
    let settings: GatewaySettings

    /// The answer to `connect` of a paired device, also part of `device.pair.resolved`.
    func paired(_ grant: SessionGrant) -> [String: JSONValue] {
        connected(status: "paired", role: "device", limits: grant.limits).merging([
            "sessionId": .string(grant.sessionID), "channel": .string(grant.channel.text),
            "senderId": .string(grant.senderID.text),
        ]) { $1 }
    }

    /// The answer to `connect` of a device that waits.
    func pending(_ ticket: PairingTicket) -> [String: JSONValue] {
        connected(status: "pending_pairing", role: "device").merging(JSONValue.ticket(ticket)) { old, _ in
            old
        }
    }

    /// The answer to `connect` of an administrator.
    func administrator(_ authority: Authority) -> [String: JSONValue] {
        connected(status: "paired", role: "administrator").merging([
            "scope": .string(authority.scope.rawValue)
        ]) { $1 }
    }

    private func connected(
        status: String, role: String, limits: ChannelLimits? = nil
    ) -> [String: JSONValue] {
        let times = settings.times(within: limits ?? ChannelLimits())
        var facts: [String: JSONValue] = [
            "maxMessageBytes": .integer(Int64(settings.maximumMessage)),
            "maxFragments": .integer(Int64(settings.maximumFragments)),
            "framesPerSecond": .integer(Int64(settings.framesPerSecond)),
            "framesBurst": .integer(Int64(settings.framesBurst)),
            "pingIntervalMs": .integer(times.ping.milliseconds),
            "silenceTimeoutMs": .integer(times.silence.milliseconds),
        ]
        if let limits {
            let most = DeviceSessions.maximumBodyBytes
            facts["maxBodyBytes"] = .integer(Int64(min(limits.maximumMessageBytes ?? most, most)))
            if let rate = limits.messagesPerSecond { facts["messagesPerSecond"] = .number(rate) }
            if let burst = limits.burst { facts["messagesBurst"] = .integer(Int64(burst)) }
        }
        return [
            "protocol": .integer(Int64(NodesProtocol.version)), "status": .string(status),
            "role": .string(role), "instanceId": .string(instanceID.text), "limits": .object(facts),
        ]
    }
}

extension JSONValue {
    static func ticket(_ ticket: PairingTicket) -> [String: JSONValue] {
        var payload: [String: JSONValue] = [
            "requestId": .string(ticket.requestID.text), "code": .string(ticket.code.description),
            "status": .string("pending"), "channel": .string(ticket.channel.text),
            "senderId": .string(ticket.senderID.text), "expiresAt": .integer(ticket.expiresAt.milliseconds),
            "expiresInMs": .integer(ticket.expiresIn.milliseconds),
        ]
        if let token = ticket.deviceToken { payload["deviceToken"] = .string(token.text) }
        return payload
    }

    static func status(_ status: PairingStatus, of identity: DeviceIdentity) -> JSONValue {
        var payload: [String: JSONValue] = [
            "channel": .string(identity.channel.text), "senderId": .string(identity.senderID.text),
        ]
        switch status {
        case .pending(let ticket): payload = Self.ticket(ticket)
        case .approved: payload["status"] = .string("approved")
        case .denied(let retryAfter, let reason):
            payload["status"] = .string("denied")
            payload["reason"] = .string(explained("An administrator denied the request", reason))
            if let retryAfter { payload["retryAfterMs"] = .integer(retryAfter.milliseconds) }
        case .expired:
            payload["status"] = .string("expired")
            payload["reason"] = .string("No administrator decided in time; ask again.")
        case .revoked(let reason):
            payload["status"] = .string("revoked")
            payload["reason"] = .string(
                explained("An administrator revoked the pairing; pair again", reason))
        }
        return .object(payload)
    }

    private static func explained(_ text: String, _ reason: String?) -> String {
        reason.map { "\(text): \($0)" } ?? text + "."
    }

    /// - Parameters:
    ///   - by: who decided, where that is told.
    ///   - doneAt: when it was carried out, where that was before this request.
    static func decision(
        _ status: String, _ id: RequestID, _ channel: ChannelID, _ senderID: SenderID,
        by: String? = nil, doneAt: Timestamp? = nil
    ) -> JSONValue {
        var payload: [String: JSONValue] = [
            "status": .string(status), "requestId": .string(id.text), "channel": .string(channel.text),
            "senderId": .string(senderID.text),
        ]
        if let by { payload["decidedBy"] = .string(by) }
        if let doneAt {
            payload["repeated"] = .bool(true)
            payload["decidedAt"] = .integer(doneAt.milliseconds)
        }
        return .object(payload)
    }

    /// - Parameter hidesCode: where an administrator has to type what the device shows.
    static func request(_ row: PairingAdministration.RequestRow, hidesCode: Bool) -> JSONValue {
        let request = row.request
        return described(
            request.channel, request.senderID, request.profile, row.fingerprint,
            [
                "requestId": .string(request.id.text),
                "code": hidesCode ? .null : .string(request.code.description),
                "createdAt": .integer(request.createdAt.milliseconds),
                "expiresAt": .integer(request.expiresAt.milliseconds),
                "address": request.address.map { .string($0.description) } ?? .null,
            ])
    }

    static func device(_ row: PairingAdministration.DeviceRow) -> JSONValue {
        let device = row.device
        return described(
            device.channel, device.senderID, device.profile, row.fingerprint,
            [
                "generation": .integer(device.generation.number),
                "pairedAt": .integer(device.pairedAt.milliseconds), "pairedBy": .string(device.pairedBy),
                "connected": .bool(row.isConnected),
                "lastSeenAt": row.lastSeenAt.map { .integer($0.milliseconds) } ?? .null,
            ])
    }

    private static func described(
        _ channel: ChannelID, _ senderID: SenderID, _ profile: DeviceProfile, _ fingerprint: String?,
        _ facts: [String: JSONValue]
    ) -> JSONValue {
        var payload = facts
        payload["channel"] = .string(channel.text)
        payload["senderId"] = .string(senderID.text)
        payload["displayName"] = .string(profile.displayName)
        payload["details"] = .array(
            profile.details.map { .object(["label": .string($0.label), "value": .string($0.value)]) })
        payload["fingerprint"] = fingerprint.map(JSONValue.string) ?? .null
        return .object(payload)
    }
}
