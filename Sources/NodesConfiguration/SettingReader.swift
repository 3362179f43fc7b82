import Configuration
import PairingCore

/// One configuration key, as the reference lists it.
public struct Setting: Sendable, Equatable {
    /// The key in the file, sections joined with points: `gateway.pairing_code_ttl`.
    public let key: String
    /// What a value looks like and the range it must lie in.
    public let form: String
    /// The value where none is given; `nil` where one must be given.
    public let defaultText: String?
    /// What the setting decides.
    public let summary: String

    /// The environment variable that overrides the file, such as `GATEWAY_PAIRING_CODE_TTL`; `nil` for what
    /// only the file can hold.
    public let environmentName: String?

    init(
        key: String, form: String, defaultText: String?, summary: String, isOnlyInFile: Bool = false
    ) {
        self.key = key
        self.form = form
        self.defaultText = defaultText
        self.summary = summary
        environmentName =
            isOnlyInFile ? nil : String(key.uppercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })
    }
}

/// Why a configuration was refused: everything that is wrong with it, not only the first thing.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One sentence each: the key, what is wrong with its value, what is expected.
    public let problems: [String]

    /// Everything that is wrong.
    public init(problems: [String]) { self.problems = problems }

    /// The problems, one a line.
    public var description: String { problems.joined(separator: "\n") }
}

/// Reads settings one after the other and remembers which exist and what is wrong.
///
/// A setting that is missing or bad reads as its default, so that one run finds every problem; whoever reads
/// must then refuse the result if ``problems`` has any.
struct SettingReader {
    private(set) var settings: [Setting] = []
    private(set) var problems: [String] = []
    private let values: ConfigReader

    init(_ values: ConfigReader) { self.values = values }

    mutating func problem(_ text: String) { problems.append(text) }

    mutating func duration(
        _ key: String, default text: String, in range: ClosedRange<Duration>, _ summary: String
    ) -> Duration {
        let form =
            "duration, \(Quantities.text(range.lowerBound)) to \(Quantities.text(range.upperBound))"
        return read(key, form, "a number with its unit (ms, s, m, h or d), such as \(text)", text, summary) {
            Quantities.duration($0).flatMap { range.contains($0) ? $0 : nil }
        } ?? range.lowerBound
    }

    mutating func size(
        _ key: String, default text: String, in range: ClosedRange<Int>, _ summary: String
    ) -> Int {
        let form =
            "size, \(Quantities.text(bytes: range.lowerBound)) to \(Quantities.text(bytes: range.upperBound))"
        return read(key, form, "bytes, KiB or MiB, such as \(text)", text, summary) {
            Quantities.size($0).flatMap { range.contains($0) ? $0 : nil }
        } ?? range.lowerBound
    }

    mutating func count(
        _ key: String, default number: Int, in range: ClosedRange<Int>, _ summary: String
    ) -> Int {
        let form = "number, \(range.lowerBound) to \(range.upperBound)"
        return read(key, form, "a whole number, such as \(number)", "\(number)", summary) {
            Int($0).flatMap { range.contains($0) ? $0 : nil }
        } ?? range.lowerBound
    }

    mutating func flag(_ key: String, default value: Bool, _ summary: String) -> Bool {
        read(key, "true or false", "true or false", "\(value)", summary) { Bool($0) } ?? value
    }

    mutating func choice<Value: RawRepresentable & CaseIterable>(
        _ key: String, default value: Value, _ summary: String
    ) -> Value where Value.RawValue == String {
        let names = Value.allCases.map(\.rawValue).joined(separator: ", ")
        return read(key, "one of \(names)", "one of \(names)", value.rawValue, summary) {
            Value(rawValue: $0.lowercased())
        } ?? value
    }

    mutating func text(_ key: String, default text: String, _ summary: String) -> String {
        read(key, "text", "text without control characters", text, summary) {
            $0.unicodeScalars.contains { $0.properties.generalCategory == .control } ? nil : $0
        } ?? text
    }

    mutating func path(
        _ key: String, default text: String, maximumBytes: Int = 4095, _ summary: String
    ) -> String {
        read(
            key, "path, at most \(maximumBytes) bytes", "an absolute path such as \(text)", text, summary
        ) {
            let isUsable = $0.hasPrefix("/") && !$0.utf8.contains(0) && $0.utf8.count <= maximumBytes
            return isUsable ? $0 : nil
        } ?? text
    }

    /// A value that must be given and that no message repeats.
    mutating func secret(_ key: String, expected: String, _ summary: String) -> String {
        let setting = Setting(key: key, form: expected, defaultText: nil, summary: summary)
        settings.append(setting)
        guard let text = values.string(forKey: ConfigKey(key), isSecret: true), !text.isEmpty else {
            problem("\(name(of: setting)) is missing; expected \(expected)")
            return ""
        }
        return text
    }

    /// A list whose every element is transformed; an element that cannot be is a problem.
    mutating func list<Element>(
        _ key: String, form: String, expected: String, isRequired: Bool, _ summary: String,
        _ transform: (String) -> Element?
    ) -> [Element] {
        let setting = Setting(key: key, form: form, defaultText: nil, summary: summary)
        settings.append(setting)
        let texts = values.stringArray(forKey: ConfigKey(key), isSecret: true) ?? []
        if texts.isEmpty, isRequired {
            problem("\(name(of: setting)) is missing; expected \(expected)")
        }
        return texts.compactMap { text in
            let value = transform(text)
            if value == nil { problem("\(name(of: setting)): “\(text)” is refused; expected \(expected)") }
            return value
        }
    }

    /// A setting that is an object, which the environment has no spelling for.
    mutating func onlyInFile(_ key: String, form: String, _ summary: String) {
        settings.append(
            Setting(key: key, form: form, defaultText: "{}", summary: summary, isOnlyInFile: true))
    }

    /// An object per channel, handed on as JSON text. The environment has no spelling for objects.
    mutating func objects(
        _ key: String, in file: ConfigurationFile?, _ summary: String
    ) -> [ChannelID: String] {
        onlyInFile(key, form: "object of objects", summary)
        switch file?.value(at: key) {
        case nil: return [:]
        case .object(let members):
            var texts: [ChannelID: String] = [:]
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                guard let channel = ChannelID(name), case .object = value else {
                    problem("\(key).\(name) is refused; expected a channel's name and an object")
                    continue
                }
                texts[channel] = value.text
            }
            return texts
        default:
            problem("\(key) is refused; expected an object such as {\"iot\": {…}}")
            return [:]
        }
    }

    private mutating func read<Value>(
        _ key: String, _ form: String, _ expected: String, _ defaultText: String, _ summary: String,
        _ parse: (String) -> Value?
    ) -> Value? {
        let setting = Setting(key: key, form: form, defaultText: defaultText, summary: summary)
        settings.append(setting)
        let text = values.string(forKey: ConfigKey(key), isSecret: true) ?? defaultText
        if let value = parse(text) { return value }
        problem("\(name(of: setting)): “\(text)” is refused; expected \(expected) (\(form))")
        return parse(defaultText)
    }

    private func name(of setting: Setting) -> String {
        setting.environmentName.map { "\(setting.key) (\($0) in the environment)" } ?? setting.key
    }
}
