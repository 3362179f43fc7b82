import NodesProtocol
import PairingCore

/// A device's side of the protocol: what happens goes in, what to do comes out.
///
/// A pure machine: it owns no socket, file, clock or source of randomness. Its driver carries the actions out
/// in their order, calls ``handle(_:now:)`` with `tick` when ``deadline`` has passed, and reports nothing of a
/// socket that it was told to drop.
package struct DeviceMachine {
    /// An answer, an opened socket: whatever is awaited has to come within this time.
    package static let answerTime = Duration.seconds(30)
    /// The server pings every 30 s; nothing at all for this long means that the connection is dead.
    package static let silenceTime = Duration.seconds(90)
    /// A connection that served this long was a good one: the next loss begins with a short delay.
    package static let goodTime = Duration.seconds(30)
    /// The delay before a message is sent again where the server names none.
    package static let resendTime = Duration.seconds(1)

    private enum Phase: Equatable {
        /// No socket; the next one is dialled at that time.
        case idle(until: Duration)
        case dialling
        /// The socket is open and its first answers are awaited.
        case greeting
        /// An administrator has to decide.
        case waiting
        case connected
        case ended
    }

    /// What an answer will be about.
    private enum Call: Equatable {
        case challenge(ProofPurpose)
        case pair
        case connect
        case send
        case acknowledge
    }

    private let identity: DeviceIdentity
    private let random: @Sendable () -> Double
    private var progress: Progress
    private var backoff = Backoff()
    private var phase = Phase.idle(until: .zero)
    private var calls: [String: (call: Call, since: Duration)] = [:]
    private var nextCall = 1
    /// What was said and neither accepted nor refused yet, oldest first.
    package private(set) var outbox: [Saying]
    private var resendAt: Duration?
    private var heardAt = Duration.zero
    /// Since when the server has accepted this socket as waiting or connected.
    private var goodSince: Duration?
    /// Whether this socket's `connect` already led to a new pairing request; a second time would be a circle.
    private var fellBack = false
    private var actions: [Action] = []

    /// - Parameters:
    ///   - unsent: the ``outbox`` of the device's life before, where there was one.
    ///   - random: 0 up to but not including 1, for the delays.
    package init(
        identity: DeviceIdentity, progress: Progress, unsent: [Saying] = [],
        random: @escaping @Sendable () -> Double
    ) {
        self.identity = identity
        self.progress = progress
        self.random = random
        outbox = unsent
    }

    /// When to call ``handle(_:now:)`` with `tick`; `nil` where there is nothing to wait for.
    package var deadline: Duration? {
        switch phase {
        case .idle(let time): time
        case .ended: nil
        case .dialling: heardAt + Self.answerTime
        case .greeting, .waiting, .connected:
            ([heardAt + Self.silenceTime, resendAt] + calls.values.map { $0.since + Self.answerTime })
                .compactMap(\.self).min()
        }
    }

    /// Takes one event.
    ///
    /// - Parameter now: a monotonic time, on the same scale as every other call's.
    package mutating func handle(_ event: Event, now: Duration) -> [Action] {
        guard phase != .ended else { return [] }
        switch event {
        case .start: dial(now)
        case .opened: opened(now)
        case .text(let text): received(text, now)
        case .heard: heardAt = now
        case .closed(let code, let reason): closed(code, reason, now)
        case .dialFailed(let reason, let retryAfter):
            redial(.dialFailed(reason: reason), notBefore: retryAfter, now)
        case .say(let saying):
            outbox.append(saying)
            if outbox.count == 1 { sendNext(now) }
        case .tick: tick(now)
        case .quit: end(.quit)
        }
        defer { actions = [] }
        return actions
    }
}

// The socket.
extension DeviceMachine {
    private mutating func dial(_ now: Duration) {
        phase = .dialling
        heardAt = now
        actions.append(.dial)
    }

    private mutating func opened(_ now: Duration) {
        phase = .greeting
        heardAt = now
        fellBack = false
        begin(progress.hasAsked ? .connect : .pair, now)
    }

    private mutating func closed(_ code: UInt16?, _ reason: String, _ now: Duration) {
        switch code.flatMap(CloseCode.init) {
        case .pairingRevoked: end(.revoked)
        case .replaced: end(.replaced)
        case .denied: end(.denied)
        default: redial(.closed(code: code, reason: reason), now)
        }
    }

