/// What an authenticator says of itself and of what it did (WebAuthn Level 2 §6.1).
public struct AuthenticatorData: Sendable, Equatable {
    /// SHA-256 of the host that the passkey is for.
    public var hostHash: [UInt8]
    /// Whether somebody was there.
    public var isUserPresent: Bool
    /// Whether it knows who that was, by a PIN or a finger.
    public var isUserVerified: Bool
    /// How often it has signed; zero where it does not count.
    public var signCount: UInt32
    /// The passkey that it made.
    public var made: (credentialID: [UInt8], key: CBORValue)?

    /// The most bytes of a passkey's identifier (§4, Credential ID).
    public static let maximumIdentifierLength = 1023

    /// Reads the bytes; nothing may follow.
    public init?(_ bytes: [UInt8]) {
        guard (37...CBORReader.maximumLength).contains(bytes.count) else { return nil }
        hostHash = Array(bytes[..<32])
        let flags = bytes[32]
        isUserPresent = flags & 0x01 != 0
        isUserVerified = flags & 0x04 != 0
        // What is backed up can be.
        guard flags & 0x18 != 0x10 else { return nil }
        signCount = bytes[33..<37].reduce(0) { $0 << 8 | UInt32($1) }
        var rest = bytes[37...]
        if flags & 0x40 != 0 {
            guard rest.count >= 18 else { return nil }
            // The kind of authenticator, which nobody asked for, and the length.
            let length = Int(bytes[53]) << 8 | Int(bytes[54])
            rest = rest.dropFirst(18)
            guard (1...Self.maximumIdentifierLength).contains(length), rest.count > length else { return nil }
            let identifier = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            var reader = CBORReader(rest)
            guard let key = reader.value() else { return nil }
            rest = rest.dropFirst(reader.position)
            made = (identifier, key)
        }
        if flags & 0x80 != 0 {
            guard case .map? = CBORValue(rest) else { return nil }
        } else {
            guard rest.isEmpty else { return nil }
        }
    }

    /// Compares all of both.
    public static func == (left: Self, right: Self) -> Bool {
        left.hostHash == right.hostHash && left.isUserPresent == right.isUserPresent
            && left.isUserVerified == right.isUserVerified && left.signCount == right.signCount
            && left.made?.credentialID == right.made?.credentialID && left.made?.key == right.made?.key
    }
}

/// What a browser says of what it asked an authenticator for (WebAuthn Level 2 §5.8.1).
public struct PasskeyClientData: Sendable, Equatable {
    /// What it asked for.
    public enum Purpose: String, Sendable {
        /// To make a passkey.
        case create = "webauthn.create"
        /// To sign in with one.
        case get = "webauthn.get"
    }

    /// What the browser was asked for.
    public var purpose: Purpose
    /// What was to be signed: 32 bytes.
    public var challenge: [UInt8]
    /// The page's.
    public var origin: Origin

    /// Reads the JSON text that the signature covers.
    ///
    /// - Returns: `nil` for anything else, a challenge that is not of 32 bytes, and a page within one of another
    ///   origin.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count <= 4096,
            let value = try? JSONValue(parsing: bytes, limits: JSONLimits(depth: 4, values: 64)),
            let purpose = value["type"]?.string.flatMap(Purpose.init),
            let challenge = value["challenge"]?.string.flatMap({ Base64URL.decode($0, count: 32) }),
            let origin = value["origin"]?.string.flatMap({ Origin($0) }),
            value["crossOrigin"] ?? .bool(false) == .bool(false), value["topOrigin"] == nil
        else { return nil }
        self.purpose = purpose
        self.challenge = challenge
        self.origin = origin
    }
}

extension Origin {
    /// The host alone, which passkeys are for (a relying party's identifier).
    public var host: String { port.map { String(authority.dropLast($0.utf8.count + 1)) } ?? authority }
}
