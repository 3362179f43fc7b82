import PairingCore

/// The `connect` of OpenClaw's dialect, as far as it is read.
struct OpenClawConnect: Sendable, Equatable {
    /// Why one can't be.
    struct Failure: Error, Equatable {
        var message: String
        var details: [String: JSONValue]
        var close = CloseCode.policyViolation

        init(_ message: String, _ code: String, _ details: [String: JSONValue] = [:]) {
            self.message = message
            self.details = details.merging(["code": .string(code)]) { $1 }
        }
    }

    /// The versions that are spoken.
    static let versions: ClosedRange<Int64> = 3...4
    /// A secret that could be guessed is none.
    static let shortestSecret = 32

    var version: Int64
    var role: String
    var scopes: [String]
    /// The device: a key's, or a secret's.
    var senderID: SenderID
    /// What the client calls itself: the sender ID without what this server puts behind it.
    var deviceID: String { OpenClawStatement.deviceID(of: senderID) }
    var claim: PairingClaim
    var identity: DeviceIdentity
    /// Whether a token came along that a server could have given.
    var bringsToken: Bool

    /// - Parameter secretDevice: whose secret that is, for clients that have no key.
    init(
        _ parameters: [String: JSONValue], channel: ChannelID,
        secretDevice: (String) -> (token: DeviceToken, senderID: SenderID)?
    ) throws(Failure) {
        version = try Self.version(parameters)
        let client = parameters["client"]
        let text = { (name: String) in client?[name]?.string ?? "" }
        role = parameters["role"]?.string ?? "operator"
        guard role == "operator" || role == "node" else {
            throw Failure("invalid role", "INVALID_ROLE")
        }
        guard case .array(let scopes) = parameters["scopes"] ?? .array([]) else {
            throw Failure("scopes: expected an array", "INVALID_PARAMS")
        }
        self.scopes = scopes.compactMap(\.string)
        let auth = parameters["auth"]
        let tokens = ["token", "deviceToken", "bootstrapToken"].compactMap { auth?[$0]?.string }
        let token = tokens.first ?? ""
        bringsToken = tokens.contains { Base64URL.decode($0, count: 32) != nil }
        let credential: ClaimedCredential
        let evidence: Evidence
        if let device = parameters["device"], device != .null {
            let (key, proof) = try Self.proof(
                device, clientID: text("id"), clientMode: text("mode"), role: role, scopes: self.scopes,
                token: token, platform: text("platform"), deviceFamily: text("deviceFamily"))
            guard let id = device["id"]?.string,
                let senderID = SenderID(role == "node" ? id + OpenClawStatement.nodeSuffix : id)
            else {
                throw Failure("device identity mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH")
            }
            self.senderID = senderID
            credential = .key(key, proof)
            evidence = .proof(proof)
        } else {
            guard !token.isEmpty else {
                throw Failure("device identity required", "DEVICE_IDENTITY_REQUIRED")
            }
            guard token.utf8.count >= Self.shortestSecret, let known = secretDevice(token) else {
                throw Failure(
                    "unauthorized: gateway token mismatch (a client without a device key needs a token of its own of "
                        + "\(Self.shortestSecret) characters or more)", "AUTH_TOKEN_MISMATCH",
                    [
                        "authReason": .string("token_mismatch"),
                        "recommendedNextStep": .string("update_auth_credentials"),
                    ])
            }
            senderID = known.senderID
            credential = .token(known.token)
            evidence = .token(known.token)
        }
        let name = text("displayName").isEmpty ? text("id") : text("displayName")
        claim = PairingClaim(
            channel: channel, senderID: senderID, credential: credential,
            displayName: String(name.prefix(64)), metadata: Self.metadata(parameters, role: role))
        identity = DeviceIdentity(channel: channel, senderID: senderID, evidence: evidence)
    }

    private static func version(_ parameters: [String: JSONValue]) throws(Failure) -> Int64 {
        let least = parameters["minProtocol"]?.wholeNumber ?? versions.lowerBound
        let most = parameters["maxProtocol"]?.wholeNumber ?? least
        for version in versions.reversed() where least <= version && version <= most { return version }
        var failure = Failure(
            "protocol mismatch", "PROTOCOL_MISMATCH",
            [
                "clientMinProtocol": .integer(least), "clientMaxProtocol": .integer(most),
                "expectedProtocol": .integer(versions.upperBound),
            ])
        failure.close = .protocolError
        throw failure
    }

    private static func proof(
        _ device: JSONValue, clientID: String, clientMode: String, role: String, scopes: [String],
        token: String, platform: String, deviceFamily: String
    ) throws(Failure) -> (PublicKey, Proof) {
        guard let key = device["publicKey"]?.string.flatMap({ PublicKey(canonical($0)) }) else {
            throw Failure("device public key invalid", "DEVICE_AUTH_PUBLIC_KEY_INVALID")
        }
        guard let nonce = device["nonce"]?.string, !nonce.isEmpty else {
            throw Failure("device nonce required", "DEVICE_AUTH_NONCE_REQUIRED")
        }
        guard let signedAt = device["signedAt"]?.wholeNumber, signedAt >= 0,
            signedAt <= Parameters.greatestExactInteger,
            let signature = device["signature"]?.string.flatMap({
                Base64URL.decode(canonical($0), count: 64)
            }),
            let statement = OpenClawStatement(
                deviceID: device["id"]?.string ?? "", clientID: clientID, clientMode: clientMode, role: role,
                scopes: scopes, signedAt: signedAt, token: token, nonce: nonce, platform: platform,
                deviceFamily: deviceFamily)
        else { throw Failure("device signature invalid", "DEVICE_AUTH_SIGNATURE_INVALID") }
        return (
            key,
            Proof(
                signature: signature, signedAt: Timestamp(milliseconds: signedAt), nonce: nonce,
                foreignTexts: statement.texts)
        )
    }

    /// Base64 of either alphabet, padded or not, in the spelling of this server.
    private static func canonical(_ text: String) -> String {
        var result = text.replacing("+", with: "-").replacing("/", with: "_")
        while result.hasSuffix("=") { result.removeLast() }
        return result
    }

    /// What the client says of itself, for its channel to check. Longer texts and lists are cut: nobody could make such a
    /// client say less.
    private static func metadata(_ parameters: [String: JSONValue], role: String) -> JSONValue {
        let client = parameters["client"]
        var told: [String: JSONValue] = [:]
        for name in ["id", "version", "platform", "mode", "deviceFamily", "modelIdentifier"] {
            guard let text = client?[name]?.string, !text.isEmpty else { continue }
            told[name] = .string(String(text.prefix(128)))
        }
        if told["id"] == nil { told["id"] = .string("unknown") }
        var metadata: [String: JSONValue] = ["client": .object(told), "role": .string(role)]
        for name in ["caps", "commands"] {
            guard case .array(let values)? = parameters[name], !values.isEmpty else { continue }
            metadata[name] = .array(values.prefix(128).filter { $0.string != nil })
        }
        return .object(metadata)
    }
}
