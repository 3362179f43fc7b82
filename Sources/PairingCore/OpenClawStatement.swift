/// What a device of OpenClaw's dialect signs. It names no origin, so that a server which a device was made to dial could
/// pass it on: it is taken on that dialect's own paths alone, and the pairing is marked.
public struct OpenClawStatement: Sendable, Equatable {
    /// What stands behind the device's ID in the sender ID of a node: one key may be an operator's and a node's at once, each
    /// paired by itself.
    public static let nodeSuffix = ":node"

    /// The device's ID in a sender ID of that dialect.
    public static func deviceID(of senderID: SenderID) -> String {
        senderID.text.hasSuffix(nodeSuffix)
            ? String(senderID.text.dropLast(nodeSuffix.count)) : senderID.text
    }

    /// The fields in their order, as they were sent.
    private let fields: [String]
    private let platform: String
    private let deviceFamily: String

    /// - Parameters:
    ///   - deviceID: the device's sender ID, which is the SHA-256 of its key in hexadecimal.
    ///   - token: what of the client's tokens comes first; empty where it sends none.
    ///   - nonce: the socket's.
    /// - Returns: `nil` where a field holds the separator, so that two statements could have one text.
    public init?(
        deviceID: String, clientID: String, clientMode: String, role: String, scopes: [String],
        signedAt: Int64, token: String, nonce: String, platform: String, deviceFamily: String
    ) {
        let plain = [deviceID, clientID, clientMode, role, nonce] + scopes
        guard plain.allSatisfy({ !$0.utf8.contains(UInt8(ascii: "|")) }),
            scopes.allSatisfy({ !$0.utf8.contains(UInt8(ascii: ",")) })
        else { return nil }
        fields = [
            deviceID, clientID, clientMode, role, scopes.joined(separator: ","), String(signedAt), token,
            nonce,
        ]
        self.platform = Self.normalized(platform)
        self.deviceFamily = Self.normalized(deviceFamily)
    }

    /// The texts that may have been signed, the newest version first.
    public var texts: [String] {
        [
            (["v3"] + fields + [platform, deviceFamily]).joined(separator: "|"),
            (["v2"] + fields).joined(separator: "|"),
        ]
    }

    /// Without JavaScript's white space at both ends, ASCII letters in lower case.
    private static func normalized(_ text: String) -> String {
        var scalars = Substring(text).unicodeScalars
        while let first = scalars.first, isSpace(first) { scalars.removeFirst() }
        while let last = scalars.last, isSpace(last) { scalars.removeLast() }
        var result = String.UnicodeScalarView()
        for scalar in scalars {
            let isUpper = (UInt32(65)...90).contains(scalar.value)
            result.append(isUpper ? Unicode.Scalar(UInt8(scalar.value + 32)) : scalar)
        }
        return String(result)
    }

    /// What `String.prototype.trim` removes (ECMA-262 §22.1.3.32).
    private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x9...0xD, 0x20, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF:
            true
        default: false
        }
    }
}
