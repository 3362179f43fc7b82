import NIOCore
import NIOWebSocket
import NodesProtocol
import PairingCore
import PairingKernel

/// What one socket may do and has been told: the device protocol without its input and output.
///
/// Requests come one at a time: the socket is not read while the kernel works on one.
struct DeviceConversation {
    /// Who is at the other end.
    enum Role: Sendable, Equatable {
        /// Nobody knows. Goes to each of the others, and every `waiting` back to it.
        case stranger
        /// A device whose request an administrator has not decided.
        case waiting(RequestID, SenderID)
        /// A paired device with its session. Final.
        case paired(SessionGrant)
        /// An administrator's program. Final.
        case administrator(Authority)
    }

    /// What a request leads to.
    enum Reaction {
        case reply(ServerFrame)
        case call(DeviceCall)
    }

    /// What the shell does after an answer or a decision.
    enum Step {
        case send(ServerFrame)
        /// The socket is a device's session: greater messages, and the room of a paired device.
        case enter(SessionGrant)
        /// The socket is an administrator's: the same, for as long as the authority lasts.
        case serve(Authority)
        case close(CloseCode, reason: String)
    }

    private let facts: ServerFacts
    private let makeNonce: @Sendable () -> String
    private let clock: WallClock
    private(set) var role = Role.stranger
    /// By when a stranger has to have asked for something that counts.
    private var deadline: NIODeadline
    /// By when a stranger has to be somebody, whatever it asks for.
    private var lastDeadline: NIODeadline
    /// By when a waiting socket has to have been told how its request ended: a little after the request's own time.
    private var waitingDeadline: NIODeadline
    private var nonce: String?
    private var sequence: Int64 = 0
    private var requestID = ""

    init(
        facts: ServerFacts, makeNonce: @escaping @Sendable () -> String, clock: @escaping WallClock,
        now: NIODeadline
    ) {
        self.facts = facts
        self.makeNonce = makeNonce
        self.clock = clock
        deadline = now + TimeAmount(facts.settings.firstRequestTimeout)
        waitingDeadline = deadline
        lastDeadline = now + TimeAmount(facts.settings.firstRequestTimeout * Self.strangersAttempts)
    }

    /// How many first-request timeouts a stranger has in all: else a few addresses could fill the strangers'
    /// room for good with attempts that fail, and no device could come back through it.
    static let strangersAttempts = 20

    // MARK: Requests

    /// A request came.
    mutating func received(_ frame: RequestFrame, now: NIODeadline) -> Reaction {
        requestID = frame.id
        do throws(Refusal) {
            let request = try DeviceRequest(frame)
            if case .challenge = request { return .reply(respond(challenge())) }
            // A device that was just approved may not have waited to be told: nothing is to be done.
            if case .paired(let grant) = role {
                switch request {
                case .connect(let identity) where grant.isOf(identity.senderID, identity.channel):
                    return .reply(respond(.object(facts.paired(grant))))
                case .pair(let claim) where grant.isOf(claim.senderID, claim.channel):
                    return .reply(respond(Self.approved))
                default: break
                }
            }
            return .call(try call(for: request, now: now))
        } catch {
            return .reply(.failure(id: frame.id, error))
        }
    }

