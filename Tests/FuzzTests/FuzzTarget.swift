import NIOCore
import NIOHTTP1
import NodesProtocol
import PairingCore

@testable import AdminPages
@testable import DeviceGateway
@testable import FastCGI

/// Something that reads bytes which nobody vouches for. Whatever they are it may not trap, and what it accepts keeps its
/// rules (I7, I10). The tests feed it damaged examples, from a seed.
enum FuzzTarget: String, CaseIterable, Sendable {
    case json, requests, websocket, handshakes, fastcgi, forms, values, plugins

    /// Takes one input.
    ///
    /// - Throws: ``BrokenRule`` where what was accepted breaks one.
    func take(_ bytes: [UInt8]) throws {
        switch self {
        case .json: try Self.json(bytes)
        case .requests: try Self.request(bytes)
        case .websocket: try Self.webSocket(bytes)
        case .handshakes: try Self.handshake(bytes)
        case .fastcgi:
            var framing = RequestFraming(maximumBodyBytes: 1024)
            _ = framing.consume(bytes[...])
        case .forms: try Self.form(bytes)
        case .values: try Self.values(bytes)
        case .plugins:
            var script = PluginScript(bytes)
            try script.run()
        }
    }
}

/// What was accepted though it should not have been.
struct BrokenRule: Error {
    let rule: String
}

/// - Throws: ``BrokenRule`` where the condition does not hold.
func demand(_ condition: Bool, _ rule: String) throws(BrokenRule) {
    if !condition { throw BrokenRule(rule: rule) }
}

extension FuzzTarget {
    /// JSON that is accepted is written and read as the same value.
    private static func json(_ bytes: [UInt8]) throws {
        guard let value = try? JSONValue(parsing: bytes) else { return }
        let again = try JSONValue(parsing: value.text.utf8)
        try demand(again == value, "what is written is read as the same")
        let cleaned = value.cleaned(maximumScalars: 64)
        try demand(!cleaned.containsNUL, "cleaned text has no NUL")
        try demand(cleaned.cleaned(maximumScalars: 64) == cleaned, "what is clean stays as it is")
    }

    /// A frame becomes a request, or a refusal that says why.
    private static func request(_ bytes: [UInt8]) throws {
        let frame: RequestFrame
        do throws(FrameRefusal) {
            frame = try RequestFrame(parsing: bytes)
        } catch {
            return try demand(
                error.refusal.code == .invalidRequest && !error.refusal.message.isEmpty,
                "a refused frame is told why")
        }
        do throws(Refusal) {
            _ = try DeviceRequest(frame)
        } catch {
            try demand(!error.message.isEmpty && !error.reason.isEmpty, "a refused request is told why")
        }
    }

    /// WebSocket bytes read the same however they are cut; the first byte says where.
    private static func webSocket(_ bytes: [UInt8]) throws {
        let cut = bytes.isEmpty ? 0 : Int(bytes[0]) * 257 % (bytes.count + 1)
        try demand(
            read([Array(bytes[..<cut]), Array(bytes[cut...])]) == read([bytes]), "it reads the same if cut")
    }

    private static func read(_ pieces: [[UInt8]]) -> [String] {
        var reader = MessageReader(
            limits: WebSocketLimits(messageSize: 65_536, fragments: 16, acceptsBinary: true))
        var seen: [String] = []
        var buffer = ByteBuffer()
        do {
            for piece in pieces {
                buffer.writeBytes(piece)
                while let event = try reader.next(&buffer) { seen.append("\(event)") }
            }
        } catch {
            seen.append("\(error.code)")
        }
        return seen
    }

    /// A head becomes a socket of an origin that is served, or an answer in printable text.
    private static func handshake(_ bytes: [UInt8]) throws {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let first = (lines.first ?? "").split(separator: " ", maxSplits: 1)
        guard first.count == 2, let served = Origin("https://nodes.example.org") else { return }
        var headers = HTTPHeaders()
        for line in lines.dropFirst() {
            let field = line.split(separator: ":", maxSplits: 1)
            // NIO hands on no head with another name.
            guard field.count == 2, field[0].utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { continue }
            headers.add(name: String(field[0]), value: String(field[1].drop { $0 == " " }))
        }
        let head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: String(first[0])), uri: String(first[1]),
            headers: headers)
        var policy = UpgradePolicy(
            path: "/ws", origins: OriginPolicy([served]), subprotocol: "goclaw-nodes.v1")
        policy.openClawPaths = ["/"]
        switch policy.decide(head) {
        case .upgrade(let request):
            try demand(request.origins == [served], "only a served host upgrades")
            try demand(headers["host"].count == 1, "a host is named once")
        case .refuse(let answer):
            try demand(answer.status.code >= 400, "a refusal is an error")
            let isPrintable = answer.body.utf8.allSatisfy { $0 == 0x0A || $0 >= 0x20 && $0 != 0x7F }
            try demand(isPrintable, "an answer shows no control character: \(quoted(answer.body))")
        case .page, .exchange, .tools: break
        }
    }

    /// A form's fields, a cookie and a percent-encoded path come out as text without NUL.
    private static func form(_ bytes: [UInt8]) throws {
        _ = try? FormFields(bytes)
        _ = Cookies(header: String(decoding: bytes, as: UTF8.self))
        if let decoded = percentDecoded(bytes, plusIsSpace: true) {
            try demand(!decoded.utf8.contains(0), "decoded text has no NUL")
            try demand(
                percentDecoded(percentEncoded(decoded).utf8, plusIsSpace: false) == decoded,
                "what is encoded is decoded as the same")
        }
    }

    /// An identifier, a code, an origin or an address that is accepted has one spelling.
    private static func values(_ bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        if let code = PairingCode(text) { try demand(PairingCode(code.description) == code, "code") }
        if let origin = Origin(text) {
            try demand(
                Origin(origin.text) == origin && origin.isServed(host: origin.authority), "origin")
        }
        if let address = ClientAddress(text) {
            try demand(ClientAddress(address.description) == address, "address")
        }
        if let id = SenderID(text) { try demand(SenderID(id.key) == id && !id.text.contains("|"), "sender") }
        if let id = RequestID(text) { try demand(RequestID(id.text) == id, "request") }
        let cleaned = cleanDeviceText(text, maximumScalars: 100)
        try demand(cleanDeviceText(cleaned, maximumScalars: 100) == cleaned, "what is clean stays as it is")
    }
}
