import PairingCore

/// The settings of one agent while they are read: each is taken once, and what is left is unknown.
///
/// As with ``SettingReader``, a value that is missing or bad reads as its default, and whoever reads must refuse the
/// result if ``problems`` has any. No value of a setting that might hold a key by mistake is repeated.
struct AgentSection {
    private(set) var problems: [String] = []
    /// What may be set, as far as it was read.
    private(set) var known: [NodesConfiguration.AgentSetting] = []
    private let path: String
    private var settings: [String: JSONValue]
    private var readKind: NodesConfiguration.Agent.Kind?

    /// - Parameter path: the key of the section, for messages.
    init(path: String, settings: [String: JSONValue]) {
        self.path = path
        self.settings = settings
    }

    mutating func kind() -> NodesConfiguration.Agent.Kind? {
        let names = NodesConfiguration.Agent.Kind.allCases.map(\.rawValue).joined(separator: ", ")
        let given = settings["type"]
        readKind = given?.string.flatMap(NodesConfiguration.Agent.Kind.init)
        _ = take("type", "one of \(names)", nil, "What kind of agent it is.")
        guard let readKind else {
            problem(
                "type",
                given.map { "\($0.text) is refused; expected one of \(names)" }
                    ?? "is missing; expected one of \(names)")
            return nil
        }
        return readKind
    }

    mutating func url(_ summary: String) -> String {
        let form = "address, http:// or https://"
        guard let value = take("url", form, nil, summary) else {
            problem("url", "is missing; expected an address such as https://agents.example.org/v1")
            return ""
        }
        guard let text = value.string, isAddress(text) else {
            problem(
                "url",
                "is refused; expected http:// or https:// and a host, without a name, password or # in it"
                    + (readKind == .openai ? ", and without a query" : ""))
            return ""
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    mutating func text(_ key: String, isRequired: Bool = false, _ summary: String) -> String {
        guard let value = take(key, "text", isRequired ? nil : "", summary) else {
            if isRequired { problem(key, "is missing; expected text") }
            return ""
        }
        guard let text = value.string, !isRequired || !text.isEmpty, !text.utf8.contains(0) else {
            problem(key, "is refused; expected text")
            return ""
        }
        return text
    }

    mutating func key(isRequired: Bool) -> NodesConfiguration.Agent.KeySource? {
        let variable = take(
            "key_env", "name of an environment variable", nil,
            "The variable that holds the key: a bearer token, or the secret `whsec_…` that signs what a web hook is sent."
        )
        let file = take(
            "key_file", "absolute path", nil,
            "The file that holds it instead, on one line; readable by nobody but its owner and its group.")
        if settings.removeValue(forKey: "key") != nil {
            problem(
                "key", "is refused: no key belongs in here; name a variable in key_env or a file in key_file")
            return nil
        }
        switch (variable, file) {
        case (nil, nil):
            if isRequired { problem("key_env", "is missing, and key_file too; expected one of them") }
            return nil
        case (.some, .some):
            problem("key_file", "is refused beside key_env; expected one of them")
            return nil
        case (let value?, nil):
            guard let name = value.string, Self.isVariable(name) else {
                problem(
                    "key_env", "is refused; expected the name of an environment variable, not the key itself")
                return nil
            }
            return .variable(name)
        case (nil, let value?):
            guard let path = value.string, path.hasPrefix("/"), !path.utf8.contains(0) else {
                problem("key_file", "is refused; expected an absolute path, not the key itself")
                return nil
            }
            return .file(path)
        }
    }

    mutating func duration(
        _ key: String, default text: String, in range: ClosedRange<Duration>, _ summary: String
    ) -> Duration {
        let form = "duration, \(Quantities.text(range.lowerBound)) to \(Quantities.text(range.upperBound))"
        return read(key, form, text, summary, or: range.lowerBound) {
            $0.string.flatMap(Quantities.duration).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    mutating func size(
        _ key: String, default text: String, in range: ClosedRange<Int>, _ summary: String
    ) -> Int {
        let form =
            "size, \(Quantities.text(bytes: range.lowerBound)) to \(Quantities.text(bytes: range.upperBound))"
        return read(key, form, text, summary, or: range.lowerBound) {
            ($0.string.flatMap(Quantities.size) ?? $0.wholeNumber.map(Int.init)).flatMap {
                range.contains($0) ? $0 : nil
            }
        }
    }

    mutating func count(
        _ key: String, default number: Int, in range: ClosedRange<Int>, _ summary: String
    ) -> Int {
        let form = "number, \(range.lowerBound) to \(range.upperBound)"
        return read(key, form, "\(number)", summary, or: number) {
            ($0.string.flatMap(Int.init) ?? $0.wholeNumber.map(Int.init)).flatMap {
                range.contains($0) ? $0 : nil
            }
        }
    }

    /// Everything that may be set was read.
    mutating func refuseRest() {
        let names = known.map(\.key).joined(separator: ", ")
        let kind = readKind.map { "an agent of type \($0.rawValue)" } ?? "an agent"
        for key in settings.keys.sorted() { problem(key, "is not a setting of \(kind); there are \(names)") }
    }

    private mutating func read<Value>(
        _ key: String, _ form: String, _ defaultText: String, _ summary: String, or last: Value,
        _ parse: (JSONValue) -> Value?
    ) -> Value {
        let value = take(key, form, defaultText, summary)
        if let value {
            if let parsed = parse(value) { return parsed }
            problem(key, "\(value.text) is refused; expected a \(form), such as \(defaultText)")
        }
        return parse(.string(defaultText)) ?? last
    }

    private mutating func take(
        _ key: String, _ form: String, _ defaultText: String?, _ summary: String
    ) -> JSONValue? {
        known.append(
            NodesConfiguration.AgentSetting(
                key: key, kinds: readKind.map { [$0] } ?? [], form: form, defaultText: defaultText,
                summary: summary))
        return settings.removeValue(forKey: key)
    }

    private mutating func problem(_ key: String, _ what: String) { problems.append("\(path).\(key) \(what)") }

    private func isAddress(_ text: String) -> Bool {
        let rest = ["http://", "https://"].compactMap { text.hasPrefix($0) ? text.dropFirst($0.count) : nil }
            .first
        guard let rest else { return false }
        let authority = rest.prefix { !"/?".contains($0) }
        // What follows the interface's beginning would come behind a query.
        return !authority.isEmpty && !authority.contains("@") && !(readKind == .openai && rest.contains("?"))
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }
    }

    private static func isVariable(_ text: String) -> Bool {
        let first = text.unicodeScalars.first.map { !("0"..."9").contains($0) } ?? false
        return first
            && text.unicodeScalars.allSatisfy {
                ("a"..."z").contains($0) || ("A"..."Z").contains($0) || ("0"..."9").contains($0) || $0 == "_"
            }
    }
}