    private mutating func call(for request: DeviceRequest, now: NIODeadline) throws(Refusal) -> DeviceCall {
        switch request {
        case .pair(let claim):
            try checkIdentity(claim.senderID)
            postpone(now)
            if case .key = claim.credential { return .pair(claim, spentNonce: spendNonce()) }
            return .pair(claim, spentNonce: nil)
        case .status(let identity): return .status(identity, spentNonce: spentNonce(for: identity))
        case .connect(let identity):
            try checkIdentity(identity.senderID)
            postpone(now)
            return .connect(identity, spentNonce: spentNonce(for: identity))
        case .connectAdministrator(let token):
            guard role == .stranger else { throw .alreadySomebody }
            postpone(now)
            return .authenticate(token: token)
        case .send(let id, let message): return .send(id: id, message: message, try grant())
        case .acknowledge(let sequence): return .acknowledge(sequence, try grant())
        case .messageStatus(let id): return .message(.status(messageID: id, try grant()))
        case .abort(let id): return .message(.abort(messageID: id, try grant()))
        case .push(let push): return .message(.push(push, try authority()))
        case .pushStatus(let senderID, let id):
            return .message(.pushStatus(senderID, pushID: id, try authority()))
        case .list(let listing): return .list(listing, try authority())
        case .approve(let id, let code): return .approve(id, code, try authority())
        case .deny(let id, let code): return .deny(id, code, try authority())
        case .revoke(let channel, let senderID, let generation):
            return .revoke(channel, senderID, generation, try authority())
        case .health, .challenge: return .health
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

    private func grant() throws(Refusal) -> SessionGrant {
        switch role {
        case .paired(let grant): return grant
        case .stranger: throw .notConnected
        case .waiting: throw .stillPending
        case .administrator: throw .notADevice
        }
    }

    private func authority() throws(Refusal) -> Authority {
        switch role {
        case .administrator(let authority): return authority
        case .stranger, .waiting: throw .administratorNeeded
        case .paired: throw .notAnAdministrator
        }
    }

    // MARK: Answers

    /// The kernel answered the request.
    mutating func answered(_ answer: DeviceAnswer, now: NIODeadline) -> [Step] {
        switch answer {
        case .refusal(let refusal): return [.send(.failure(id: requestID, refusal))]
        case .payload(let payload): return [.send(respond(payload))]
        case .receipt(let receipt):
            return [.send(respond(.receipt(receipt)))] + receipt.frames.map { .send(frame($0)) }
        case .pairing(.approved):
            if case .waiting = role { becomeStranger(now) }
            return [.send(respond(Self.approved))]
        case .pairing(.pending(let ticket)):
            wait(ticket, now)
            return [.send(respond(.object(JSONValue.ticket(ticket))))]
        case .connection(.pending(let ticket)):
            wait(ticket, now)
            return [.send(respond(.object(facts.pending(ticket))))]
        case .connection(.paired(let grant)):
            role = .paired(grant)
            return [.send(respond(.object(facts.paired(grant)))), .enter(grant)]
        case .authority(let authority):
            role = .administrator(authority)
            return [.send(respond(.object(facts.administrator(authority)))), .serve(authority)]
        }
    }

    /// The answer to the request of a device that is paired already.
    private static let approved = JSONValue.object(["status": .string("approved")])

    private func respond(_ payload: JSONValue) -> ServerFrame { .response(id: requestID, payload: payload) }

    // MARK: Events

    /// The client asked for the subprotocol: it may be sent a nonce before it sends anything.
    mutating func greeting() -> ServerFrame { event(.challenge, challenge()) }

    /// An administrator decided, or time did. A device that learned it from an answer is not told again.
    mutating func resolved(_ resolution: PairingResolution, now: NIODeadline) -> [Step] {
        guard case .waiting(resolution.requestID, _) = role else { return [] }
        switch resolution {
        case .approved(let id, let grant):
            var payload = decision("approved", id)
            guard let grant else {
                becomeStranger(now)
                return [.send(event(.pairResolved, .object(payload)))]
            }
            payload.merge(facts.paired(grant)) { $1 }
            role = .paired(grant)
            return [.send(event(.pairResolved, .object(payload))), .enter(grant)]
        case .denied(let id):
            becomeStranger(now)
            return [.send(event(.pairResolved, .object(decision("denied", id))))]
        case .expired(let id):
            becomeStranger(now)
            return [.send(event(.pairResolved, .object(decision("expired", id))))]
        }
    }

    /// The channel says something to its device.
    mutating func frame(_ frame: OutboundFrame) -> ServerFrame {
        sequence += 1
        return .channelEvent(frame.event, payload: frame.payload, seq: sequence)
    }

    /// The server stops and will close the socket after `delay`.
    mutating func shutdown(closesIn delay: Duration) -> ServerFrame {
        event(
            .shutdown,
            .object(["reason": .string("restarting"), "closesInMs": .integer(delay.milliseconds)]))
    }

    private func decision(_ decision: String, _ id: RequestID) -> [String: JSONValue] {
        ["decision": .string(decision), "requestId": .string(id.text)]
    }

    private mutating func event(_ name: ClientEventName, _ payload: JSONValue) -> ServerFrame {
        sequence += 1
        return .event(name, payload: payload, seq: sequence)
    }

    // MARK: Time and nonces

    /// Some time has passed.
    func ticked(now: NIODeadline) -> Step? {
        if case .waiting = role, now >= waitingDeadline {
            return .close(.tryLater, reason: "the pairing request's time is over; ask again")
        }
        guard role == .stranger, now >= deadline else { return nil }
        // One that keeps on asking is only ended by the last deadline.
        let hasAsked = now >= lastDeadline
        let timeout = facts.settings.firstRequestTimeout * (hasAsked ? Self.strangersAttempts : 1)
        return .close(
            .policyViolation,
            reason: "no connect or device.pair.request \(hasAsked ? "succeeded " : "")within "
                + "\(timeout.milliseconds / 1000) s")
    }

    /// An attempt counts, whether it succeeds or not; a stranger has to make another before the next
    /// deadline, so that no socket is held for nothing.
    private mutating func postpone(_ now: NIODeadline) {
        deadline = min(now + TimeAmount(facts.settings.firstRequestTimeout), lastDeadline)
    }

    private mutating func wait(_ ticket: PairingTicket, _ now: NIODeadline) {
        role = .waiting(ticket.requestID, ticket.senderID)
        waitingDeadline = now + TimeAmount(ticket.expiresIn + facts.settings.firstRequestTimeout)
    }

    private mutating func becomeStranger(_ now: NIODeadline) {
        role = .stranger
        lastDeadline = now + TimeAmount(facts.settings.firstRequestTimeout * Self.strangersAttempts)
        postpone(now)
    }

    private mutating func challenge() -> JSONValue {
        let new = makeNonce()
        nonce = new
        return .object(["nonce": .string(new), "ts": .integer(clock().milliseconds)])
    }

    private mutating func spentNonce(for identity: DeviceIdentity) -> String? {
        if case .proof = identity.evidence { spendNonce() } else { nil }
    }

    private mutating func spendNonce() -> String? {
        defer { nonce = nil }
        return nonce
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
        case .approved(let id, _), .denied(let id), .expired(let id): id
        }
    }
}
