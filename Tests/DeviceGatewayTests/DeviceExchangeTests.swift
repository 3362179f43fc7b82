import NIOCore
import NodesProtocol
import PairingCore
import Testing

@testable import DeviceGateway
@testable import PairingKernel

@Suite("A socket's exchange")
struct DeviceExchangeTests {
    static let token = Base64URL.encode(Array(repeating: 3, count: 32))
    static let nonce = Base64URL.encode(Array(repeating: 4, count: 32))
    let channel: ChannelID
    let senderID: SenderID
    let ticket: PairingTicket
    let grant: SessionGrant
    let authority = Authority(
        actor: .apiToken(owner: "root", name: "t"), scope: .administer, source: .token(id: 1))
    var exchange: DeviceExchange
    /// What the kernel has not answered yet.
    var open: (lane: DeviceExchange.Window.Lane?, ticket: DeviceExchange.Ticket)?

    init() throws {
        channel = try #require(ChannelID("web"))
        senderID = try #require(SenderID("tablet-01"))
        let instance = try #require(InstanceID("9469921c-3534-4c46-81bd-9f2d83418ac6"))
        ticket = PairingTicket(
            requestID: try #require(RequestID("11111111-3534-4c46-81bd-9f2d83418ac6")),
            code: try #require(PairingCode("ABCDEFGH")), channel: channel, senderID: senderID,
            deviceToken: nil,
            expiresAt: Timestamp(milliseconds: 5000), expiresIn: .seconds(5))
        grant = SessionGrant(
            sessionID: "s", instanceID: instance, channel: channel, senderID: senderID,
            generation: Generation(1), epoch: Epoch(1))
        let origin = try #require(Origin("https://nodes.example.org"))
        exchange = DeviceExchange(
            facts: ServerFacts(
                instanceID: instance,
                settings: GatewaySettings(origins: OriginPolicy([origin]), socketPath: "/s")),
            makeNonce: { Self.nonce }, clock: { Timestamp(milliseconds: 77) }, now: .at(0))
    }

    /// Sends a request, once the last one is answered; a call's name, or the answer's text.
    mutating func ask(_ method: MethodName, _ parameters: [String: JSONValue] = [:], at second: Int64 = 1)
        -> String
    {
        if open != nil { _ = answered(.payload(.null), at: second) }
        let frame = RequestFrame(id: "1", method: method.rawValue, parameters: parameters)
        let actions =
            exchange.received(.success(frame), cost: 1, now: .at(second))
            + exchange.readEnded(now: .at(second))
        return text(actions, with: ["disown"]).filter { $0 != "disown" }.joined(separator: " ")
    }

    /// The kernel answers what was asked last, or something that changes nothing by itself.
    mutating func answered(_ answer: DeviceAnswer, at second: Int64 = 1, with: Set<String> = []) -> [String] {
        if open == nil { _ = ask(.health, at: second) }
        guard let (lane, ticket) = open else { return ["nothing was asked"] }
        open = nil
        let actions =
            lane.map { exchange.answered($0, [ticket], [answer], now: .at(second)) }
            ?? exchange.answered(ticket, answer, now: .at(second))
        return text(actions, with: with)
    }

    mutating func ordered(_ order: DeviceExchange.Order, at second: Int64 = 1) -> [String] {
        text(exchange.ordered(order, now: .at(second)))
    }

    func ticked(at second: Int64) -> String? {
        guard case .close(let code, let reason, _)? = exchange.ticked(now: .at(second)).first else {
            return nil
        }
        return "\(code.rawValue) \(reason)"
    }

    /// The actions as text; those that only concern places are left out where they are not asked for.
    mutating func text(_ actions: [DeviceExchange.Action], with: Set<String> = []) -> [String] {
        actions.compactMap { action in
            switch action {
            case .send(let frame, _): return frame.text
            case .call(let ticket, let call):
                open = (nil, ticket)
                return name(call)
            case .accept(let tickets, _, _):
                open = (.messages, tickets[0])
                return "send"
            case .acknowledge(let tickets, _, _):
                open = (.acknowledgements, tickets[0])
                return "acknowledge"
            case .enter(let grant): return "enter \(grant.senderID)"
            case .serve(let authority): return "serve \(authority.actor.name)"
            case .begin: return with.contains("begin") ? "begin" : nil
            case .wait(let id): return with.contains("wait") ? "wait \(id == nil ? "no more" : "")" : nil
            case .disown: return with.contains("disown") ? "disown" : nil
            case .suspend(let isSuspended): return isSuspended ? "suspend" : "resume"
            case .close(let code, _, let discarding):
                return "close \(code.rawValue)\(discarding ? " discarding" : "")"
            }
        }
    }

