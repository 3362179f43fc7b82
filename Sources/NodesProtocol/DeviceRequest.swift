import PairingCore

/// Which rows `device.pair.list` answers; both lists are paged by key.
public struct PairingListing: Sendable, Equatable {
    /// The most rows of each list in one answer, and the number where none is asked for.
    public static let maximumLimit = 100

    /// A part of what is searched; empty for all.
    public var filter: String
    /// `pendingNext` of the answer before.
    public var pendingAfter: String?
    /// `pairedNext` of the answer before.
    public var pairedAfter: String?
    /// The most rows of each list.
    public var limit: Int

    /// Wraps the parts.
    public init(
        filter: String = "", pendingAfter: String? = nil, pairedAfter: String? = nil,
        limit: Int = maximumLimit
    ) {
        self.filter = filter
        self.pendingAfter = pendingAfter
        self.pairedAfter = pairedAfter
        self.limit = limit
    }
}

/// A call whose parameters have been read.
public enum DeviceRequest: Sendable, Equatable {
    /// `device.pair.request`
    case pair(PairingClaim)
    /// `device.pair.status`
    case status(DeviceIdentity)
    /// `device.challenge`
    case challenge
    /// `connect` of a device
    case connect(DeviceIdentity)
    /// `connect` with an administrator's API token
    case connectAdministrator(token: String)
    /// Of dialects whose devices do not say whether they know that they are paired: `connect`, or a pairing request
    /// where nobody is known.
    case enter(PairingClaim, DeviceIdentity)
    /// `message.history`
    case history(
        before: MessageHistory.Cursor = .init(), limit: Int, conversation: ConversationName = .main)
    /// Of dialects that show whom one may talk to: the agents that the device may name.
    case agents
    /// `message.send`, with the message's JSON text
    case send(
        messageID: String, message: String, agent: String? = nil, conversation: ConversationName = .main)
    /// `message.ack`
    case acknowledge(messageSeq: Int64)
    /// `message.status` of a device's own message
    case messageStatus(messageID: String)
    /// `message.status` of a push
    case pushStatus(SenderID, pushID: String)
    /// `message.abort`
    case abort(messageID: String)
    /// `message.push`
    case push(PushRequest)
    /// `device.pair.list`
    case list(PairingListing)
    /// `device.pair.approve`
    case approve(RequestID, PairingCode)
    /// `device.pair.deny`
    case deny(RequestID, PairingCode?, reason: String? = nil)
    /// Of dialects that name a request by its code alone: approves it.
    case approveCode(PairingCode)
    /// The same, and denies it.
    case denyCode(PairingCode, reason: String? = nil)
    /// `device.pair.revoke`; of any channel where none is named
    case revoke(ChannelID?, SenderID, Generation?, reason: String? = nil)
    /// `health`
    case health

    /// The longest `displayName` in bytes, as it is sent.
    public static let maximumDisplayNameLength = 1024
    /// The longest `messageId` in bytes.
    public static let maximumMessageIDLength = 128
    /// The longest name of an agent in bytes.
    public static let maximumAgentLength = 64
    /// The longest API token in bytes.
    public static let maximumTokenLength = 512