    /// Waits, then dials again.
    private mutating func redial(_ loss: DeviceReport.Loss, notBefore: Duration? = nil, _ now: Duration) {
        if let goodSince, now - goodSince >= Self.goodTime { backoff.reset() }
        let delay = backoff.next(random: random(), notBefore: notBefore)
        phase = .idle(until: now + delay)
        calls = [:]
        resendAt = nil
        goodSince = nil
        actions.append(.report(.disconnected(loss, retryIn: delay)))
    }

    private mutating func drop(
        _ code: CloseCode, _ loss: DeviceReport.Loss, notBefore: Duration? = nil, _ now: Duration
    ) {
        actions.append(.drop(code))
        redial(loss, notBefore: notBefore, now)
    }

    private mutating func end(_ outcome: DeviceOutcome) {
        switch phase {
        case .dialling, .greeting, .waiting, .connected: actions.append(.drop(.normal))
        case .idle, .ended: break
        }
        phase = .ended
        actions.append(.stop(outcome))
    }

    private mutating func tick(_ now: Duration) {
        switch phase {
        case .ended: break
        case .idle(let time): if time <= now { dial(now) }
        case .dialling:
            if heardAt + Self.answerTime <= now { drop(.goingAway, .unanswered, now) }
        case .greeting, .waiting, .connected:
            if heardAt + Self.silenceTime <= now
                || calls.values.contains(where: { $0.since + Self.answerTime <= now })
            {
                drop(.goingAway, .unanswered, now)
            } else if let resendAt, resendAt <= now {
                self.resendAt = nil
                sendNext(now)
            }
        }
    }
}

// Requests and their answers.
extension DeviceMachine {
    private mutating func call(
        _ call: Call, _ method: MethodName, _ parameters: [String: JSONValue], _ now: Duration
    ) {
        let id = String(nextCall)
        nextCall += 1
        calls[id] = (call, now)
        actions.append(.send(requestFrame(id: id, method, parameters)))
    }

    /// Asks to pair or to connect; a key needs a nonce of the server first.
    private mutating func begin(_ purpose: ProofPurpose, _ now: Duration) {
        if identity.credential.needsChallenge {
            call(.challenge(purpose), .challenge, [:], now)
        } else {
            prove(purpose, nil, now)
        }
    }

    private mutating func prove(_ purpose: ProofPurpose, _ challenge: Challenge?, _ now: Duration) {
        do {
            let parameters = try identity.parameters(for: purpose, challenge: challenge)
            if purpose == .pair {
                call(.pair, .pairRequest, parameters, now)
            } else {
                call(.connect, .connect, parameters, now)
            }
        } catch {
            end(.failed("libcrypto could not sign: \(error)"))
        }
    }

    private mutating func received(_ text: [UInt8], _ now: Duration) {
        heardAt = now
        switch PeerFrame(text) {
        case .response(let id, let payload):
            guard let call = calls.removeValue(forKey: id)?.call else { return }
            answered(call, payload, now)
        case .refusal(let id, let error):
            guard let id, let call = calls.removeValue(forKey: id)?.call else { return }
            refused(call, error, now)
        case .event(let name, let payload): happened(name, payload, now)
        case nil: drop(.protocolError, .unreadable, now)
        }
    }

    private mutating func answered(_ call: Call, _ payload: JSONValue, _ now: Duration) {
        switch (call, payload["status"]?.string) {
        case (.challenge(let purpose), _):
            guard let challenge = Challenge(payload: payload) else {
                return drop(.protocolError, .unreadable, now)
            }
            prove(purpose, challenge, now)
        case (.pair, "approved"):
            asked(Progress(hasAsked: true, lastMessage: progress.lastMessage))
            begin(.connect, now)
        case (.pair, "pending"):
            // Whatever was paired before is over, and the numbers of its messages with it.
            asked(Progress(hasAsked: true))
            wait(payload, now)
        case (.connect, "pending_pairing"): wait(payload, now)
        case (.connect, "paired"): connected(payload, now)
        case (.send, "ephemeral"):
            // It was stored nowhere, so it has no number, and nobody answers it.
            if !outbox.isEmpty { outbox.removeFirst() }
            sendNext(now)
        case (.send, _):
            guard let sent = outbox.first, case .integer(let number) = payload["messageSeq"] else {
                return drop(.protocolError, .unreadable, now)
            }
            outbox.removeFirst()
            actions.append(.report(.accepted(id: sent.id, number: number)))
            sendNext(now)
        case (.acknowledge, _): break
        case (.pair, _), (.connect, _): drop(.protocolError, .unreadable, now)
        }
    }

