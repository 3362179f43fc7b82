import Cryptography
import NodesProtocol
import PairingCore
import Testing

@testable import DeviceClient

@Suite("A device and its pairing")
struct DevicePairingTests {
    @Test("A new device asks to pair with its own token, waits, and is connected by the approval")
    func pairs() throws {
        var stage = try Stage()
        let asked = stage.open()
        #expect(asked.methods == ["device.pair.request"])
        #expect(asked.parameters?["deviceToken"]?.string?.count == 43)
        #expect(asked.parameters?["displayName"] == "Reception")
        let waiting = stage.answer(.pending)
        let ticket = try #require(DeviceTicket(payload: .pending))
        #expect(waiting == [.save(.init(hasAsked: true)), .report(.waiting(ticket))])
        let approved = stage.event("device.pair.resolved", .resolved("approved"))
        #expect(
            approved == [
                .report(.resolved(decision: "approved")),
                .report(.connected(sessionID: "s1", instanceID: "i1")),
            ])
    }

    @Test("A key signs the server's nonce and time for pairing, and new ones for connecting")
    func proves() throws {
        let key = try Ed25519PrivateKey()
        var stage = try Stage(.key(key))
        for purpose in ["pair", "connect"] {
            let challenged = purpose == "pair" ? stage.open() : stage.answer(.object(["status": "approved"]))
            #expect(challenged.methods == ["device.challenge"])
            let proven = stage.answer(.object(["nonce": .string("n-\(purpose)"), "ts": .integer(1_700_000)]))
            let publicKey = Base64URL.encode(key.publicKey.rawRepresentation)
            let statement =
                "nodes-v1|\(purpose)|http://127.0.0.1:8080|web|t1|\(publicKey)|1700000|n-\(purpose)"
            let proof = proven.parameters?["proof"]
            #expect(proof?["signedAt"] == .integer(1_700_000))
            #expect(proof?["nonce"] == .string("n-\(purpose)"))
            #expect(proven.parameters?["publicKey"]?.string == (purpose == "pair" ? publicKey : nil))
            let signature = try #require(
                proof?["signature"]?.string.flatMap { Base64URL.decode($0, count: 64) })
            #expect(key.publicKey.isValidSignature(signature, for: Array(statement.utf8)))
        }
    }

    @Test("A device that has asked before connects first, and waits where it is still pending")
    func connectsFirst() throws {
        var stage = try Stage(hasAsked: true)
        #expect(stage.open().methods == ["connect"])
        let ticket = try #require(DeviceTicket(payload: .pendingConnect))
        #expect(stage.answer(.pendingConnect) == [.report(.waiting(ticket))])
    }

    @Test("An answer that was lost is asked for again in the same way")
    func repeatsALostAnswer() throws {
        var stage = try Stage()
        let first = stage.open()
        _ = stage.handle(.closed(code: nil, reason: ""))
        #expect(stage.pass(.seconds(1)) == [.dial])
        let second = stage.handle(.opened)
        #expect(second.methods == ["device.pair.request"])
        #expect(second.parameters == first.parameters)
    }

    @Test(
        "A request that expired, or is unknown to the server, is made again",
        arguments: [(ErrorCode.notPaired, "expired"), (.unauthorized, "unknown")])
    func asksAgain(code: ErrorCode, reason: String) throws {
        var stage = try Stage(hasAsked: true)
        _ = stage.open()
        #expect(stage.refuse(code, reason).methods == ["device.pair.request"])
        // The server contradicts itself: the device gives up instead of going round in circles.
        #expect(stage.answer(.object(["status": "approved"])).methods == ["connect"])
        guard case .refused = stage.refuse(code, reason).outcome else {
            Issue.record("the device goes on")
            return
        }
    }

    @Test("An expiry while the device waits makes it ask again on the same socket")
    func asksAgainAfterExpiry() throws {
        var stage = try Stage()
        _ = stage.open()
        _ = stage.answer(.pending)
        let actions = stage.event("device.pair.resolved", .resolved("expired"))
        #expect(actions.methods == ["device.pair.request"])
    }

    @Test("An approval that names no session makes the device connect")
    func connectsAfterApproval() throws {
        var stage = try Stage()
        _ = stage.open()
        _ = stage.answer(.pending)
        let actions = stage.event("device.pair.resolved", .object(["decision": "approved"]))
        #expect(actions.methods == ["connect"])
    }

    @Test(
        "Revoked and denied end it",
        arguments: [("revoked", DeviceOutcome.revoked), ("denied", .denied)])
    func ends(reason: String, outcome: DeviceOutcome) throws {
        var stage = try Stage(hasAsked: true)
        _ = stage.open()
        #expect(stage.refuse(.notPaired, reason) == [.drop(.normal), .stop(outcome)])
        #expect(stage.client.deadline == nil)
        #expect(stage.pass(.seconds(3600)).isEmpty)
    }

    @Test("A denial while the device waits ends it")
    func endsWhenDenied() throws {
        var stage = try Stage()
        _ = stage.open()
        _ = stage.answer(.pending)
        #expect(stage.event("device.pair.resolved", .resolved("denied")).outcome == .denied)
    }

    @Test("A sender ID that another device holds is asked for again when the server says")
    func waitsForTheSenderID() throws {
        var stage = try Stage()
        _ = stage.open()
        let actions = stage.refuse(.alreadyExists, "sender_id_pending", retryAfter: .seconds(60))
        #expect(actions.contains(.drop(.normal)))
        #expect(actions.delay == .milliseconds(60_500))
    }

    @Test("A refusal for good ends it")
    func endsWhenRefused() throws {
        var stage = try Stage()
        _ = stage.open()
        guard case .refused(let error) = stage.refuse(.forbidden, "lite_edition").outcome else {
            Issue.record("the device goes on")
            return
        }
        #expect(error.reason == "lite_edition")
    }
}

