/// When devices may ask to pair.
public enum PairingWindow: Sendable, Equatable {
    /// At any time.
    case always
    /// Not at all; whoever has an invitation may.
    case never
    /// Until a time, and then no more.
    case until(Timestamp)

    /// The word for it.
    public var mode: String {
        switch self {
        case .always: "always"
        case .never: "never"
        case .until: "until"
        }
    }
}

/// The secret of an invitation.
public struct InvitationSecret: Sendable, Equatable {
    /// What its text begins with, so that one that leaked is recognised.
    public static let prefix = "gci_"
    /// 32 bytes.
    public let bytes: [UInt8]

    /// - Returns: `nil` for anything but 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// Reads the text: `gci_` and 32 bytes in base64url.
    public init?(_ text: String) {
        guard text.hasPrefix(Self.prefix),
            let bytes = Base64URL.decode(String(text.dropFirst(Self.prefix.count)), count: 32)
        else { return nil }
        self.bytes = bytes
    }

    /// As it travels.
    public var text: String { Self.prefix + Base64URL.encode(bytes) }
}