    func name(_ call: DeviceCall) -> String {
        switch call {
        case .approveCode(let code, _): "approveCode \(code)"
        case .denyCode(let code, _, _): "denyCode \(code)"
        case .pair(_, let nonce): "pair \(nonce ?? "-")"
        case .status(_, let nonce): "status \(nonce ?? "-")"
        case .connect(_, let nonce): "connect \(nonce ?? "-")"
        case .enter(_, _, let nonce): "enter \(nonce ?? "-")"
        case .authenticate: "authenticate"
        case .message: "message"
        case .list: "list"
        case .approve: "approve"
        case .deny: "deny"
        case .revoke: "revoke"
        case .health: "health"
        }
    }

    func device(_ more: [String: JSONValue] = [:], sender: String = "tablet-01") -> [String: JSONValue] {
        ["channel": .string("web"), "senderId": .string(sender), "deviceToken": .string(Self.token)]
            .merging(more) { $1 }
    }

    var proof: [String: JSONValue] {
        [
            "channel": .string("web"), "senderId": .string("tablet-01"),
            "proof": .object([
                "signature": .string(Base64URL.encode(Array(repeating: 5, count: 64))),
                "signedAt": .integer(1),
                "nonce": .string(Self.nonce),
            ]),
        ]
    }

    static let message: [String: JSONValue] = ["messageId": .string("m"), "message": .integer(1)]
    static let decision: [String: JSONValue] = [
        "requestId": .string("11111111-3534-4c46-81bd-9f2d83418ac6"), "code": .string("ABCDEFGH"),
    ]

    @Test("A stranger may ask and prove, and nothing else")
    mutating func stranger() {
        #expect(ask(.health) == "health")
        #expect(ask(.pairRequest, device()) == "pair -")
        #expect(ask(.pairStatus, device()) == "status -")
        #expect(ask(.connect, device()) == "connect -")
        #expect(ask(.connect, ["token": .string("t")]) == "authenticate")
        #expect(ask(.messageSend, Self.message).contains("NOT_PAIRED"))
        #expect(ask(.messageAck, ["messageSeq": .integer(1)]).contains("NOT_PAIRED"))
        for method in [MethodName.pairApprove, .pairDeny] {
            #expect(ask(method, Self.decision).contains("UNAUTHORIZED"))
        }
        #expect(ask(.pairList).contains("UNAUTHORIZED"))
        #expect(ask(.pairRevoke, device()).contains("UNAUTHORIZED"))
    }

    @Test("A nonce is used once, and only by a proof")
    mutating func nonces() {
        #expect(ask(.connect, proof) == "connect -")
        #expect(
            ask(.challenge)
                == #"{"id":"1","ok":true,"payload":{"nonce":"\#(Self.nonce)","ts":77},"type":"res"}"#)
        #expect(ask(.connect, device()) == "connect -")
        #expect(ask(.connect, proof) == "connect \(Self.nonce)")
        #expect(ask(.connect, proof) == "connect -")
        let greeting = exchange.opened(usesSubprotocol: true)
        #expect(text(greeting).first?.contains(#""event":"connect.challenge""#) == true)
        #expect(exchange.opened(usesSubprotocol: false).isEmpty)
        #expect(ask(.pairStatus, proof) == "status \(Self.nonce)")
    }

    @Test("Only connect and device.pair.request postpone the deadline of a stranger")
    mutating func deadline() {
        #expect(ticked(at: 14) == nil)
        _ = ask(.health, at: 14)
        _ = ask(.challenge, at: 14)
        _ = ask(.pairStatus, device(), at: 14)
        #expect(ticked(at: 15) == nil, "nobody is sent away while the server owes an answer")
        _ = answered(.refusal(.unknownDevice), at: 14)
        #expect(ticked(at: 15) == "1008 no connect or device.pair.request within 15 s")
        _ = ask(.connect, device(), at: 15)
        _ = answered(.refusal(.unknownDevice), at: 15)
        #expect(ticked(at: 29) == nil)
        #expect(ticked(at: 30) != nil)
    }

    @Test("A stranger whose attempts fail is not let stay for ever (I10)")
    mutating func lastDeadline() {
        for time in stride(from: Int64(0), to: 300, by: 10) {
            #expect(ticked(at: time) == nil)
            _ = ask(.connect, device(), at: time)
            _ = answered(.refusal(.unknownDevice), at: time)
        }
        #expect(ticked(at: 300) == "1008 no connect or device.pair.request succeeded within 300 s")
    }

