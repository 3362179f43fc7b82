import Cryptography
import PairingCore

/// What the device proves itself by. The kind is fixed by its pairing request.
package enum DeviceCredential: Sendable {
    /// A key pair; only signatures leave the device.
    case key(Ed25519PrivateKey)
    /// 32 random bytes, sent with every `connect`.
    case token(DeviceToken)

    /// A new key pair.
    package static func makeKey() throws(CryptographyError) -> Self { .key(try Ed25519PrivateKey()) }

    /// A new token.
    package static func makeToken() throws(CryptographyError) -> Self {
        guard let token = DeviceToken(bytes: try randomBytes(count: 32)) else {
            preconditionFailure("32 random bytes are 32 bytes")
        }
        return .token(token)
    }

    /// Whether a nonce of the server is needed before anything can be proven.
    package var needsChallenge: Bool {
        switch self {
        case .key: true
        case .token: false
        }
    }
}

/// Who the device is, for the whole life of the program.
package struct DeviceIdentity: Sendable {
    /// The kind of device.
    package var channel: ChannelID
    /// The device's identifier.
    package var senderID: SenderID
    /// What was dialled; what a proof is signed for.
    package var origin: Origin
    /// What the device proves itself by.
    package var credential: DeviceCredential
    /// The name shown to the administrator; may be empty.
    package var displayName: String
    /// What the device says of itself: an object.
    package var metadata: JSONValue

    package init(
        channel: ChannelID, senderID: SenderID, origin: Origin, credential: DeviceCredential,
        displayName: String = "", metadata: JSONValue = .object([:])
    ) {
        self.channel = channel
        self.senderID = senderID
        self.origin = origin
        self.credential = credential
        self.displayName = displayName
        self.metadata = metadata
    }

    /// The parameters that prove the device for a purpose.
    ///
    /// - Parameter challenge: this socket's nonce and the server's time when it made it. That time is what is
    ///   signed, so a device whose own clock is wrong is still believed. A token needs none.
    /// - Throws: only where libcrypto fails.
    package func parameters(
        for purpose: ProofPurpose, challenge: Challenge?
    ) throws(CryptographyError) -> [String: JSONValue] {
        var parameters: [String: JSONValue] = [
            "channel": .string(channel.text), "senderId": .string(senderID.text),
        ]
        switch (credential, challenge) {
        case (.token(let token), _): parameters["deviceToken"] = .string(token.text)
        case (.key, nil): break
        case (.key(let key), let challenge?):
            guard let publicKey = PublicKey(bytes: key.publicKey.rawRepresentation) else { break }
            let statement = ProofStatement(
                purpose: purpose, origin: origin, channel: channel, senderID: senderID, key: publicKey,
                signedAt: challenge.time, nonce: challenge.nonce)
            if purpose == .pair { parameters["publicKey"] = .string(publicKey.text) }
            parameters["proof"] = .object([
                "signature": .string(Base64URL.encode(try key.sign(Array(statement.text.utf8)))),
                "signedAt": .integer(challenge.time.milliseconds),
                "nonce": .string(challenge.nonce),
            ])
        }
        if purpose == .pair {
            if !displayName.isEmpty { parameters["displayName"] = .string(displayName) }
            if metadata != .object([:]) { parameters["metadata"] = metadata }
        }
        return parameters
    }
}

/// The payload of `device.challenge`.
package struct Challenge: Equatable, Sendable {
    /// Good for one proof on this socket.
    package var nonce: String
    /// The server's time when it made the nonce.
    package var time: Timestamp

    package init(nonce: String, time: Timestamp) {
        self.nonce = nonce
        self.time = time
    }

    /// - Returns: `nil` where the payload is not one.
    package init?(payload: JSONValue) {
        guard let nonce = payload["nonce"]?.string, case .integer(let time) = payload["ts"] else {
            return nil
        }
        self.init(nonce: nonce, time: Timestamp(milliseconds: time))
    }
}
