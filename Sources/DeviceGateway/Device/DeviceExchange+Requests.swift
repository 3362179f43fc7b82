import NIOCore
import NodesProtocol
import PairingCore
import PairingKernel

/// What requests lead to, and what answers and orders change.
extension DeviceExchange {
    /// What a request that stands alone leads to.
    enum Reaction {
        case answer(DeviceAnswer)
        case call(DeviceCall)
    }

    /// Every request before this one is answered: what the socket is cannot change before this is, too.
    mutating func begin(_ asked: Asked, _ now: NIODeadline) -> Reaction {
        do throws(Refusal) {
            if case .challenge = asked.request { return .answer(.payload(conversation.challenge())) }
            // A device that was just approved may not have waited to be told: nothing is to be done.
            if case .paired(let grant) = role {
                switch asked.request {
                case .connect(let identity) where grant.isOf(identity.senderID, identity.channel):
                    return .answer(.payload(.object(facts.paired(grant))))
                case .pair(let claim) where grant.isOf(claim.senderID, claim.channel):
                    return .answer(.payload(Self.approved))
                default: break
                }
            }
            return .call(try call(for: asked.request, now))
        } catch {
            return .answer(.refusal(error))
        }
    }

    private mutating func call(for request: DeviceRequest, _ now: NIODeadline) throws(Refusal) -> DeviceCall {
        switch request {
        case .pair(let claim):
            try checkIdentity(claim.senderID)
            conversation.attempted(now: now)
            if case .key = claim.credential { return .pair(claim, spentNonce: conversation.spendNonce()) }
            return .pair(claim, spentNonce: nil)
        case .status(let identity): return .status(identity, spentNonce: spentNonce(for: identity))
        case .connect(let identity):
            try checkIdentity(identity.senderID)
            conversation.attempted(now: now)
            return .connect(identity, spentNonce: spentNonce(for: identity))
        case .enter(let claim, let identity):
            try checkIdentity(identity.senderID)
            conversation.attempted(now: now)
            return .enter(claim, identity, spentNonce: spentNonce(for: identity))
        case .agents: return .message(.agents(try grant()))
        case .history(let cursor, let limit, let conversation):
            return .message(.history(cursor, limit: limit, conversation, try grant()))
        case .connectAdministrator(let token):
            guard role == .stranger else { throw .alreadySomebody }
            conversation.attempted(now: now)
            return .authenticate(token: token)
        case .messageStatus(let id): return .message(.status(messageID: id, try grant()))
        case .abort(let id): return .message(.abort(messageID: id, try grant()))
        case .push(let push): return .message(.push(push, try authority()))
        case .pushStatus(let senderID, let id):
            return .message(.pushStatus(senderID, pushID: id, try authority()))
        case .list(let listing): return .list(listing, try authority())
        case .approve(let id, let code): return .approve(id, code, try authority())
        case .deny(let id, let code, let reason): return .deny(id, code, reason: reason, try authority())
        case .approveCode(let code): return .approveCode(code, try authority())
        case .denyCode(let code, let reason): return .denyCode(code, reason: reason, try authority())
        case .revoke(let channel, let senderID, let generation, let reason):
            return .revoke(channel, senderID, generation, reason: reason, try authority())
        // The others are answered without a call, or beside others.
        case .health, .challenge, .send, .acknowledge: return .health
        }
    }

    /// A socket is one device's, and has one pending request.
    private func checkIdentity(_ senderID: SenderID) throws(Refusal) {
        switch role {
        case .stranger: return
        case .waiting(_, senderID): return
        case .waiting: throw .oneRequestASocket
        case .paired, .administrator: throw .alreadySomebody
        }
    }

    private func authority() throws(Refusal) -> Authority {
        switch role {
        case .administrator(let authority): return authority
        case .stranger, .waiting: throw .administratorNeeded
        case .paired: throw .notAnAdministrator
        }
    }

    private mutating func spentNonce(for identity: DeviceIdentity) -> String? {
        if case .proof = identity.evidence { conversation.spendNonce() } else { nil }
    }

    // MARK: Answers

