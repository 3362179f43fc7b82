import NIOCore
import NodesProtocol
import PairingCore
import Testing

@testable import DeviceGateway
@testable import PairingKernel

@Suite("A socket's conversation")
struct DeviceConversationTests {
    static let token = Base64URL.encode(Array(repeating: 3, count: 32))
    static let nonce = Base64URL.encode(Array(repeating: 4, count: 32))
    let channel: ChannelID
    let senderID: SenderID
    let ticket: PairingTicket
    let grant: SessionGrant
    let authority = Authority(
        actor: .apiToken(owner: "root", name: "t"), scope: .administer, source: .token(id: 1))
    var conversation: DeviceConversation

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
        conversation = DeviceConversation(
            facts: ServerFacts(
                instanceID: instance,
                settings: GatewaySettings(origins: OriginPolicy([origin]), socketPath: "/s")),
            makeNonce: { Self.nonce }, clock: { Timestamp(milliseconds: 77) }, now: .at(0))
    }

    /// Sends a request; a call's name, or the answer's text.
    mutating func ask(_ method: MethodName, _ parameters: [String: JSONValue] = [:], at second: Int64 = 1)
        -> String
    {
        let frame = RequestFrame(id: "1", method: method.rawValue, parameters: parameters)
        switch conversation.received(frame, now: .at(second)) {
        case .reply(let frame): return frame.text
        case .call(.pair(_, let nonce)): return "pair \(nonce ?? "-")"
        case .call(.status(_, let nonce)): return "status \(nonce ?? "-")"
        case .call(.connect(_, let nonce)): return "connect \(nonce ?? "-")"
        case .call(.authenticate): return "authenticate"
        case .call(.send): return "send"
        case .call(.acknowledge): return "acknowledge"
        case .call(.message): return "message"
        case .call(.list): return "list"
        case .call(.approve): return "approve"
        case .call(.deny): return "deny"
        case .call(.revoke): return "revoke"
        case .call(.health): return "health"
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

    /// The steps as text.
    func text(_ steps: [DeviceConversation.Step]) -> [String] {
        steps.map {
            switch $0 {
            case .send(let frame): frame.text
            case .enter(let grant): "enter \(grant.senderID)"
            case .serve(let authority): "serve \(authority.actor.name)"
            case .close(let code, _): "close \(code.rawValue)"
            }
        }
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
        #expect(conversation.greeting().text.contains(#""event":"connect.challenge""#))
        #expect(ask(.pairStatus, proof) == "status \(Self.nonce)")
    }

    @Test("Only connect and device.pair.request postpone the deadline of a stranger")
    mutating func deadline() {
        #expect(conversation.ticked(now: .at(14)) == nil)
        _ = ask(.health, at: 14)
        _ = ask(.challenge, at: 14)
        _ = ask(.pairStatus, device(), at: 14)
        #expect(text([conversation.ticked(now: .at(15))].compactMap { $0 }) == ["close 1008"])
        #expect(closeReason(at: 15) == "no connect or device.pair.request within 15 s")
        _ = ask(.connect, device(), at: 15)
        #expect(conversation.ticked(now: .at(29)) == nil)
        #expect(conversation.ticked(now: .at(30)) != nil)
    }

    @Test("A stranger whose attempts fail is not let stay for ever (I10)")
    mutating func lastDeadline() {
        for time in stride(from: Int64(0), to: 300, by: 10) {
            #expect(conversation.ticked(now: .at(time)) == nil)
            _ = ask(.connect, device(), at: time)
        }
        #expect(closeReason(at: 300) == "no connect or device.pair.request succeeded within 300 s")
    }

    private func closeReason(at time: Int64) -> String? {
        guard case .close(.policyViolation, let reason)? = conversation.ticked(now: .at(time)) else {
            return nil
        }
        return reason
    }

    @Test("A waiting socket has one request and waits no longer than the request lives")
    mutating func waiting() {
        _ = ask(.pairRequest, device())
        let steps = text(conversation.answered(.pairing(.pending(ticket)), now: .at(1)))
        #expect(
            steps.count == 1 && steps[0].contains(#""code":"ABCD-EFGH""#)
                && steps[0].contains(#""status":"pending""#))
        #expect(conversation.ticked(now: .at(20)) == nil)
        guard case .close(.tryLater, _)? = conversation.ticked(now: .at(21)) else {
            Issue.record("it waits on")
            return
        }
        #expect(ask(.pairRequest, device()) == "pair -")
        #expect(ask(.connect, device(sender: "TABLET-01")) == "connect -")
        #expect(ask(.pairRequest, device(sender: "other")).contains("one_request_a_socket"))
        #expect(ask(.connect, device(sender: "other")).contains("one_request_a_socket"))
        #expect(ask(.connect, ["token": .string("t")]).contains("already_connected"))
        #expect(ask(.messageSend, Self.message).contains(#""reason":"pending""#))
    }

    @Test("An approval authenticates the waiting socket and says what connect would have")
    mutating func approved() {
        _ = conversation.answered(.pairing(.pending(ticket)), now: .at(1))
        let steps = text(conversation.resolved(.approved(ticket.requestID, grant), now: .at(2)))
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
        #expect(conversation.ticked(now: .at(10_000)) == nil)
    }

    @Test(
        "A socket whose request ended otherwise is told so and is a stranger's again",
        arguments: ["denied", "expired", "approved"])
    mutating func ended(decision: String) {
        _ = conversation.answered(.connection(.pending(ticket)), now: .at(1))
        let id = ticket.requestID
        let resolution: PairingResolution =
            switch decision {
            case "denied": .denied(id)
            case "expired": .expired(id)
            default: .approved(id, nil)
            }
        let steps = text(conversation.resolved(resolution, now: .at(100)))
        #expect(steps.count == 1 && steps[0].contains(#""decision":"\#(decision)""#))
        #expect(conversation.role == .stranger)
        #expect(conversation.ticked(now: .at(114)) == nil)
        #expect(conversation.ticked(now: .at(115)) != nil)
    }

    @Test("A device that asks to pair again on its session is told so, and keeps it")
    mutating func pairedAsksAgain() {
        _ = conversation.answered(.connection(.paired(grant)), now: .at(1))
        #expect(ask(.pairRequest, device()).contains(#""status":"approved""#))
        #expect(ask(.pairRequest, device(["channel": .string("iot")])).contains("already_connected"))
        #expect(ask(.connect, device(["channel": .string("iot")])).contains("already_connected"))
        #expect(conversation.role == .paired(grant))
    }

    @Test("A device that learned the decision from an answer is not told of it again")
    mutating func lateResolution() {
        _ = conversation.answered(.pairing(.pending(ticket)), now: .at(1))
        _ = conversation.answered(.connection(.paired(grant)), now: .at(2))
        #expect(conversation.resolved(.approved(ticket.requestID, nil), now: .at(3)).isEmpty)
        #expect(conversation.role == .paired(grant))
    }

    @Test("A waiting device that is told in an answer that it is paired has to connect")
    mutating func approvedInAnswer() {
        _ = conversation.answered(.pairing(.pending(ticket)), now: .at(1))
        _ = conversation.answered(.pairing(.approved), now: .at(100))
        #expect(conversation.role == .stranger)
        #expect(conversation.ticked(now: .at(114)) == nil)
        #expect(conversation.ticked(now: .at(115)) != nil)
    }

    @Test("A connected device exchanges messages; its events are numbered")
    mutating func paired() {
        _ = ask(.connect, device())
        #expect(
            text(conversation.answered(.connection(.paired(grant)), now: .at(1))).last == "enter tablet-01")
        #expect(ask(.messageSend, Self.message) == "send")
        #expect(ask(.messageAck, ["messageSeq": .integer(1)]) == "acknowledge")
        for number in 1...2 {
            let frame = conversation.frame(OutboundFrame(event: "reading.taken", payload: #"{"a":[1]}"#))
            #expect(
                frame.text
                    == #"{"event":"reading.taken","payload":{"a":[1]},"seq":\#(number),"type":"event"}"#)
        }
    }

    @Test("An administrator decides, and is no device")
    mutating func administrator() {
        _ = ask(.connect, ["token": .string("t")])
        let steps = text(conversation.answered(.authority(authority), now: .at(1)))
        #expect(steps.count == 2 && steps[0].contains(#""role":"administrator""#))
        #expect(ask(.pairList) == "list")
        #expect(ask(.pairApprove, Self.decision) == "approve")
        #expect(ask(.pairDeny, Self.decision) == "deny")
        #expect(ask(.pairRevoke, device()) == "revoke")
        #expect(ask(.messageSend, Self.message).contains("FORBIDDEN"))
        #expect(ask(.pairRequest, device()).contains("already_connected"))
        #expect(conversation.ticked(now: .at(10_000)) == nil)
    }

    @Test("A refusal changes nothing but the answer (I6)")
    mutating func refused() {
        _ = ask(.connect, device())
        let steps = text(conversation.answered(.refusal(.unavailable), now: .at(1)))
        #expect(
            steps.count == 1 && steps[0].contains("UNAVAILABLE") && steps[0].contains(#""retryable":true"#))
        #expect(conversation.role == .stranger)
    }
}
