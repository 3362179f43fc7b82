import NIOCore
import NodesProtocol
import PairingCore
import PairingKernel

/// One socket's life between its handshake and its end: who is at its other end, what that one may do, and in which
/// order it is told what. The device protocol without its input and output.
///
/// A pure machine: each event answers with what to do, in order.
struct DeviceExchange {
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

    /// What the kernel orders.
    enum Order: Sendable {
        case resolve(PairingResolution)
        case deliver(ChannelFrame)
        case suspend
        case resume
        case close(SocketClosure)
    }

    /// A request that was read, as far as it does not depend on who asks.
    struct Asked: Sendable {
        let id: String
        let request: DeviceRequest
    }

    /// A request that the kernel works on.
    struct Ticket: Sendable, Equatable {
        let number: UInt64
        let id: String
    }

    /// What the shell does.
    enum Action {
        case send(ServerFrame, isDelivery: Bool)
        /// Ask the kernel; the answer is for ``answered(_:_:now:)``.
        case call(Ticket, DeviceCall)
        /// Have these messages accepted; the answers are for ``answered(_:_:)``.
        case accept([Ticket], [SentMessage], SessionGrant)
        /// Have what the device has acknowledged stored; the greatest number of those that were asked.
        case acknowledge([Ticket], [Int64], SessionGrant)
        /// The socket is a device's session: greater messages, and the room of a paired device.
        case enter(SessionGrant)
        /// The socket is an administrator's: the same, for as long as the authority lasts.
        case serve(Authority)
        /// The device has read that it is connected: what waits for it may come.
        case begin(SessionGrant)
        /// The socket waits for the decision on this request; `nil`: for none any more.
        case wait(RequestID?)
        /// Nothing came of what a stranger's credential was proven for.
        case disown
        case suspend(Bool)
        case close(CloseCode, reason: String, discarding: Bool)
    }

    typealias Window = RequestWindow<Asked, (id: String, DeviceAnswer), Order>

    let facts: ServerFacts
    var window: Window
    var conversation: DeviceConversation
    private(set) var role = Role.stranger

    init(
        facts: ServerFacts, makeNonce: @escaping @Sendable () -> String, clock: @escaping WallClock,
        now: NIODeadline
    ) {
        self.facts = facts
        window = Window(limits: facts.settings.windowLimits)
        conversation = DeviceConversation(
            timeout: facts.settings.firstRequestTimeout, makeNonce: makeNonce, clock: clock, now: now)
    }

    /// Whether a further request may be read.
    var isOpen: Bool { window.isOpen }

    /// Whether what is held for the device behind answers is too much to add to: half of what may wait for it.
    var isBehind: Bool {
        window.held.orders >= facts.settings.outboundQueueMessages / 2
            || window.held.bytes >= facts.settings.outboundQueueBytes / 2
    }

    // MARK: Events

    /// The socket is open.
    mutating func opened(usesSubprotocol: Bool) -> [Action] {
        guard usesSubprotocol else { return [] }
        // The client asked for it: it may be sent a nonce before it sends anything.
        return [.send(conversation.event(.challenge, conversation.challenge()), isDelivery: false)]
    }

    /// A request came, or what is none. Others of the same read may follow; after the last of them comes
    /// ``readEnded(now:)``.
    ///
    /// - Parameter cost: its bytes.
    mutating func received(
        _ result: Result<RequestFrame, FrameRefusal>, cost: Int, now: NIODeadline
    ) -> [Action] {
        window.isGathering = true
        switch result {
        case .failure(let failure):
            window.request(answeredBy: (failure.id ?? "", .unreadable(failure)), cost: cost)
        case .success(let frame):
            do throws(Refusal) {
                let request = try DeviceRequest(frame)
                window.request(Asked(id: frame.id, request: request), request.place, cost: cost)
            } catch {
                window.request(answeredBy: (frame.id, .refusal(error)), cost: cost)
            }
        }
        return proceed(now)
    }

    /// A request of another dialect came, which its codec has read.
    mutating func received(
        _ request: DeviceRequest, id: String, cost: Int, now: NIODeadline
    ) -> [Action] {
        window.isGathering = true
        window.request(Asked(id: id, request: request), request.place, cost: cost)
        return proceed(now)
    }

    /// Nothing more was read for now.
    mutating func readEnded(now: NIODeadline) -> [Action] {
        guard window.isGathering else { return [] }
        window.isGathering = false
        return proceed(now)
    }

    /// The kernel answered a request that stood alone.
    mutating func answered(_ ticket: Ticket, _ answer: DeviceAnswer, now: NIODeadline) -> [Action] {
        window.settle(ticket.number, (ticket.id, answer))
        return proceed(now)
    }

