import PairingCore

/// A request as a client sends it: `{"type":"req","id","method","params"}`.
public struct RequestFrame: Sendable, Equatable {
    /// The longest request identifier in bytes.
    public static let maximumIDLength = 128

    /// What the response repeats.
    public var id: String
    /// The method's name; it may be unknown.
    public var method: String
    /// The parameters: an object's members, none where `params` is missing. One that was read lacks `message`.
    public var parameters: [String: JSONValue]
    /// The parameter `message`, unless it is `null`, as compact JSON in the client's own spelling and order, as agents get it; `nil`
    /// where there is none.
    public var message: String?

    /// Wraps the parts.
    ///
    /// - Parameter message: left out for the spelling of this package.
    public init(
        id: String, method: String, parameters: [String: JSONValue] = [:], message: String? = nil
    ) {
        self.id = id
        self.method = method
        self.parameters = parameters
        self.message = message ?? parameters["message"].flatMap { $0 == .null ? nil : $0.text }
    }
}

extension RequestFrame {
    /// The parameter `message` where it is a text that is not empty, as the JSON string that it came as.
    var spokenMessage: String? {
        message.flatMap { $0.utf8.first == UInt8(ascii: "\"") && $0.utf8.count > 2 ? $0 : nil }
    }
}

/// Why a text frame is not a request.
public struct FrameRefusal: Error, Sendable, Equatable {
    /// The request's identifier where it could be read, so that the answer finds its request.
    public var id: String?
    /// What to answer.
    public var refusal: Refusal

    /// Wraps the two.
    public init(id: String?, refusal: Refusal) {
        self.id = id
        self.refusal = refusal
    }
}

extension RequestFrame {
    /// Reads the text of one frame; the caller bounds its size.
    ///
    /// Unknown keys are ignored.
    ///
    /// - Throws: ``FrameRefusal`` whose code is `INVALID_REQUEST`, for anything that is not a request.
    public init(parsing text: some Sequence<UInt8>) throws(FrameRefusal) {
        let document = JSONDocument(reading: text, excerpting: ["params", "message"])
        let value: JSONValue
        do {
            value = try document.result.get()
        } catch {
            throw FrameRefusal(
                id: document.head["id"].flatMap { Self.isID($0) ? $0 : nil },
                refusal: Refusal(
                    .notJSON, "The frame is not acceptable JSON: \(error).",
                    details: ["offset": .integer(Int64(error.offset))]))
        }
        guard case .object(let members) = value else {
            throw FrameRefusal(
                id: nil,
                refusal: Refusal(
                    .notAnObject,
                    "The frame is \(value.told()); expected a JSON object such as {\"type\":\"req\",\"id\":\"1\","
                        + "\"method\":\"health\"}."))
        }
        func found(_ name: String) -> String { members[name].map { "got \($0.told())" } ?? "missing" }
        guard let id = members["id"]?.string, Self.isID(id) else {
            throw FrameRefusal(
                id: nil,
                refusal: Refusal(
                    .badID,
                    "id: \(found("id")); expected a string of 1 to \(Self.maximumIDLength) bytes, chosen by the client."
                ))
        }
        guard members["type"] == .string("req") else {
            throw FrameRefusal(
                id: id,
                refusal: Refusal(
                    .unknownType, "type: \(found("type")); expected \"req\", as clients send only requests."
                ))
        }
        guard let method = members["method"]?.string else {
            throw FrameRefusal(
                id: id,
                refusal: Refusal(
                    .badMethod, "method: \(found("method")); expected a method's name, a string."))
        }
        if let offset = document.offsetOfNUL {
            throw FrameRefusal(
                id: id,
                refusal: Refusal(
                    .nul, "The string at byte \(offset) holds NUL (U+0000), which is not accepted.",
                    details: ["offset": .integer(Int64(offset))]))
        }
        switch members["params"] {
        case nil, .null: self.init(id: id, method: method)
        case .object(let parameters):
            self.init(
                id: id, method: method, parameters: parameters,
                message: document.excerpt.flatMap { $0 == "null" ? nil : $0 })
        default:
            throw FrameRefusal(
                id: id, refusal: Refusal(.badParams, "params: \(found("params")); expected an object."))
        }
    }

    private static func isID(_ text: String) -> Bool {
        (1...maximumIDLength).contains(text.utf8.count) && !text.utf8.contains(0)
    }
}
