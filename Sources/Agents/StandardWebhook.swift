import Cryptography
import FoundationEssentials
import PairingCore

/// How a web hook is identified, timed and signed (Standard Webhooks 1.0.0).
package enum StandardWebhook {
    private static let prefix = "whsec_"

    /// Reads a secret as Standard Webhooks spells it: `whsec_` and base64.
    ///
    /// - Returns: `nil` for another text, or another length than 24 to 64 bytes.
    package static func secret(_ text: String) -> [UInt8]? {
        guard text.hasPrefix(prefix), let data = Data(base64Encoded: String(text.dropFirst(prefix.count))),
            (24...64).contains(data.count)
        else { return nil }
        return Array(data)
    }

    /// A secret as its receiver configures it.
    package static func text(ofSecret secret: [UInt8]) -> String {
        prefix + Data(secret).base64EncodedString()
    }

    /// The headers of a body.
    ///
    /// - Parameters:
    ///   - id: the same for every repeat; without dots, which part what is signed.
    ///   - secrets: each signs, so that a receiver may know the newest or the one before it.
    package static func headers(
        for body: String, id: String, at now: Timestamp, secrets: [[UInt8]]
    ) -> [(String, String)] {
        let seconds = String(now.milliseconds / 1000)
        return [
            ("webhook-id", id), ("webhook-timestamp", seconds),
            (
                "webhook-signature",
                secrets.map { signature(of: body, id: id, timestamp: seconds, secret: $0) }
                    .joined(separator: " ")
            ),
        ]
    }

    /// HMAC-SHA-256 over identifier, time and body.
    package static func signature(of body: String, id: String, timestamp: String, secret: [UInt8]) -> String {
        let code = hmacSHA256(key: secret, message: Array("\(id).\(timestamp).\(body)".utf8))
        return "v1,\(Data(code).base64EncodedString())"
    }

    /// A time as bodies have it.
    package static func text(of time: Timestamp) -> String {
        Date(timeIntervalSince1970: Double(time.milliseconds) / 1000).formatted(.iso8601)
    }
}