    /// Reads the parameters of a request.
    ///
    /// - Throws: a `Refusal` with `INVALID_REQUEST` that names the parameter and what was expected, or the
    ///   method where it is unknown.
    public init(_ frame: RequestFrame) throws(Refusal) {
        guard let method = MethodName(rawValue: frame.method) else {
            throw Refusal(
                .invalidRequest, "unknown_method",
                "method: there is no \(quoted(frame.method)); expected one of "
                    + "\(MethodName.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        self = try Self.read(method, Parameters(frame.parameters), frame.message)
    }

    private static func read(
        _ method: MethodName, _ parameters: Parameters, _ message: String?
    ) throws(Refusal) -> DeviceRequest {
        switch method {
        case .pairRequest: .pair(try pairingClaim(parameters))
        case .pairStatus: .status(try deviceClaim(parameters))
        case .challenge: .challenge
        case .connect: try connect(parameters)
        case .messageSend: try send(parameters, message)
        case .messageAck:
            .acknowledge(messageSeq: try required(try parameters.integer("messageSeq", in: 1...Int64.max)))
        case .messageStatus: try messageStatus(parameters)
        case .messageAbort: try abort(parameters)
        case .messageHistory: try history(parameters)
        case .messagePush: try push(parameters, message)
        case .pairList: .list(try listing(parameters))
        case .pairApprove: .approve(try parameters.requestID(), try requiredCode(parameters))
        case .pairDeny:
            .deny(try parameters.requestID(), try parameters.code(), reason: try reason(parameters))
        case .pairRevoke:
            .revoke(
                try parameters.channel(), try parameters.senderID(),
                try parameters.integer("generation", in: 1...Int64.max).map(Generation.init),
                reason: try reason(parameters))
        case .health: .health
        }
    }

    /// Why an administrator decides so.
    private static func reason(_ parameters: Parameters) throws(Refusal) -> String? {
        try parameters.optional("reason", "a string of at most \(maximumDisplayNameLength) bytes") {
            $0.utf8.count <= maximumDisplayNameLength ? $0 : nil
        }
    }

    private static func pairingClaim(_ parameters: Parameters) throws(Refusal) -> PairingClaim {
        let limit = maximumDisplayNameLength
        return PairingClaim(
            channel: try parameters.channel(), senderID: try parameters.senderID(),
            credential: try parameters.claimedCredential(), code: try parameters.code(),
            displayName: try parameters.optional("displayName", "a string of at most \(limit) bytes") {
                $0.utf8.count <= limit ? $0 : nil
            } ?? "",
            metadata: .object(try parameters.object("metadata") ?? [:]),
            invitation: try parameters.optional(
                "invitation", "the text of an invitation, of at most 64 bytes"
            ) {
                $0.utf8.count <= 64 ? $0 : nil
            })
    }

    private static func deviceClaim(_ parameters: Parameters) throws(Refusal) -> DeviceIdentity {
        DeviceIdentity(
            channel: try parameters.channel(), senderID: try parameters.senderID(),
            evidence: try parameters.evidence())
    }

    private static func connect(_ parameters: Parameters) throws(Refusal) -> DeviceRequest {
        guard parameters.has("token") else { return .connect(try deviceClaim(parameters)) }
        return .connectAdministrator(
            token: try parameters.require("token", "an administrator's API token", isSecret: true) {
                (1...maximumTokenLength).contains($0.utf8.count) ? $0 : nil
            })
    }

    private static func listing(_ parameters: Parameters) throws(Refusal) -> PairingListing {
        let filter = try parameters.optional("filter", "a string of at most 128 bytes") {
            $0.utf8.count <= 128 ? $0 : nil
        }
        let limits = 1...Int64(PairingListing.maximumLimit)
        return PairingListing(
            filter: filter ?? "", pendingAfter: try parameters.optional("pendingAfter", "a string") { $0 },
            pairedAfter: try parameters.optional("pairedAfter", "a string") { $0 },
            limit: Int(try parameters.integer("limit", in: limits) ?? limits.upperBound))
    }

    private static func send(
        _ parameters: Parameters, _ message: String?
    ) throws(Refusal) -> DeviceRequest {
        let limit = maximumMessageIDLength
        let messageID = try parameters.require(
            "messageId", "the message's identifier, a string of 1 to \(limit) bytes"
        ) { (1...limit).contains($0.utf8.count) ? $0 : nil }
        guard let message else {
            throw Parameters.refusal("message", "missing; expected any JSON value but null")
        }
        let agent = try parameters.optional(
            "agent", "an agent's name, a string of 1 to \(maximumAgentLength) bytes"
        ) {
            (1...maximumAgentLength).contains($0.utf8.count) ? $0 : nil
        }
        return .send(
            messageID: messageID, message: message, agent: agent,
            conversation: try parameters.conversation())
    }

    private static func requiredCode(_ parameters: Parameters) throws(Refusal) -> PairingCode {
        guard let code = try parameters.code() else {
            throw Parameters.refusal("code", "missing; expected the code the device shows")
        }
        return code
    }

    private static func required(_ messageSeq: Int64?) throws(Refusal) -> Int64 {
        guard let messageSeq else {
            throw Parameters.refusal("messageSeq", "missing; expected the number of a message")
        }
        return messageSeq
    }
}
