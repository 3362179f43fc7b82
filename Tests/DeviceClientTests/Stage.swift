import NodesProtocol
import PairingCore
import Testing

@testable import DeviceClient

/// Plays a server and a clock against a ``DeviceMachine``.
struct Stage {
    var client: DeviceMachine
    var now = Duration.zero
    private var lastID = ""

    init(_ credential: DeviceCredential? = nil, hasAsked: Bool = false, lastMessage: Int64 = 0) throws {
        let token = try #require(DeviceToken(bytes: Array(repeating: 7, count: 32)))
        client = DeviceMachine(
            identity: DeviceIdentity(
                channel: try #require(ChannelID("web")), senderID: try #require(SenderID("t1")),
                origin: try #require(Origin("http://127.0.0.1:8080")),
                credential: credential ?? .token(token),
                displayName: "Reception"),
            progress: .init(hasAsked: hasAsked, lastMessage: lastMessage)
        ) { 0 }
    }

    mutating func handle(_ event: DeviceMachine.Event) -> [DeviceMachine.Action] {
        let actions = client.handle(event, now: now)
        for case .send(let frame) in actions { lastID = frame["id"]?.string ?? "" }
        return actions
    }

    /// Starts and opens the socket.
    mutating func open() -> [DeviceMachine.Action] {
        #expect(handle(.start) == [.dial])
        return handle(.opened)
    }

    /// The server answers the newest request.
    mutating func answer(_ payload: JSONValue) -> [DeviceMachine.Action] {
        frame(["type": "res", "id": .string(lastID), "ok": .bool(true), "payload": payload])
    }

    /// The server refuses the newest request.
    mutating func refuse(
        _ code: ErrorCode, _ reason: String, retryAfter: Duration? = nil
    ) -> [DeviceMachine.Action] {
        let refusal = Refusal(code, reason, "No.", retryable: retryAfter != nil, retryAfter: retryAfter)
        return frame(["type": "res", "id": .string(lastID), "ok": .bool(false), "error": refusal.json])
    }

    mutating func event(_ name: String, _ payload: JSONValue) -> [DeviceMachine.Action] {
        frame(["type": "event", "event": .string(name), "payload": payload, "seq": .integer(1)])
    }

    mutating func pass(_ time: Duration) -> [DeviceMachine.Action] {
        now += time
        return handle(.tick)
    }

    /// Pairs and connects.
    mutating func connect() {
        _ = open()
        _ = answer(.connected)
    }

    private mutating func frame(_ members: [String: JSONValue]) -> [DeviceMachine.Action] {
        handle(.text(Array(JSONValue.object(members).text.utf8)))
    }
}

extension JSONValue: ExpressibleByStringLiteral {
    /// A string of JSON.
    public init(stringLiteral text: String) { self = .string(text) }
}

extension JSONValue {
    static let pending = JSONValue.object([
        "requestId": "8f14e45f-ceea-467f-9a3b-000000000000", "code": "ABCD-EFGH", "status": "pending",
        "expiresAt": .integer(3_600_000), "expiresInMs": .integer(3_600_000),
    ])
    static let pendingConnect = JSONValue.object([
        "protocol": .integer(3), "status": "pending_pairing",
        "requestId": "8f14e45f-ceea-467f-9a3b-000000000000", "code": "ABCD-EFGH",
    ])
    static let connected = JSONValue.object([
        "protocol": .integer(3), "status": "paired", "role": "device", "instanceId": "i1", "sessionId": "s1",
    ])
    static func resolved(_ decision: String) -> JSONValue {
        guard decision == "approved", case .object(var members) = connected else {
            return .object(["decision": .string(decision)])
        }
        members["decision"] = "approved"
        return .object(members)
    }
    static func message(_ number: Int64) -> JSONValue {
        .object(["messageSeq": .integer(number), "agent": "echo", "message": .object(["text": "hi"])])
    }
}

extension [DeviceMachine.Action] {
    /// The methods of the frames that are sent.
    var methods: [String] {
        compactMap { if case .send(let frame) = $0 { frame["method"]?.string } else { nil } }
    }
    /// The parameters of the first frame that is sent.
    var parameters: JSONValue? {
        lazy.compactMap { if case .send(let frame) = $0 { frame["params"] } else { nil } }.first
    }
    var delay: Duration? {
        lazy.compactMap { if case .report(.disconnected(_, let delay)) = $0 { delay } else { nil } }.first
    }
    var outcome: DeviceOutcome? {
        lazy.compactMap { if case .stop(let outcome) = $0 { outcome } else { nil } }.first
    }
}