@Suite("A device and its connection")
struct DeviceConnectionTests {
    @Test(
        "A close code decides whether the device comes back",
        arguments: [
            (4001, DeviceOutcome.revoked), (4002, .replaced), (4003, .denied), (1000, nil), (1001, nil),
            (1002, nil), (1003, nil), (1007, nil), (1008, nil), (1009, nil), (1012, nil), (1013, nil),
            (4999, nil), (nil, nil),
        ] as [(UInt16?, DeviceOutcome?)])
    func closes(code: UInt16?, outcome: DeviceOutcome?) throws {
        var stage = try Stage(hasAsked: true)
        stage.connect()
        let actions = stage.handle(.closed(code: code, reason: "because"))
        #expect(actions.outcome == outcome)
        #expect((actions.delay != nil) == (outcome == nil))
    }

    @Test("Failures to connect are spaced further and further apart")
    func backsOff() throws {
        var stage = try Stage()
        #expect(stage.handle(.start) == [.dial])
        for delay in [0.5, 1, 2, 4, 8, 16, 30, 30] {
            #expect(
                stage.handle(.dialFailed(reason: "no", retryAfter: nil)).delay
                    == .milliseconds(Int(delay * 1000)))
            #expect(stage.client.deadline == stage.now + .milliseconds(Int(delay * 1000)))
            #expect(stage.pass(.milliseconds(Int(delay * 1000) - 1)).isEmpty)
            #expect(stage.pass(.milliseconds(1)) == [.dial])
        }
    }

    @Test("Only a connection that lasted shortens the delays again")
    func forgivesAfterAWhile() throws {
        var stage = try Stage(hasAsked: true)
        #expect(stage.handle(.start) == [.dial])
        for (lasted, delay) in [(0, 500), (29, 1000), (30, 500), (1, 1000)] {
            _ = stage.handle(.opened)
            _ = stage.answer(.connected)
            stage.now += .seconds(lasted)
            #expect(stage.handle(.closed(code: 1013, reason: "")).delay == .milliseconds(delay))
            #expect(stage.pass(.milliseconds(delay)) == [.dial])
        }
    }

    @Test("Silence, an answer that does not come and a dial without end are given up")
    func givesUp() throws {
        var stage = try Stage(hasAsked: true)
        #expect(stage.handle(.start) == [.dial])
        #expect(stage.pass(.seconds(30)).first == .drop(.goingAway))
        #expect(stage.pass(.milliseconds(500)) == [.dial])
        _ = stage.handle(.opened)
        #expect(stage.pass(.seconds(30)).first == .drop(.goingAway))
        #expect(stage.pass(.seconds(1)) == [.dial])
        _ = stage.handle(.opened)
        _ = stage.answer(.connected)
        #expect(stage.pass(.seconds(60)).isEmpty)
        _ = stage.handle(.heard)
        #expect(stage.pass(.seconds(89)).isEmpty)
        #expect(stage.pass(.seconds(1)).first == .drop(.goingAway))
    }

    @Test("UNAVAILABLE keeps the credential and comes back when the server says")
    func waitsForTheDatabase() throws {
        var stage = try Stage(hasAsked: true)
        _ = stage.open()
        let actions = stage.refuse(.unavailable, "database_unavailable", retryAfter: .seconds(5))
        #expect(actions.delay == .milliseconds(5500))
        #expect(!actions.contains { if case .save = $0 { true } else { false } })
        #expect(stage.pass(.milliseconds(5500)) == [.dial])
        #expect(stage.handle(.opened).methods == ["connect"])
    }

    @Test(
        "What is not the protocol closes the connection with 1002",
        arguments: [
            "", "{", "[]", "{}", "{\"type\":\"res\",\"ok\":true}", "{\"type\":\"event\"}",
            "{\"type\":\"res\",\"id\":\"1\",\"ok\":true,\"payload\":{\"status\":\"what\"}}",
            "{\"type\":\"res\",\"id\":\"1\",\"ok\":false,\"error\":\"no\"}",
        ])
    func dropsNonsense(text: String) throws {
        var stage = try Stage(hasAsked: true)
        _ = stage.open()
        #expect(stage.handle(.text(Array(text.utf8))).first == .drop(.protocolError))
    }

    @Test("Answers to nothing and challenges nobody asked for are ignored")
    func ignoresTheUnknown() throws {
        var stage = try Stage(hasAsked: true)
        stage.connect()
        for text in [
            "{\"type\":\"res\",\"id\":\"99\",\"ok\":true,\"payload\":{}}",
            "{\"type\":\"event\",\"event\":\"connect.challenge\",\"payload\":{\"nonce\":\"n\",\"ts\":1}}",
        ] {
            #expect(stage.handle(.text(Array(text.utf8))).isEmpty)
        }
    }

    @Test("Being asked to end closes the socket politely, once")
    func quits() throws {
        var stage = try Stage(hasAsked: true)
        stage.connect()
        #expect(stage.handle(.quit) == [.drop(.normal), .stop(.quit)])
        #expect(stage.handle(.quit).isEmpty)
    }
}

