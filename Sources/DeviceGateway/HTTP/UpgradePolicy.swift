import NIOCore
import NIOHTTP1
import PairingCore
import Traces

/// An HTTP answer, whole and small.
public struct HTTPAnswer: Sendable, Equatable {
    /// The status.
    public var status: HTTPResponseStatus
    /// The body's type.
    public var contentType: String
    /// The body.
    public var body: String
    /// Further header fields, name and value.
    public var fields: [String: String]

    /// Wraps the parts.
    public init(
        _ status: HTTPResponseStatus, _ body: String,
        contentType: String = "text/plain; charset=utf-8", fields: [String: String] = [:]
    ) {
        self.status = status
        self.body = body
        self.contentType = contentType
        self.fields = fields
    }
}

/// What an accepted upgrade says of its client.
public struct UpgradeRequest: Sendable, Equatable {
    /// The client's address.
    public var address: ClientAddress
    /// The origins the client can have dialled, by its `Host`; a proof names one of them.
    public var origins: [Origin]
    /// Whether the client asked for the server's subprotocol and was granted it.
    public var usesSubprotocol: Bool
    /// What is spoken, by the path.
    public var dialect = DialectName.nodes
    /// What the upgrade is a part of.
    package var trace: TraceParent?
}

/// Which requests become WebSockets (RFC 6455 §4.2), and what the others are told.
public struct UpgradePolicy: Sendable {
    /// The path that upgrades to this server's own dialect; `nil` for none.
    public var path: String?
    /// Paths that upgrade to OpenClaw's. A page's request of one goes the way of all pages.
    public var openClawPaths: Set<String> = []
    /// Paths of dialects that are left out: who asks one for an upgrade is told so.
    public var unservedPaths: Set<String> = []
    /// Which `Host` is served and which `Origin` may upgrade; `nil` serves every client, for test servers.
    public var origins: OriginPolicy?
    /// The subprotocol granted to clients that offer it.
    public var subprotocol: String?
    /// Whose address a client has that came without nginx, for test servers; `nil` refuses such a client.
    public var directAddress: ClientAddress?
    /// Told what nginx sent where a client's address was expected; called on an event loop.
    public var onNoAddress: @Sendable (String) -> Void = { _ in }

    /// Wraps the parts.
    public init(
        path: String?, origins: OriginPolicy?, subprotocol: String? = nil, directAddress: ClientAddress? = nil
    ) {
        self.path = path
        self.origins = origins
        self.subprotocol = subprotocol
        self.directAddress = directAddress
    }

    enum Decision: Equatable {
        /// The upgrade is granted.
        case upgrade(UpgradeRequest)
        /// The answer to a request for this path that may not upgrade.
        case refuse(HTTPAnswer)
        /// A GET of another path.
        case page(String)
        /// A device's request over HTTP.
        case exchange(DeviceHTTPRequest)
        /// A request of a program that uses tools.
        case tools(ToolRequest)
    }

    func decide(_ head: HTTPRequestHead) -> Decision {
        let path = String(head.uri.prefix { $0 != "?" })
        if path == ToolRequest.path || path.hasPrefix(DeviceHTTPRequest.prefix) {
            return exchange(head, path)
        }
        guard head.method == .GET else {
            return .refuse(
                HTTPAnswer(
                    .methodNotAllowed,
                    "The method \(quoted(head.method.rawValue)) is not served here; expected GET.\n",
                    fields: ["Allow": "GET"]))
        }
        let asksForUpgrade = has(head, "upgrade", "websocket")
        if asksForUpgrade, unservedPaths.contains(path) {
            return .refuse(
                HTTPAnswer(
                    .notFound,
                    "No dialect that is served here has its WebSocket at \(path): gateway.dialects names those that are.\n"
                ))
        }
        let isOpenClaw = openClawPaths.contains(path) && asksForUpgrade
        guard path == self.path || isOpenClaw else { return .page(path) }
        let dialled: [Origin]
        let address: ClientAddress
        do throws(RefusedRequest) {
            dialled = try self.dialled(head)
            if let refusal = handshakeRefusal(head) ?? originRefusal(head) { return .refuse(refusal) }
            address = try client(head)
        } catch {
            return .refuse(error.answer)
        }
        return .upgrade(
            UpgradeRequest(
                address: address, origins: dialled,
                usesSubprotocol: !isOpenClaw && offersSubprotocol(head),
                dialect: isOpenClaw ? .openclaw : .nodes, trace: TraceParent(head)))
    }

    /// A request that is answered with a refusal.
    private struct RefusedRequest: Error {
        let answer: HTTPAnswer
    }

