import ChannelKit

/// What a client says of itself when it connects for the first time. Every member but the client's name may be absent.
struct Presentation: Decodable, Sendable {
    static let maximumNames = 128

    private let client: Client
    private let role: String?
    private let caps: [Name]?
    private let commands: [Name]?

    private struct Client: Decodable {
        let id: String
        let version: String?
        let platform: String?
        let mode: String?
        let deviceFamily: String?
        let modelIdentifier: String?
    }

    /// The name of an ability or a command, such as `canvas.present`.
    private struct Name: Decodable {
        let text: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            text = try container.decode(String.self)
            guard isCommandName(text) else {
                throw DecodingError.dataCorruptedError(
                    in: container,
                    debugDescription: "expected 1 to 64 letters, digits, dots, hyphens or underscores")
            }
        }
    }

    private enum CodingKeys: String, CodingKey { case client, role, caps, commands }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        client = try container.decode(Client.self, forKey: .client)
        role = try container.decodeIfPresent(String.self, forKey: .role)
        caps = try container.decodeIfPresent([Name].self, forKey: .caps)
        commands = try container.decodeIfPresent([Name].self, forKey: .commands)
        guard (caps?.count ?? 0) <= Self.maximumNames, (commands?.count ?? 0) <= Self.maximumNames else {
            throw DecodingError.dataCorruptedError(
                forKey: .commands, in: container,
                debugDescription: "expected at most \(Self.maximumNames) of them, and as many caps")
        }
    }

    /// What the administrator sees.
    var details: [Detail] {
        let platform = [client.platform, client.deviceFamily, client.modelIdentifier].compactMap(\.self)
            .filter { !$0.isEmpty }
        let facts: [(String, String?)] = [
            ("Client", [client.id, client.version].compactMap(\.self).joined(separator: " ")),
            ("Role", [role, client.mode].compactMap(\.self).joined(separator: ", ")),
            ("Platform", platform.joined(separator: ", ")),
            ("Abilities", Self.list(caps)),
            ("Commands", Self.list(commands)),
        ]
        return facts.compactMap { label, value in
            value.flatMap { $0.isEmpty ? nil : Detail(label, $0) }
        }
    }

    /// - Throws: where the device never said that it knows this command.
    func require(_ command: String) throws(Refusal) {
        guard commands?.contains(where: { $0.text == command }) ?? false else {
            throw .invalid(
                "unknown_command",
                "The device did not name the command \(command.prefix(64)) when it was paired.")
        }
    }

    /// As many names as can be read, and how many there are besides.
    private static func list(_ names: [Name]?) -> String? {
        guard let names, !names.isEmpty else { return nil }
        // A fact has 256 characters at most.
        var room = 236
        let shown = names.prefix { name in
            room -= name.text.utf8.count + 2
            return room >= 0
        }
        let rest = names.count - shown.count
        return shown.map(\.text).joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }
}

/// Letters, digits, dots, hyphens and underscores.
func isCommandName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
        && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "_"):
                true
            default: false
            }
        }
}