    /// The kernel answered requests that came beside each other; `answers` are in their order.
    mutating func answered(
        _ lane: Window.Lane, _ tickets: [Ticket], _ answers: [DeviceAnswer], now: NIODeadline
    ) -> [Action] {
        window.settle(lane, zip(tickets, answers).map { ($0.number, ($0.id, $1)) })
        return proceed(now)
    }

    /// The kernel ordered something.
    mutating func ordered(_ order: Order, now: NIODeadline) -> [Action] {
        guard order.keepsOrder else { return carryOut(order, now) }
        window.order(order, cost: order.cost)
        return proceed(now)
    }

    /// Some time has passed.
    func ticked(now: NIODeadline) -> [Action] {
        guard window.requests == 0 else { return [] }
        switch role {
        case .waiting where conversation.hasWaited(now: now):
            return [.close(.tryLater, "the pairing request's time is over; ask again")]
        case .stranger:
            guard let reason = conversation.strangerIsLate(now: now) else { return [] }
            return [.close(.policyViolation, reason)]
        case .waiting, .paired, .administrator: return []
        }
    }

    /// The server stops and will close the socket after `delay`.
    mutating func shutdown(closesIn delay: Duration) -> [Action] {
        let payload = JSONValue.object([
            "reason": .string("restarting"), "closesInMs": .integer(delay.milliseconds),
        ])
        return [.send(conversation.event(.shutdown, payload), isDelivery: false)]
    }

    // MARK: What the window says

    private mutating func proceed(_ now: NIODeadline) -> [Action] {
        var actions: [Action] = []
        while let next = window.next() {
            switch next {
            case .begin(let number, let asked):
                switch begin(asked, now) {
                case .call(let call): actions.append(.call(Ticket(number: number, id: asked.id), call))
                case .answer(let answer): window.settle(number, (asked.id, answer))
                }
            case .beginGroup(let lane, let group):
                let tickets = group.map { Ticket(number: $0.number, id: $0.request.id) }
                do throws(Refusal) {
                    actions.append(work(lane, tickets, group.map(\.request.request), try grant()))
                } catch {
                    window.settle(lane, tickets.map { ($0.number, ($0.id, .refusal(error))) })
                }
            case .answer(let (id, answer)): actions += answering(id, answer, now)
            case .carryOut(let order): actions += carryOut(order, now)
            }
        }
        return actions
    }

    private func work(
        _ lane: Window.Lane, _ tickets: [Ticket], _ requests: [DeviceRequest], _ grant: SessionGrant
    ) -> Action {
        switch lane {
        case .messages:
            .accept(
                tickets,
                requests.compactMap {
                    guard case .send(let id, let message, let agent, let conversation) = $0 else {
                        return nil
                    }
                    return SentMessage(id: id, body: message, agent: agent, conversation: conversation)
                }, grant)
        case .acknowledgements:
            .acknowledge(
                tickets,
                requests.compactMap { if case .acknowledge(let number) = $0 { number } else { nil } }, grant)
        }
    }

    // MARK: Role

    mutating func become(_ new: Role, _ now: NIODeadline) -> [Action] {
        let waited = role.request
        role = new
        if new == .stranger { conversation.restart(now: now) }
        return waited == new.request ? [] : [.wait(new.request)]
    }

    /// The session that messages are exchanged in.
    func grant() throws(Refusal) -> SessionGrant {
        switch role {
        case .paired(let grant): return grant
        case .stranger: throw .notConnected
        case .waiting: throw .stillPending
        case .administrator: throw .notADevice
        }
    }
}

extension DeviceExchange.Role {
    /// The request whose decision the socket waits for.
    fileprivate var request: RequestID? {
        if case .waiting(let id, _) = self { id } else { nil }
    }
}

extension DeviceExchange.Action {
    static func close(_ code: CloseCode, _ reason: String) -> Self {
        .close(code, reason: reason, discarding: false)
    }
}

extension DeviceExchange.Order {
    /// Whether this would make no sense to a client that has not read the answers to what it asked before: events
    /// behind the answer to their cause; whoever asked before the authority was lost is answered before the socket
    /// goes.
    fileprivate var keepsOrder: Bool {
        switch self {
        case .resolve, .deliver, .close(.denied), .close(.authorityLost): true
        case .suspend, .resume, .close: false
        }
    }

    fileprivate var cost: Int {
        if case .deliver(let frame) = self { frame.payload.utf8.count } else { 0 }
    }
}

extension DeviceRequest {
    /// Whom the request waits for, and who for it.
    fileprivate var place: DeviceExchange.Window.Place {
        switch self {
        case .send: .beside(.messages)
        case .acknowledge: .beside(.acknowledgements)
        case .pair, .status, .challenge, .connect, .enter, .connectAdministrator, .messageStatus, .abort,
            .history, .agents, .approveCode, .denyCode, .push, .pushStatus, .list, .approve, .deny, .revoke,
            .health:
            .alone
        }
    }
}