    /// A device's or a program's request over HTTP; a browser's page of another origin may not make any, as it may not post.
    private func exchange(_ head: HTTPRequestHead, _ path: String) -> Decision {
        do throws(RefusedRequest) {
            _ = try dialled(head)
            if let origins, let field = head.headers["origin"].first, !origins.allows(originHeader: field) {
                throw RefusedRequest(
                    answer: HTTPAnswer(.forbidden, origins.upgradeRefusal(originHeader: field) + "\n"))
            }
            let address = try client(head)
            do throws(HTTPRefusal) {
                return path == ToolRequest.path
                    ? .tools(try ToolRequest(head, address: address))
                    : .exchange(try DeviceHTTPRequest(head, path: path, address: address))
            } catch {
                return .refuse(error.answer)
            }
        } catch {
            return .refuse(error.answer)
        }
    }

    /// What the client can have dialled.
    private func dialled(_ head: HTTPRequestHead) throws(RefusedRequest) -> [Origin] {
        let hosts = head.headers["host"]
        guard hosts.count == 1 else {
            throw RefusedRequest(
                answer: HTTPAnswer(
                    .badRequest, "The header Host came \(hosts.count) times; expected it once.\n"))
        }
        guard let origins else { return [] }
        let dialled = origins.dialled(host: hosts[0])
        if dialled.isEmpty {
            throw RefusedRequest(
                answer: HTTPAnswer(.misdirectedRequest, origins.hostRefusal(host: hosts[0]) + "\n"))
        }
        return dialled
    }

    private func client(_ head: HTTPRequestHead) throws(RefusedRequest) -> ClientAddress {
        if let address = address(head) { return address }
        let sent = head.headers["x-real-ip"].joined(separator: ", ")
        onNoAddress(sent)
        throw RefusedRequest(
            answer: HTTPAnswer(.badRequest, "X-Real-IP: \(ClientAddress.absence(sent: sent))\n"))
    }

    private func handshakeRefusal(_ head: HTTPRequestHead) -> HTTPAnswer? {
        guard head.version == .http1_1, has(head, "upgrade", "websocket"), has(head, "connection", "upgrade")
        else {
            return HTTPAnswer(
                .upgradeRequired,
                "This is a WebSocket: connect with a WebSocket client. Expected HTTP/1.1 with Upgrade: websocket and "
                    + "Connection: upgrade; a proxy in between has to pass both on.\n",
                fields: ["Upgrade": "websocket", "Connection": "upgrade"])
        }
        guard head.headers["sec-websocket-version"] == ["13"] else {
            return HTTPAnswer(
                .upgradeRequired,
                "The header Sec-WebSocket-Version says \(told(head, "sec-websocket-version")); expected 13.\n",
                fields: ["Sec-WebSocket-Version": "13", "Upgrade": "websocket", "Connection": "upgrade"])
        }
        let keys = head.headers["sec-websocket-key"]
        guard keys.count == 1, Self.isKey(keys[0]) else {
            return HTTPAnswer(
                .badRequest,
                "The header Sec-WebSocket-Key says \(told(head, "sec-websocket-key")); expected the base64 of 16 bytes, "
                    + "once.\n")
        }
        return nil
    }

    private func originRefusal(_ head: HTTPRequestHead) -> HTTPAnswer? {
        let fields = head.headers["origin"]
        guard let origins else { return nil }
        guard fields.count <= 1 else {
            return HTTPAnswer(.forbidden, "The header Origin came \(fields.count) times; expected it once.\n")
        }
        guard let field = fields.first, !origins.allowsUpgrade(originHeader: field) else { return nil }
        return HTTPAnswer(.forbidden, origins.upgradeRefusal(originHeader: field) + "\n")
    }

    /// Only nginx can reach the socket, and it overwrites what a client says here.
    private func address(_ head: HTTPRequestHead) -> ClientAddress? {
        let fields = head.headers["x-real-ip"]
        if fields.isEmpty { return directAddress }
        return fields.count == 1 ? ClientAddress(fields[0]) : nil
    }

    private func offersSubprotocol(_ head: HTTPRequestHead) -> Bool {
        guard let subprotocol else { return false }
        return head.headers[canonicalForm: "sec-websocket-protocol"].contains { $0 == subprotocol }
    }

    /// A header's values, for an answer that refuses them.
    private func told(_ head: HTTPRequestHead, _ name: String) -> String {
        let values = head.headers[name]
        return values.isEmpty ? "nothing" : values.map { quoted($0) }.joined(separator: " and ")
    }

    private func has(_ head: HTTPRequestHead, _ name: String, _ token: String) -> Bool {
        head.headers[canonicalForm: name].contains { $0.lowercased() == token }
    }

    /// 24 characters of base64 that stand for 16 bytes (RFC 6455 §4.1).
    private static func isKey(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count == 24, bytes.suffix(2) == [61, 61] else { return false }
        return bytes.dropLast(2).allSatisfy {
            switch $0 {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }
}

extension TraceParent {
    /// What nginx passes on of the client's, or makes; more than one are none (W3C Trace Context, §4.3).
    init?(_ head: HTTPRequestHead) {
        let fields = head.headers["traceparent"]
        guard fields.count == 1 else { return nil }
        self.init(header: fields[0])
    }
}
