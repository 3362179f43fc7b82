import PairingCore

/// A request as a client sends it: `{"type":"req","id","method","params"}`.
public struct RequestFrame: Sendable, Equatable {
    /// The longest request identifier in bytes.
    public static let maximumIDLength = 128

    /// What the response repeats.
    public var id: String
    /// The method's name; it may be unknown.
    public var method: String
    /// The parameters: an object's members, none where `params` is missing.
    public var parameters: [String: JSONValue]

    /// Wraps the parts.
    public init(id: String, method: String, parameters: [String: JSONValue] = [:]) {
        self.id = id
        self.method = method
        self.parameters = parameters
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
        let value: JSONValue
        do {
            value = try JSONValue(parsing: text)
        } catch {
            throw FrameRefusal(
                id: nil, refusal: .frame("not_json", "The frame is not acceptable JSON: \(error)."))
        }
        guard case .object(let members) = value else {
            throw FrameRefusal(id: nil, refusal: .frame("not_an_object", "The frame is not a JSON object."))
        }
        guard let id = members["id"]?.string, (1...Self.maximumIDLength).contains(id.utf8.count) else {
            throw FrameRefusal(
                id: nil,
                refusal: .frame(
                    "bad_id",
                    "id: expected a string of 1 to \(Self.maximumIDLength) bytes, chosen by the client."))
        }
        guard members["type"] == .string("req") else {
            throw FrameRefusal(
                id: id,
                refusal: .frame("unknown_type", "type: expected \"req\"; clients send only requests."))
        }
        guard let method = members["method"]?.string else {
            throw FrameRefusal(
                id: id, refusal: .frame("bad_method", "method: expected a method's name, a string."))
        }
        guard !value.containsNUL else {
            throw FrameRefusal(
                id: id,
                refusal: .frame("nul", "A string of the frame holds NUL (U+0000), which is not accepted."))
        }
        switch members["params"] {
        case nil, .null: self.init(id: id, method: method)
        case .object(let parameters): self.init(id: id, method: method, parameters: parameters)
        default:
            throw FrameRefusal(id: id, refusal: .frame("bad_params", "params: expected an object."))
        }
    }
}

extension Refusal {
    fileprivate static func frame(_ reason: String, _ message: String) -> Refusal {
        Refusal(.invalidRequest, reason, message)
    }
}