    /// An answer leaves, and with it the socket becomes what it says.
    mutating func answering(_ id: String, _ answer: DeviceAnswer, _ now: NIODeadline) -> [Action] {
        switch answer {
        case .unreadable(let failure):
            return [.send(.failure(id: failure.id, failure.refusal), isDelivery: false)]
        case .refusal(let refusal):
            let failure = Action.send(.failure(id: id, refusal), isDelivery: false)
            return role.isStrangers ? [.disown, failure] : [failure]
        case .payload(let payload): return [respond(id, payload)]
        case .receipt(let receipt):
            let answer =
                receipt.isEphemeral
                ? ServerFrame.response(
                    id: id,
                    payload: .object([
                        "messageId": .string(receipt.messageID), "status": .string("ephemeral"),
                    ]))
                : .accepted(id: id, messageID: receipt.messageID, messageSeq: receipt.sequence)
            return [.send(answer, isDelivery: false)]
                + receipt.frames.map { event($0, isDelivery: false) }
        case .pairing(.approved):
            var actions = [respond(id, Self.approved)]
            if case .waiting = role { actions += become(.stranger, now) }
            return actions
        case .pairing(.pending(let ticket)):
            return [respond(id, .object(JSONValue.ticket(ticket)))] + wait(ticket, now)
        case .connection(.pending(let ticket)):
            return [respond(id, .object(facts.pending(ticket)))] + wait(ticket, now)
        case .connection(.paired(let grant)):
            return [respond(id, .object(facts.paired(grant))), .enter(grant)]
                + become(.paired(grant), now) + [.begin(grant)]
        case .authority(let authority):
            return [respond(id, .object(facts.administrator(authority))), .serve(authority)]
                + become(.administrator(authority), now)
        }
    }

    private mutating func wait(_ ticket: PairingTicket, _ now: NIODeadline) -> [Action] {
        conversation.wait(ticket.expiresIn, now: now)
        return become(.waiting(ticket.requestID, ticket.senderID), now)
    }

    /// The answer to the request of a device that is paired already.
    private static let approved = JSONValue.object(["status": .string("approved")])

    private func respond(_ id: String, _ payload: JSONValue) -> Action {
        .send(.response(id: id, payload: payload), isDelivery: false)
    }

    // MARK: Orders

    /// What was ordered is to be done now.
    mutating func carryOut(_ order: Order, _ now: NIODeadline) -> [Action] {
        switch order {
        case .resolve(let resolution): resolved(resolution, now)
        case .deliver(let frame): [event(frame, isDelivery: true)]
        case .suspend: [.suspend(true)]
        case .resume: [.suspend(false)]
        case .close(let closure): Self.closing(closure)
        }
    }

    private static func closing(_ closure: SocketClosure) -> [Action] {
        switch closure {
        case .revoked:
            [.close(.pairingRevoked, reason: "the pairing was revoked; pair again", discarding: true)]
        case .replaced: [.close(.replaced, "a newer connection of this device took over")]
        case .denied: [.close(.denied, "an administrator denied the request")]
        // What was answered goes out, what was to be delivered does not (I3).
        case .authorityLost:
            [.suspend(true), .close(.tryLater, "this instance lost touch with the database")]
        case .authorityEnded:
            [.close(.policyViolation, reason: "the token was revoked or has expired", discarding: true)]
        case .endedByChannel(let reason): [.close(.policyViolation, reason)]
        case .channelUnavailable: [.close(.tryLater, "the channel is out of service")]
        }
    }

    private mutating func event(_ frame: ChannelFrame, isDelivery: Bool) -> Action {
        .send(conversation.channelEvent(frame.event, payload: frame.payload), isDelivery: isDelivery)
    }

    /// An administrator decided, or time did. A device that learned it from an answer is not told again.
    private mutating func resolved(_ resolution: PairingResolution, _ now: NIODeadline) -> [Action] {
        guard case .waiting(resolution.requestID, _) = role else { return [] }
        var payload: [String: JSONValue] = [
            "decision": .string(resolution.decision), "requestId": .string(resolution.requestID.text),
        ]
        if case .denied(_, let reason?) = resolution { payload["reason"] = .string(reason) }
        guard case .approved(_, let grant?) = resolution else {
            return [.send(conversation.event(.pairResolved, .object(payload)), isDelivery: false)]
                + become(.stranger, now)
        }
        payload.merge(facts.paired(grant)) { $1 }
        return [.send(conversation.event(.pairResolved, .object(payload)), isDelivery: false), .enter(grant)]
            + become(.paired(grant), now)
    }
}

extension DeviceExchange.Role {
    fileprivate var isStrangers: Bool {
        switch self {
        case .stranger, .waiting: true
        case .paired, .administrator: false
        }
    }
}

extension SessionGrant {
    fileprivate func isOf(_ senderID: SenderID, _ channel: ChannelID) -> Bool {
        self.senderID == senderID && self.channel == channel
    }
}

extension PairingResolution {
    fileprivate var requestID: RequestID {
        switch self {
        case .approved(let id, _), .denied(let id, _), .expired(let id): id
        }
    }

    fileprivate var decision: String {
        switch self {
        case .approved: "approved"
        case .denied: "denied"
        case .expired: "expired"
        }
    }
}
