import NIOHTTP1
import NodesProtocol
import PairingCore
import Traces

/// A request of a device that speaks HTTP, as far as its head says; under ``DeviceHTTPRequest/prefix``.
struct DeviceHTTPRequest: Sendable, Equatable {
    /// What is asked for.
    enum Call: Sendable, Equatable {
        /// `POST /v1/chat/completions`
        case complete
        /// `GET /v1/models`
        case listModels
        /// `GET /v1/models/NAME`
        case findModel(String)
    }

    /// What the paths of such requests begin with.
    static let prefix = "/v1/"
    /// The field that names the message, so that a repeat is the same message.
    static let messageIDField = "idempotency-key"

    var call: Call
    var address: ClientAddress
    /// The device's token; `nil` where there is none, or something else.
    var token: DeviceToken?
    /// The device's name of the message.
    var messageID: String?
    /// What the request is a part of.
    var trace: TraceParent?

    /// Reads a head whose path is under ``prefix``.
    ///
    /// - Throws: the answer, in the interface's own form.
    init(_ head: HTTPRequestHead, path: String, address: ClientAddress) throws(HTTPRefusal) {
        self.address = address
        trace = TraceParent(head)
        let models = "models/"
        let name = String(path.dropFirst(Self.prefix.count))
        switch (head.method, name) {
        case (.POST, "chat/completions"): call = .complete
        case (.GET, "models"): call = .listModels
        case (.GET, _) where name.hasPrefix(models) && name.utf8.count > models.utf8.count:
            call = .findModel(Self.unescaped(name.dropFirst(models.count)))
        case (_, "chat/completions"): throw .only("POST")
        case (_, "models"): throw .only("GET")
        default: throw HTTPRefusal(.noSuchPath)
        }
        token = Self.bearer(head.headers["authorization"])
        let names = head.headers[Self.messageIDField]
        if names.isEmpty { return }
        guard names.count == 1, (1...DeviceRequest.maximumMessageIDLength).contains(names[0].utf8.count),
            names[0].utf8.allSatisfy({ (33...126).contains($0) })
        else { throw HTTPRefusal(.badMessageID) }
        messageID = names[0]
    }

    /// The token of `Authorization: Bearer TOKEN` (RFC 6750 §2.1).
    private static func bearer(_ fields: [String]) -> DeviceToken? {
        guard fields.count == 1 else { return nil }
        let words = fields[0].split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
        return DeviceToken(String(words[1]))
    }

    /// Undoes percent escapes; what is none stays.
    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A refusal as an HTTP answer of the interface.
struct HTTPRefusal: Error, Equatable {
    let answer: HTTPAnswer

    /// An answer that is made already.
    init(answer: HTTPAnswer) { self.answer = answer }

    /// - Parameters:
    ///   - status: where it is not the one of the refusal's code.
    ///   - allow: the method that is served.
    init(_ refusal: Refusal, _ status: HTTPResponseStatus? = nil, allow: String? = nil) {
        var fields: [String: String] = [:]
        fields["Allow"] = allow
        fields["Retry-After"] = refusal.retryAfterSeconds.map(String.init)
        // Clients repeat a 5xx by themselves, unless they are told not to.
        if refusal.chatCompletionsStatus >= 500, !refusal.retryable { fields["X-Should-Retry"] = "false" }
        if refusal.code == .unauthorized { fields["WWW-Authenticate"] = "Bearer" }
        answer = HTTPAnswer(
            status ?? HTTPResponseStatus(statusCode: refusal.chatCompletionsStatus),
            refusal.chatCompletionsBody, contentType: "application/json", fields: fields)
    }
}

extension HTTPRefusal {
    fileprivate static func only(_ method: String) -> HTTPRefusal {
        HTTPRefusal(
            Refusal(.methodNotAllowed, "Only \(method) is served here."),
            .methodNotAllowed, allow: method)
    }
}

extension Refusal {
    fileprivate static let noSuchPath = Refusal(.unknownPath)

    fileprivate static let badMessageID = Refusal(
        .badParameter,
        "Idempotency-Key: expected 1 to \(DeviceRequest.maximumMessageIDLength) visible ASCII characters, once.",
        details: ["parameter": .string("Idempotency-Key")])
}