@Suite("A device and its messages")
struct DeviceMessageTests {
    private func saying(_ id: String) -> DeviceMachine.Saying {
        .init(id: id, message: .object(["text": "x"]))
    }
    private func accepted(_ number: Int64) -> JSONValue {
        .object(["messageSeq": .integer(number), "status": "accepted"])
    }

    @Test("Messages are sent one after the other, in order")
    func sendsInOrder() throws {
        var stage = try Stage(hasAsked: true)
        #expect(stage.handle(.say(saying("a"))).isEmpty)
        #expect(stage.handle(.say(saying("b"))).isEmpty)
        _ = stage.open()
        #expect(stage.answer(.connected).parameters?["messageId"] == "a")
        let next = stage.answer(accepted(1))
        #expect(next.first == .report(.accepted(id: "a", number: 1)))
        #expect(next.parameters?["messageId"] == "b")
        #expect(stage.answer(accepted(2)) == [.report(.accepted(id: "b", number: 2))])
        #expect(stage.handle(.say(saying("c"))).methods == ["message.send"])
    }

    @Test("A message whose acknowledgement was lost is sent again under its identifier (I4)")
    func sendsAgain() throws {
        var stage = try Stage(hasAsked: true)
        stage.connect()
        let first = stage.handle(.say(saying("a")))
        _ = stage.handle(.closed(code: 1012, reason: ""))
        _ = stage.pass(.seconds(1))
        _ = stage.handle(.opened)
        #expect(stage.answer(.connected).parameters == first.parameters)
    }

    @Test("A retryable refusal is waited out on the same socket; another drops the message alone")
    func handlesRefusals() throws {
        var stage = try Stage(hasAsked: true)
        stage.connect()
        _ = stage.handle(.say(saying("a")))
        _ = stage.handle(.say(saying("b")))
        #expect(stage.refuse(.unavailable, "database_unavailable", retryAfter: .seconds(2)).methods.isEmpty)
        #expect(stage.pass(.milliseconds(1999)).isEmpty)
        #expect(stage.pass(.milliseconds(1)).parameters?["messageId"] == "a")
        let dropped = stage.refuse(.invalidRequest, "bad_message")
        guard case .report(.notAccepted("a", _)) = dropped.first else {
            Issue.record("the refusal is not reported")
            return
        }
        #expect(dropped.parameters?["messageId"] == "b")
    }

    @Test("A message is shown, then remembered, then acknowledged; a repeat is only acknowledged (I4)")
    func receives() throws {
        var stage = try Stage(hasAsked: true, lastMessage: 3)
        stage.connect()
        let fresh = stage.event("message", .message(4))
        #expect(
            fresh.prefix(2) == [
                .report(.message(number: 4, agent: "echo", message: .object(["text": "hi"]))),
                .save(.init(hasAsked: true, lastMessage: 4)),
            ])
        #expect(fresh.methods == ["message.ack"])
        #expect(fresh.parameters == .object(["messageSeq": .integer(4)]))
        let old = stage.event("message", .message(4))
        #expect(old.count == 1)
        #expect(old.methods == ["message.ack"])
    }

    @Test("Events of the channel are reported once; those with a number are acknowledged, by the last part")
    func channelEvents() throws {
        var stage = try Stage(hasAsked: true, lastMessage: 3)
        stage.connect()
        let receipt = JSONValue.object(["ok": .bool(true)])
        #expect(stage.event("receipt", receipt) == [.report(.event(name: "receipt", payload: receipt))])
        let command = JSONValue.object(["messageSeq": .integer(4), "message": "reboot"])
        let heard = stage.event("command", command)
        #expect(heard.first == .report(.event(name: "command", payload: command)))
        #expect(heard.parameters == .object(["messageSeq": .integer(4)]))
        let again = stage.event("command", command)
        #expect(again.count == 1 && again.methods == ["message.ack"])
        for last in [false, true] {
            let part = JSONValue.object(["messageSeq": .integer(5), "last": .bool(last)])
            let actions = stage.event("message.part", part)
            #expect(actions.first == .report(.event(name: "message.part", payload: part)))
            #expect(actions.methods == (last ? ["message.ack"] : []))
        }
    }

    @Test("A new pairing begins with message 1 again")
    func forgetsNumbers() throws {
        var stage = try Stage(lastMessage: 9)
        _ = stage.open()
        #expect(stage.answer(.pending).first == .save(.init(hasAsked: true, lastMessage: 0)))
    }
}
