import NodesProtocol
import PairingCore
import Testing

@Suite("Device requests")
struct DeviceRequestTests {
    static let key = Base64URL.encode(Array(repeating: 1, count: 32))
    static let signature = Base64URL.encode(Array(repeating: 2, count: 64))
    static let device: [String: JSONValue] = ["channel": .string("web"), "senderId": .string("tablet-01")]
    static let proof: [String: JSONValue] = [
        "signature": .string(signature), "signedAt": .integer(1000), "nonce": .string(key),
    ]

    static func read(_ method: String, _ parameters: [String: JSONValue]) throws(Refusal) -> DeviceRequest {
        try DeviceRequest(RequestFrame(id: "1", method: method, parameters: parameters))
    }

    static func with(_ more: [String: JSONValue], without: String...) -> [String: JSONValue] {
        device.merging(more) { $1 }.filter { !without.contains($0.key) }
    }

    @Test("A pairing request may bring a key with a proof, a token, or nothing")
    func pair() throws {
        let channel = try #require(ChannelID("web"))
        let senderID = try #require(SenderID("tablet-01"))
        let key = try #require(PublicKey(Self.key))
        let proof = Proof(
            signature: Array(repeating: 2, count: 64), signedAt: Timestamp(milliseconds: 1000),
            nonce: Self.key)
        #expect(
            try Self.read("device.pair.request", Self.device)
                == .pair(PairingClaim(channel: channel, senderID: senderID, credential: .none)))
        #expect(
            try Self.read(
                "device.pair.request",
                Self.with([
                    "publicKey": .string(Self.key), "proof": .object(Self.proof), "deviceToken": .null,
                ]))
                == .pair(PairingClaim(channel: channel, senderID: senderID, credential: .key(key, proof))))
        let token = try #require(DeviceToken(Self.key))
        #expect(
            try Self.read(
                "device.pair.request",
                Self.with([
                    "deviceToken": .string(Self.key), "code": .string("abcd-efgh"),
                    "displayName": .string("Desk"),
                    "metadata": .object(["a": .integer(1)]), "unknown": .bool(true),
                ]))
                == .pair(
                    PairingClaim(
                        channel: channel, senderID: senderID, credential: .token(token),
                        code: PairingCode("ABCDEFGH"), displayName: "Desk",
                        metadata: .object(["a": .integer(1)]))))
    }

    @Test("A connect is a device's or, with a token, an administrator's")
    func connect() throws {
        let identity = DeviceIdentity(
            channel: try #require(ChannelID("web")), senderID: try #require(SenderID("tablet-01")),
            evidence: .token(try #require(DeviceToken(Self.key))))
        #expect(try Self.read("connect", Self.with(["deviceToken": .string(Self.key)])) == .connect(identity))
        #expect(try Self.read("connect", ["token": .string("t")]) == .connectAdministrator(token: "t"))
    }

    @Test("A message may be any value but null")
    func send() throws {
        #expect(
            try Self.read("message.send", ["messageId": .string("m"), "message": .array([])])
                == .send(messageID: "m", message: "[]"))
    }

    @Test(
        "A whole number is read in any spelling, and a fraction is refused as one",
        arguments: [
            ("17.0", 17), ("1.7E+1", 17), ("1.795726781500E+12", 1_795_726_781_500), ("1.5", nil),
            ("1e-3", nil),
        ] as [(String, Int64?)])
    func wholeNumbers(text: String, expected: Int64?) throws {
        let request = { try Self.read("message.ack", ["messageSeq": try JSONValue(parsing: text.utf8)]) }
        if let expected {
            #expect(try request() == .acknowledge(messageSeq: expected))
        } else {
            let refusal = #expect(throws: Refusal.self) { try request() }
            #expect(
                refusal?.message.hasSuffix("not a fraction; got \(text).") == true,
                "\(refusal?.message ?? "")")
        }
    }

    @Test("An unknown method is refused with the known ones")
    func unknownMethod() {
        let refusal = #expect(throws: Refusal.self) { try Self.read("device.pair.Request", Self.device) }
        #expect(refusal?.message.contains("there is no \"device.pair.Request\"") == true)
        #expect(refusal?.message.contains("device.pair.request, ") == true)
    }

    @Test(
        "A refusal says what came, and of a secret only how long it was (I6, I9)",
        arguments: [
            ("senderId", .string("-x"), #"got "-x""#), ("senderId", .integer(7), "got 7"),
            ("channel", .array([]), "got a list"), ("channel", .object([:]), "got an object"),
            ("channel", .bool(true), "got true"), ("channel", .string("\u{202E}"), #"got "\u{202e}""#),
            ("channel", .string(String(repeating: "x", count: 5000)), "got a string of 5000 bytes"),
            ("metadata", .string("m"), #"got "m""#), ("code", .string("ABC"), #"got "ABC""#),
            ("deviceToken", .string("hush-hush"), "got a string of 9 bytes"),
            ("publicKey", .string("hush-hush"), "got a string of 9 bytes"),
        ] as [(String, JSONValue, String)])
    func toldBack(name: String, value: JSONValue, said: String) {
        let refusal = #expect(throws: Refusal.self) {
            try Self.read("device.pair.request", Self.with([name: value]))
        }
        #expect(refusal?.message.hasSuffix("; \(said).") == true, "\(refusal?.message ?? "")")
        #expect(refusal?.message.contains("hush") == false)
    }

    @Test(
        "A bad parameter is refused by its name (I6)",
        arguments: [
            ("device.pair.request", with([:], without: "channel"), "channel"),
            ("device.pair.request", with(["channel": .string("Web")]), "channel"),
            ("device.pair.request", with([:], without: "senderId"), "senderId"),
            ("device.pair.request", with(["senderId": .integer(7)]), "senderId"),
            ("device.pair.request", with(["senderId": .string("-x")]), "senderId"),
            ("device.pair.request", with(["senderId": .string("a b")]), "senderId"),
            (
                "device.pair.request", with(["senderId": .string(String(repeating: "x", count: 129))]),
                "senderId"
            ),
            ("device.pair.request", with(["publicKey": .string(key)]), "proof"),
            ("device.pair.request", with(["proof": .object(proof)]), "publicKey"),
            ("device.pair.request", with(["publicKey": .string(key + "=")]), "publicKey"),
            ("device.pair.request", with(["publicKey": .string("AA")]), "publicKey"),
            (
                "device.pair.request",
                with(["publicKey": .string(key), "proof": .object(proof), "deviceToken": .string(key)]),
                "deviceToken"
            ),
            ("device.pair.request", with(["deviceToken": .string("short")]), "deviceToken"),
            ("device.pair.request", with(["deviceToken": .bool(true)]), "deviceToken"),
            ("device.pair.request", with(["code": .string("ABC")]), "code"),
            ("device.pair.request", with(["code": .string("ABCD-EFG0")]), "code"),
            ("device.pair.request", with(["displayName": .array([])]), "displayName"),
            (
                "device.pair.request", with(["displayName": .string(String(repeating: "x", count: 1025))]),
                "displayName"
            ),
            ("device.pair.request", with(["metadata": .string("{}")]), "metadata"),
            ("device.pair.request", with(["metadata": .array([])]), "metadata"),
            ("connect", device, "proof"),
            ("connect", with(["proof": .object(proof), "deviceToken": .string(key)]), "proof"),
            ("connect", with(["proof": .string("x")]), "proof"),
            ("connect", with(["proof": .object(proof.filter { $0.key != "nonce" })]), "proof.nonce"),
            (
                "connect", with(["proof": .object(proof.merging(["nonce": .string("x")]) { $1 })]),
                "proof.nonce"
            ),
            ("connect", with(["proof": .object(proof.filter { $0.key != "signedAt" })]), "proof.signedAt"),
            (
                "connect", with(["proof": .object(proof.merging(["signedAt": .number(1.5)]) { $1 })]),
                "proof.signedAt"
            ),
            (
                "connect", with(["proof": .object(proof.merging(["signedAt": .integer(-1)]) { $1 })]),
                "proof.signedAt"
            ),
            (
                "connect", with(["proof": .object(proof.merging(["signature": .string(key)]) { $1 })]),
                "proof.signature"
            ),
            ("connect", ["token": .string("")], "token"), ("connect", ["token": .integer(1)], "token"),
            ("message.send", ["message": .null, "messageId": .string("m")], "message"),
            ("message.send", ["message": .integer(1)], "messageId"),
            ("message.send", ["message": .integer(1), "messageId": .string("")], "messageId"),
            ("message.ack", [:], "messageSeq"), ("message.ack", ["messageSeq": .integer(0)], "messageSeq"),
            ("message.ack", ["messageSeq": .string("1")], "messageSeq"),
            ("device.pair.approve", ["code": .string("ABCDEFGH")], "requestId"),
            ("device.pair.approve", ["requestId": .string("1"), "code": .string("ABCDEFGH")], "requestId"),
            ("device.pair.approve", ["requestId": .string("9469921c-3534-4c46-81bd-9f2d83418ac6")], "code"),
            (
                "device.pair.deny",
                ["requestId": .string("9469921c-3534-4c46-81bd-9f2d83418ac6"), "code": .string("ABC")], "code"
            ),
            ("device.pair.revoke", device.merging(["generation": .integer(0)]) { $1 }, "generation"),
            ("device.pair.list", ["limit": .integer(0)], "limit"),
            ("device.pair.list", ["limit": .integer(101)], "limit"),
            ("device.pair.list", ["filter": .integer(1)], "filter"),
        ] as [(String, [String: JSONValue], String)])
    func refused(method: String, parameters: [String: JSONValue], name: String) {
        do {
            _ = try Self.read(method, parameters)
            Issue.record("accepted")
        } catch {
            #expect(error.code == .invalidRequest)
            #expect(error.details["parameter"]?.string == name)
            #expect(error.message.hasPrefix(name + ": "))
        }
    }

    @Test("A message may belong to a conversation, whose history is asked for page by page")
    func conversations() throws {
        let kitchen = try #require(ConversationName("kitchen"))
        #expect(
            try Self.read(
                "message.send",
                ["messageId": .string("m"), "message": .integer(1), "conversation": .string("kitchen")])
                == .send(messageID: "m", message: "1", conversation: kitchen))
        #expect(
            try Self.read("message.history", [:])
                == .history(limit: MessageHistory.defaultLimit))
        #expect(
            try Self.read(
                "message.history",
                [
                    "before": .object(["sent": .number(7), "received": .integer(9)]),
                    "limit": .integer(2), "conversation": .string("kitchen"),
                ])
                == .history(
                    before: MessageHistory.Cursor(sent: 7, received: 9), limit: 2, conversation: kitchen))
        for (name, parameters) in [
            ("limit", ["limit": .integer(201)]), ("limit", ["limit": .integer(0)]),
            ("before", ["before": .integer(7)]), ("before.sent", ["before": .object(["sent": .integer(0)])]),
            ("conversation", ["conversation": .string("a\nb")]),
        ] as [(String, [String: JSONValue])] {
            do throws(Refusal) {
                _ = try Self.read("message.history", parameters)
                Issue.record("\(parameters) is accepted")
            } catch {
                #expect(error.code == .invalidRequest && error.message.hasPrefix("\(name): "))
            }
        }
    }

    @Test("A page of history names each message's side, and only JSON that is stored")
    func historyPayload() throws {
        let page = MessageHistory.Page(
            lines: [
                .init(
                    sequence: 3, agent: nil, messageID: "m", body: #"{"text":"hi"}"#,
                    at: Timestamp(milliseconds: 5)),
                .init(
                    sequence: 2, agent: "echo", messageID: "m", body: "12345678901234567890",
                    at: Timestamp(milliseconds: 6)),
            ], next: MessageHistory.Cursor(sent: 3, received: 1))
        #expect(
            page.payload(of: .main).text
                == #"{"before":{"received":1,"sent":3},"messages":[{"at":5,"from":"device","message":{"text":"hi"},"#
                + #""messageId":"m","messageSeq":3},{"agent":"echo","at":6,"from":"agent","inReplyTo":"m","#
                + #""message":12345678901234567890,"messageSeq":2}]}"#)
    }
}
