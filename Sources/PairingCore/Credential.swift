/// An Ed25519 public key (RFC 8032 §5.1.5): 32 bytes, base64url without padding on the wire.
public struct PublicKey: Sendable, Hashable {
    /// The raw 32 bytes.
    public let bytes: [UInt8]

    /// - Returns: `nil` where there are not 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// - Returns: `nil` where the text is not base64url of 32 bytes.
    public init?(_ text: String) {
        guard let bytes = Base64URL.decode(text, count: 32) else { return nil }
        self.bytes = bytes
    }

    /// The key as it travels.
    public var text: String { Base64URL.encode(bytes) }
}

/// A device's secret of 32 random bytes, for devices that hold no key pair.
///
/// Its description hides it; only its hash is stored (I9).
public struct DeviceToken: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The raw 32 bytes.
    public let bytes: [UInt8]

    /// - Returns: `nil` where there are not 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// - Returns: `nil` where the text is not base64url of 32 bytes.
    public init?(_ text: String) {
        guard let bytes = Base64URL.decode(text, count: 32) else { return nil }
        self.bytes = bytes
    }

    /// The token as it travels.
    public var text: String { Base64URL.encode(bytes) }

    /// Never the token.
    public var description: String { "DeviceToken(…)" }

    /// Never the token.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A device's proof that it holds a private key: the parameters `signature`, `signedAt` and `nonce`.
public struct Proof: Sendable, Equatable {
    /// The Ed25519 signature: 64 bytes.
    public let signature: [UInt8]
    /// When the device says it signed.
    public let signedAt: Timestamp
    /// The socket's nonce in base64url, as it was signed.
    public let nonce: String
    /// What may have been signed, where that is another dialect's statement, which names its device by the hash of its key
    /// and no origin; empty for this protocol's own.
    public let foreignTexts: [String]

    /// Wraps the parts.
    public init(signature: [UInt8], signedAt: Timestamp, nonce: String, foreignTexts: [String] = []) {
        self.signature = signature
        self.signedAt = signedAt
        self.nonce = nonce
        self.foreignTexts = foreignTexts
    }
}

/// What a proof is good for; a proof for one purpose opens nothing else.
public enum ProofPurpose: String, Sendable, Hashable {
    case pair, status, connect
}

/// The text a device signs.
public struct ProofStatement: Sendable, Equatable {
    /// `nodes-v1|<purpose>|<origin>|<channel>|<senderId>|<publicKey>|<signedAt>|<nonce>` in UTF-8.
    ///
    /// No field can contain the separator: origins, channels, sender IDs, base64url and numbers have
    /// grammars without it, so two different statements never have the same text.
    public let text: String

    /// Builds the text; the sender ID is spelt as the device sent it.
    public init(
        purpose: ProofPurpose, origin: Origin, channel: ChannelID, senderID: SenderID, key: PublicKey,
        signedAt: Timestamp, nonce: String
    ) {
        text = [
            "nodes-v1", purpose.rawValue, origin.text, channel.text, senderID.text, key.text,
            String(signedAt.milliseconds), nonce,
        ].joined(separator: "|")
    }
}

/// What a device offers to prove who it is, when it asks for its status or connects.
public enum Evidence: Sendable, Equatable {
    /// A signature by the key the pairing is known by.
    case proof(Proof)
    /// The token the pairing is known by.
    case token(DeviceToken)
}

/// The credential a pairing request is bound to from then on.
public enum ClaimedCredential: Sendable, Equatable {
    /// A key and the proof that the device holds its private part.
    case key(PublicKey, Proof)
    /// A token the device chose.
    case token(DeviceToken)
    /// None: the kernel makes a token and returns it in this answer only.
    case none
}

/// A credential as the store knows it: nothing here opens anything.
public enum StoredCredential: Sendable, Hashable {
    /// The public key.
    case key(PublicKey)
    /// SHA-256 of the token: 32 bytes.
    case tokenHash([UInt8])

    /// Whether this is a key.
    public var isKey: Bool {
        switch self {
        case .key: true
        case .tokenHash: false
        }
    }
}