    @Test("A waiting socket has one request and waits no longer than the request lives")
    mutating func waiting() {
        _ = ask(.pairRequest, device())
        let steps = answered(.pairing(.pending(ticket)))
        #expect(
            steps.count == 1 && steps[0].contains(#""code":"ABCD-EFGH""#)
                && steps[0].contains(#""status":"pending""#))
        #expect(ticked(at: 20) == nil)
        #expect(ticked(at: 21)?.hasPrefix("1013") == true)
        #expect(ask(.pairRequest, device()) == "pair -")
        #expect(ask(.connect, device(sender: "TABLET-01")) == "connect -")
        #expect(ask(.pairRequest, device(sender: "other")).contains("one_request_a_socket"))
        #expect(ask(.connect, device(sender: "other")).contains("one_request_a_socket"))
        #expect(ask(.connect, ["token": .string("t")]).contains("already_connected"))
        #expect(ask(.messageSend, Self.message).contains(#""reason":"pending""#))
    }

    @Test("An approval authenticates the waiting socket and says what connect would have")
    mutating func approved() {
        _ = answered(.pairing(.pending(ticket)), at: 1)
        let steps = ordered(.resolve(.approved(ticket.requestID, grant)), at: 2)
        #expect(steps.count == 2 && steps[1] == "enter tablet-01")
        for part in [
            #""event":"device.pair.resolved""#, #""decision":"approved""#, #""status":"paired""#,
            #""protocol":3"#,
            #""sessionId":"s""#, #""seq":1"#,
        ] { #expect(steps[0].contains(part), "\(part)") }
        #expect(ask(.messageSend, Self.message) == "send")
        #expect(ask(.connect, device()).contains(#""sessionId":"s""#))
        #expect(ask(.connect, device(sender: "other")).contains("already_connected"))
        #expect(ask(.pairApprove, Self.decision).contains("FORBIDDEN"))
        #expect(ticked(at: 10_000) == nil)
    }

    @Test(
        "A socket whose request ended otherwise is told so and is a stranger's again",
        arguments: ["denied", "expired", "approved"])
    mutating func ended(decision: String) {
        _ = answered(.connection(.pending(ticket)), at: 1)
        let id = ticket.requestID
        let resolution: PairingResolution =
            switch decision {
            case "denied": .denied(id)
            case "expired": .expired(id)
            default: .approved(id, nil)
            }
        let steps = ordered(.resolve(resolution), at: 100)
        #expect(steps.count == 1 && steps[0].contains(#""decision":"\#(decision)""#))
        #expect(exchange.role == .stranger)
        #expect(ticked(at: 114) == nil)
        #expect(ticked(at: 115) != nil)
    }

    @Test("A device that asks to pair again on its session is told so, and keeps it")
    mutating func pairedAsksAgain() {
        _ = answered(.connection(.paired(grant)), at: 1)
        #expect(ask(.pairRequest, device()).contains(#""status":"approved""#))
        #expect(ask(.pairRequest, device(["channel": .string("iot")])).contains("already_connected"))
        #expect(ask(.connect, device(["channel": .string("iot")])).contains("already_connected"))
        #expect(exchange.role == .paired(grant))
    }

    @Test("A device that learned the decision from an answer is not told of it again")
    mutating func lateResolution() {
        _ = answered(.pairing(.pending(ticket)), at: 1)
        _ = answered(.connection(.paired(grant)), at: 2)
        #expect(ordered(.resolve(.approved(ticket.requestID, nil)), at: 3).isEmpty)
        #expect(exchange.role == .paired(grant))
    }

    @Test("A waiting device that is told in an answer that it is paired has to connect")
    mutating func approvedInAnswer() {
        _ = answered(.pairing(.pending(ticket)), at: 1)
        _ = answered(.pairing(.approved), at: 100)
        #expect(exchange.role == .stranger)
        #expect(ticked(at: 114) == nil)
        #expect(ticked(at: 115) != nil)
    }

    @Test("A connected device exchanges messages; its events are numbered")
    mutating func paired() {
        _ = ask(.connect, device())
        #expect(
            answered(.connection(.paired(grant)), at: 1).last == "enter tablet-01")
        #expect(ask(.messageSend, Self.message) == "send")
        #expect(ask(.messageAck, ["messageSeq": .integer(1)]) == "acknowledge")
        for number in 1...2 {
            _ = answered(.payload(.null))
            let frame = ChannelFrame(event: "reading.taken", payload: #"{"a":[1]}"#)
            #expect(
                ordered(.deliver(frame))
                    == [#"{"event":"reading.taken","payload":{"a":[1]},"seq":\#(number),"type":"event"}"#])
        }
    }

    @Test("An administrator decides, and is no device")
    mutating func administrator() {
        _ = ask(.connect, ["token": .string("t")])
        let steps = answered(.authority(authority), at: 1)
        #expect(steps.count == 2 && steps[0].contains(#""role":"administrator""#))
        #expect(ask(.pairList) == "list")
        #expect(ask(.pairApprove, Self.decision) == "approve")
        #expect(ask(.pairDeny, Self.decision) == "deny")
        #expect(ask(.pairRevoke, device()) == "revoke")
        #expect(ask(.messageSend, Self.message).contains("FORBIDDEN"))
        #expect(ask(.pairRequest, device()).contains("already_connected"))
        #expect(ticked(at: 10_000) == nil)
    }

    @Test("A refusal changes nothing but the answer (I6)")
    mutating func refused() {
        _ = ask(.connect, device())
        let steps = answered(.refusal(.unavailable), at: 1)
        #expect(
            steps.count == 1 && steps[0].contains("UNAVAILABLE") && steps[0].contains(#""retryable":true"#))
        #expect(exchange.role == .stranger)
    }

    @Test(
        "A socket is told that it waits, and that it does no more, before anything else is done with it (I13)"
    )
    mutating func place() {
        _ = ask(.pairRequest, device())
        #expect(answered(.pairing(.pending(ticket)), with: ["wait"]).last == "wait ")
        _ = ask(.pairRequest, device())
        #expect(answered(.pairing(.pending(ticket)), with: ["wait"]).count == 1, "it waits for the same")
        _ = ask(.connect, device())
        let actions = answered(.connection(.paired(grant)), with: ["wait", "begin"])
        #expect(actions.dropFirst() == ["enter tablet-01", "wait no more", "begin"])
        #expect(ask(.health) == "health")
        #expect(answered(.refusal(.unavailable), with: ["disown"]).count == 1, "a device stays one")
    }

    @Test("Messages are accepted together, and answered in the order in which they were sent")
    mutating func window() throws {
        _ = ask(.connect, device())
        _ = answered(.connection(.paired(grant)))
        var actions: [DeviceExchange.Action] = []
        for number in 1...3 {
            let frame = RequestFrame(
                id: "\(number)", method: "message.send",
                parameters: ["messageId": .string("m\(number)"), "message": .integer(1)])
            actions += exchange.received(.success(frame), cost: 1, now: .at(1))
        }
        #expect(actions.isEmpty, "more may come of the same read")
        let group = exchange.readEnded(now: .at(1))
        guard group.count == 1, case .accept(let tickets, let messages, grant) = group[0] else {
            Issue.record("\(group)")
            return
        }
        #expect(tickets.map(\.id) == ["1", "2", "3"] && messages.map(\.id) == ["m1", "m2", "m3"])
        let reply = ChannelFrame(event: "message", payload: #"{"messageSeq":1}"#)
        #expect(ordered(.deliver(reply)).isEmpty, "no event passes the answer to what caused it")
        let answers: [DeviceAnswer] = [
            .receipt(MessageReceipt(messageID: "m1", sequence: 1)), .refusal(.unavailable),
            .receipt(MessageReceipt(messageID: "m3", sequence: 2, frames: [reply])),
        ]
        let told = text(exchange.answered(.messages, tickets, answers, now: .at(1)))
        #expect(told.count == 5)
        for (text, part) in zip(
            told, [#""id":"1","ok":true"#, "UNAVAILABLE", #""id":"3""#, #""seq":1"#, #""seq":2"#])
        {
            #expect(text.contains(part), "\(text) is expected to hold \(part)")
        }
    }

    @Test("Whoever asked before the authority was lost is answered before the socket goes (I3)")
    mutating func authorityLost() {
        _ = ask(.connect, device())
        _ = answered(.connection(.paired(grant)))
        #expect(ask(.messageSend, Self.message) == "send")
        #expect(ordered(.suspend) == ["suspend"])
        #expect(ordered(.close(.authorityLost)).isEmpty)
        let told = answered(.refusal(.unavailable))
        #expect(told.count == 3 && told[0].contains("UNAVAILABLE"))
        #expect(told.dropFirst() == ["suspend", "close 1013"])
        #expect(ordered(.close(.revoked)) == ["close 4001 discarding"])
    }

    @Test("What is no request is answered in its turn")
    mutating func unreadable() {
        #expect(ask(.health) == "health")
        let failure = FrameRefusal(id: nil, refusal: .notConnected)
        let actions = exchange.received(.failure(failure), cost: 1, now: .at(1))
        #expect(actions.isEmpty)
        let told = answered(.payload(.null))
        #expect(told.count == 2 && told[1].contains(#""id":null"#))
    }
}
