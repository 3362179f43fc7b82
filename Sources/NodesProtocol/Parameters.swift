import PairingCore

/// Reads the parameters of one request; every error names the parameter and what was expected.
struct Parameters {
    private let members: [String: JSONValue]

    init(_ members: [String: JSONValue]) { self.members = members }

    /// Whether the parameter is there; `null` counts as absent.
    func has(_ name: String) -> Bool { value(name) != nil }

    /// The parameter, whatever it is; `nil` where it is absent or `null`.
    func value(_ name: String) -> JSONValue? {
        guard let value = members[name], value != .null else { return nil }
        return value
    }

    /// A parameter that must be there and be a string that `read` accepts.
    ///
    /// - Parameter isSecret: whether a refusal must not repeat what came (I9).
    func require<Value>(
        _ name: String, _ expected: String, isSecret: Bool = false, _ read: (String) -> Value?
    ) throws(Refusal) -> Value {
        guard let value = try optional(name, expected, isSecret: isSecret, read) else {
            throw Self.refusal(name, "missing; expected \(expected)")
        }
        return value
    }

    /// A parameter that may be absent, and else must be a string that `read` accepts.
    ///
    /// - Parameter isSecret: whether a refusal must not repeat what came (I9).
    func optional<Value>(
        _ name: String, _ expected: String, isSecret: Bool = false, _ read: (String) -> Value?
    ) throws(Refusal) -> Value? {
        guard let value = value(name) else { return nil }
        guard let text = value.string, let result = read(text) else {
            throw Self.refusal(name, "expected \(expected); got \(value.told(isSecret: isSecret))")
        }
        return result
    }

    /// A whole number, however it is spelt, that may be absent and else must be within `range`.
    func integer(_ name: String, in range: ClosedRange<Int64>) throws(Refusal) -> Int64? {
        guard let value = value(name) else { return nil }
        guard let number = value.wholeNumber, range.contains(number) else {
            let hasFraction = value.wholeNumber == nil && value.double.map { $0.magnitude < 0x1p63 } ?? false
            throw Self.refusal(
                name,
                "expected a whole number from \(range.lowerBound) to \(range.upperBound)"
                    + (hasFraction ? ", not a fraction" : "") + "; got \(value.told())")
        }
        return number
    }

    /// An object that may be absent.
    func object(_ name: String) throws(Refusal) -> [String: JSONValue]? {
        guard let value = value(name) else { return nil }
        guard case .object(let members) = value else {
            throw Self.refusal(name, "expected an object; got \(value.told())")
        }
        return members
    }

    /// An `INVALID_REQUEST` that names the parameter.
    static func refusal(_ name: String, _ problem: String) -> Refusal {
        Refusal(.badParameter, "\(name): \(problem).", details: ["parameter": .string(name)])
    }
}

extension Parameters {
    func channel() throws(Refusal) -> ChannelID {
        try require("channel", "a channel's name, [a-z][a-z0-9_-]{0,31}", ChannelID.init)
    }

    func senderID() throws(Refusal) -> SenderID {
        try require("senderId", "the device's identifier, [A-Za-z0-9][A-Za-z0-9._:@-]{0,127}", SenderID.init)
    }

    func requestID() throws(Refusal) -> RequestID {
        try require("requestId", "the request's identifier, a UUID", RequestID.init)
    }

    func code() throws(Refusal) -> PairingCode? {
        try optional(
            "code", "8 characters of ABCDEFGHJKLMNPQRSTUVWXYZ23456789, such as XXXX-XXXX", PairingCode.init)
    }

    /// The proof, where there is one.
    func proof() throws(Refusal) -> Proof? {
        guard let members = try object("proof") else { return nil }
        let parts = Parameters(members.reduce(into: [:]) { $0["proof." + $1.key] = $1.value })
        let signature = try parts.require(
            "proof.signature", "an Ed25519 signature, base64url of 64 bytes", isSecret: true
        ) {
            Base64URL.decode($0, count: 64)
        }
        guard let signedAt = try parts.integer("proof.signedAt", in: 0...Self.greatestExactInteger) else {
            throw Self.refusal("proof.signedAt", "missing; expected milliseconds since the epoch")
        }
        let nonce = try parts.require(
            "proof.nonce", "this socket's nonce, base64url of 32 bytes", isSecret: true
        ) {
            Base64URL.decode($0, count: 32) == nil ? nil : $0
        }
        return Proof(signature: signature, signedAt: Timestamp(milliseconds: signedAt), nonce: nonce)
    }

    /// The device's token, where there is one.
    func deviceToken() throws(Refusal) -> DeviceToken? {
        try optional(
            "deviceToken", "base64url of 32 bytes, without padding", isSecret: true, DeviceToken.init)
    }

    /// What a known device proves itself with: exactly one of `proof` and `deviceToken`.
    func evidence() throws(Refusal) -> Evidence {
        let proof = try proof()
        let token = try deviceToken()
        switch (proof, token) {
        case (let proof?, nil): return .proof(proof)
        case (nil, let token?): return .token(token)
        case (nil, nil): throw Self.refusal("proof", "missing; expected proof or deviceToken")
        case (.some, .some): throw Self.refusal("proof", "expected either proof or deviceToken, not both")
        }
    }

    /// What a pairing request is bound to.
    func claimedCredential() throws(Refusal) -> ClaimedCredential {
        let key = try optional(
            "publicKey", "an Ed25519 key, base64url of 32 bytes", isSecret: true, PublicKey.init)
        let proof = try proof()
        let token = try deviceToken()
        switch (key, proof, token) {
        case (let key?, let proof?, nil): return .key(key, proof)
        case (nil, nil, let token?): return .token(token)
        case (nil, nil, nil): return .none
        case (.some, nil, _):
            throw Self.refusal("proof", "missing; a publicKey needs a proof with purpose pair")
        case (nil, .some, _): throw Self.refusal("publicKey", "missing; a proof needs the key it is for")
        case (.some, .some, .some):
            throw Self.refusal("deviceToken", "expected either publicKey with proof or deviceToken, not both")
        }
    }

    /// 2^53 - 1: the greatest whole number every JSON reader keeps exactly (RFC 8259 §6).
    static let greatestExactInteger: Int64 = 9_007_199_254_740_991
}

extension JSONValue {
    /// What came, in a few words for a refusal.
    ///
    /// - Parameter isSecret: whether a text is told by its length alone.
    func told(isSecret: Bool = false) -> String {
        switch self {
        case .null, .bool, .integer, .number: text
        case .numeral(let text): String(text.prefix(40)) + (text.utf8.count > 40 ? "…" : "")
        case .string(let text) where isSecret || text.utf8.count > 200: "a string of \(text.utf8.count) bytes"
        case .string(let text): quoted(text)
        case .array: "a list"
        case .object: "an object"
        }
    }
}