    private mutating func refused(_ call: Call, _ error: PeerError, _ now: Duration) {
        switch call {
        // The message comes again with the next connection, and is acknowledged then.
        case .acknowledge: break
        case .send: sendRefused(error, now)
        case .connect where error.code == ErrorCode.notPaired.rawValue && error.reason == "revoked":
            end(.revoked)
        case .connect where error.code == ErrorCode.notPaired.rawValue && error.reason == "denied":
            end(.denied)
        case .connect where !error.retryable && !fellBack:
            // Expired, or unknown to the server: a pairing request tells precisely.
            fellBack = true
            actions.append(.report(.refused(error)))
            begin(.pair, now)
        case .challenge, .pair, .connect:
            actions.append(.report(.refused(error)))
            if error.retryable {
                drop(.normal, .refused, notBefore: error.retryAfter, now)
            } else {
                end(.refused(error))
            }
        }
    }

    private mutating func asked(_ new: Progress) {
        guard new != progress else { return }
        progress = new
        actions.append(.save(new))
    }

    private mutating func wait(_ payload: JSONValue, _ now: Duration) {
        phase = .waiting
        goodSince = goodSince ?? now
        guard let ticket = DeviceTicket(payload: payload) else { return }
        actions.append(.report(.waiting(ticket)))
    }

    private mutating func connected(_ payload: JSONValue, _ now: Duration) {
        phase = .connected
        goodSince = goodSince ?? now
        actions.append(
            .report(
                .connected(
                    sessionID: payload["sessionId"]?.string ?? "",
                    instanceID: payload["instanceId"]?.string ?? "")))
        sendNext(now)
    }
}

// Events and messages.
extension DeviceMachine {
    private mutating func happened(_ name: String, _ payload: JSONValue, _ now: Duration) {
        switch ClientEventName(rawValue: name) {
        case .pairResolved: resolved(payload, now)
        case .message: delivered(payload, now)
        case .shutdown: actions.append(.report(.serverStopping))
        // Not asked for.
        case .challenge: break
        case nil: said(name, payload, now)
        }
    }

    /// The device's channel has events of its own; those with a number acknowledge as messages do.
    private mutating func said(_ name: String, _ payload: JSONValue, _ now: Duration) {
        guard phase == .connected else { return }
        guard case .integer(let number)? = payload["messageSeq"], number > 0 else {
            actions.append(.report(.event(name: name, payload: payload)))
            return
        }
        if number > progress.lastMessage { actions.append(.report(.event(name: name, payload: payload))) }
        // The parts of one message have one number; it is there when the last one is.
        if payload["last"] == .bool(false) { return }
        if number > progress.lastMessage {
            progress.lastMessage = number
            actions.append(.save(progress))
        }
        call(.acknowledge, .messageAck, ["messageSeq": .integer(number)], now)
    }

    private mutating func resolved(_ payload: JSONValue, _ now: Duration) {
        guard phase == .waiting, let decision = payload["decision"]?.string else { return }
        actions.append(.report(.resolved(decision: decision)))
        switch decision {
        case "approved":
            if payload["status"]?.string == "paired" {
                connected(payload, now)
            } else {
                begin(.connect, now)
            }
        case "denied": end(.denied)
        default: begin(.pair, now)
        }
    }

    private mutating func delivered(_ payload: JSONValue, _ now: Duration) {
        guard phase == .connected, case .integer(let number) = payload["messageSeq"], number > 0 else {
            return drop(.protocolError, .unreadable, now)
        }
        if number > progress.lastMessage {
            actions.append(
                .report(
                    .message(
                        number: number, agent: payload["agent"]?.string ?? "",
                        message: payload["message"] ?? .null)))
            progress.lastMessage = number
            actions.append(.save(progress))
        }
        call(.acknowledge, .messageAck, ["messageSeq": .integer(number)], now)
    }

    /// Sends the first message that was not accepted yet; one at a time keeps their order.
    private mutating func sendNext(_ now: Duration) {
        let isBusy = calls.values.contains { $0.call == .send }
        guard phase == .connected, !isBusy, resendAt == nil, let next = outbox.first else { return }
        call(.send, .messageSend, ["messageId": .string(next.id), "message": next.message], now)
    }

    private mutating func sendRefused(_ error: PeerError, _ now: Duration) {
        guard let refused = outbox.first else { return }
        // A session that has ended says nothing about the message: the next connection takes it.
        if error.retryable || error.code == ErrorCode.notPaired.rawValue {
            actions.append(.report(.refused(error)))
            resendAt = now + max(error.retryAfter ?? .zero, Self.resendTime)
        } else {
            outbox.removeFirst()
            actions.append(.report(.notAccepted(id: refused.id, error)))
            sendNext(now)
        }
    }
}
