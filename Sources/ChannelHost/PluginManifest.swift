import FoundationEssentials
import PairingCore

/// What stands beside a plugin's library, in `NAME.json` for `NAME.so`, and is checked before any of the
/// library's code runs.
package struct PluginManifest: Decodable {
    package var id: ChannelID
    package var version: String
    package var abi: ABIVersion
    /// 64 hexadecimal digits in lower case.
    var sha256: String
    /// Such as `6.3.1`; absent for a plugin in another language.
    package var swift: String?

    /// The greatest size of a manifest, in bytes.
    static let maximumSize = 64 * 1024

    private enum CodingKeys: String, CodingKey { case id, version, abi, sha256, swift }

    package init(json: [UInt8], named name: String) throws(Untrusted) {
        do {
            self = try JSONDecoder().decode(Self.self, from: Data(json))
        } catch DecodingError.keyNotFound(let key, _) {
            throw Untrusted("the manifest \(name) lacks \"\(key.stringValue)\"; install the channel again")
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
            let key = context.codingPath.first?.stringValue ?? "the whole"
            throw Untrusted("the manifest \(name) has a value that is not text: \(key)")
        } catch DecodingError.dataCorrupted(let context) {
            throw Untrusted("the manifest \(name) cannot be read: \(context.debugDescription)")
        } catch {
            throw Untrusted("the manifest \(name) cannot be read")
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func value<Value>(
            _ key: CodingKeys, _ expected: String, _ make: (String) -> Value?
        ) throws -> Value {
            guard let value = make(try container.decode(String.self, forKey: key)) else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: container, debugDescription: "\"\(key.rawValue)\" is not \(expected)")
            }
            return value
        }
        id = try value(.id, "a channel ID ([a-z][a-z0-9_-]{0,31})", ChannelID.init)
        version = try value(.version, "1 to 64 characters") { (1...64).contains($0.count) ? $0 : nil }
        abi = try value(.abi, "a version such as 1.0", ABIVersion.init)
        sha256 = try value(.sha256, "64 hexadecimal digits in lower case") { text in
            text.utf8.count == 64 && text.utf8.allSatisfy("0123456789abcdef".utf8.contains) ? text : nil
        }
        swift = try container.decodeIfPresent(String.self, forKey: .swift)
    }

    /// Checks what can be checked before the library's code runs.
    package func check(sha256 found: String, libraryName: String, host: ABIVersion, swift hostSwift: String)
        throws(Untrusted)
    {
        guard found == sha256 else {
            throw Untrusted(
                "\(libraryName) has the SHA-256 \(found), its manifest says \(sha256): one of the two is not "
                    + "what was installed; install the channel again")
        }
        try abi.check(host: host, what: "\(libraryName)'s manifest")
        if let swift, minor(swift) != minor(hostSwift) {
            throw Untrusted(
                "\(libraryName) was built with Swift \(swift), this process runs on Swift \(hostSwift): Swift "
                    + "has no stable ABI on Linux; build the channel with the same version")
        }
    }

    /// The first two numbers of a Swift version; the runtime's ABI is the same for those that share them.
    private func minor(_ version: String) -> [Substring] { Array(version.split(separator: ".").prefix(2)) }
}

/// A version of the plugin ABI.
package struct ABIVersion: CustomStringConvertible {
    var major: UInt16
    var minor: UInt16

    init(major: UInt16, minor: UInt16) {
        self.major = major
        self.minor = minor
    }

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let major = UInt16(parts[0]), let minor = UInt16(parts[1]) else { return nil }
        self.init(major: major, minor: minor)
    }

    package var description: String { "\(major).\(minor)" }

    /// Any minor version works with any other of its major.
    func check(host: ABIVersion, what: String) throws(Untrusted) {
        guard major == host.major else {
            throw Untrusted(
                "\(what) speaks channel ABI \(self), this process \(host): build it against a "
                    + "goclaw_channel.h of version \(host.major).x")
        }
    }
}
