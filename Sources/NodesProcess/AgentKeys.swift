import NodesConfiguration

/// Reads the keys of agents from where the configuration says they are.
///
/// No error repeats what was read: it may be most of a key.
struct AgentKeys: Sendable {
    /// Why there is no key: a sentence's end, behind the setting's name.
    struct Problem: Error, Equatable {
        var setting: String
        var reason: String
    }

    /// A key is shorter by far; a greater file is another one.
    private static let maximumBytes = 16 << 10

    let environment: [String: String]

    func read(_ source: NodesConfiguration.Agent.KeySource) throws(Problem) -> String {
        switch source {
        case .variable(let name):
            guard let text = environment[name], !text.isEmpty else {
                throw Problem(
                    setting: "key_env",
                    reason:
                        "the variable \(name) is not set, or empty: set it for this process, or name a key_file"
                )
            }
            return try checked(text, "key_env", "the variable \(name)")
        case .file(let path):
            let bytes: [UInt8]
            do throws(SecretFile.Problem) {
                bytes = try SecretFile.contents(of: path, maximumBytes: Self.maximumBytes)
            } catch {
                throw Problem(setting: "key_file", reason: error.reason)
            }
            return try checked(String(decoding: bytes, as: UTF8.self), "key_file", path)
        }
    }

    private func checked(_ text: String, _ setting: String, _ place: String) throws(Problem) -> String {
        // Some editors begin a file with a byte order mark.
        var key =
            text.unicodeScalars.first == "\u{FEFF}" ? Substring(text.unicodeScalars.dropFirst()) : text[...]
        while key.last?.isWhitespace == true { key.removeLast() }
        // It becomes a header's value.
        guard !key.isEmpty, key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw Problem(
                setting: setting, reason: "\(place) does not hold one line of printable ASCII without blanks")
        }
        return String(key)
    }
}
