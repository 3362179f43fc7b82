import Configuration
import PairingCore

/// The configuration file as swift-configuration sees it.
///
/// Every value is handed out as text, so that a setting is checked in the same way whether it comes from the
/// file or from the environment.
struct ConfigurationFile: FileConfigSnapshot {
    struct Options: FileParsingOptions {
        static let `default` = Self()
    }

    /// Why a file cannot be used at all.
    struct Failure: Error, Equatable {
        var reason: String
    }

    let providerName: String
    let root: JSONValue

    init(data: RawSpan, providerName: String, parsingOptions: Options) throws {
        self.providerName = providerName
        var bytes = data.byteOffsets.map { data.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        if bytes.starts(with: [0xFE, 0xFF]) || bytes.starts(with: [0xFF, 0xFE]) || bytes.prefix(2).contains(0)
        {
            throw Failure(reason: "the file is UTF-16 or UTF-32; expected UTF-8: save it as that")
        }
        // Some editors begin UTF-8 with a byte order mark, which is no JSON.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        do throws(JSONSyntaxError) {
            root = try JSONValue(parsing: bytes)
        } catch {
            let line = bytes.prefix(error.offset).count { $0 == UInt8(ascii: "\n") } + 1
            throw Failure(reason: "line \(line) is not JSON: \(error.problem)")
        }
        guard case .object = root else {
            throw Failure(reason: "expected one JSON object, such as {\"gateway\": {…}}")
        }
    }

    /// The keys of every value, sections joined with points, in alphabetical order.
    ///
    /// - Parameter sections: keys below which nothing is looked at: a channel knows what its own means.
    func keys(except sections: Set<String>) -> [String] {
        func keys(of value: JSONValue, at path: String) -> [String] {
            guard case .object(let members) = value, !members.isEmpty, !sections.contains(path) else {
                return [path]
            }
            return members.sorted { $0.key < $1.key }.flatMap {
                keys(of: $0.value, at: path.isEmpty ? $0.key : "\(path).\($0.key)")
            }
        }
        return keys(of: root, at: "")
    }

    /// The value at a key whose parts are joined with points.
    func value(at key: String) -> JSONValue? {
        key.split(separator: ".").reduce(Optional(root)) { $0?[String($1)] }
    }

    func value(forKey key: AbsoluteConfigKey, type: ConfigType) throws -> LookupResult {
        let name = key.components.joined(separator: ".")
        guard let value = value(at: name) else { return LookupResult(encodedKey: name, value: nil) }
        let content: ConfigContent =
            if type == .stringArray, case .array(let elements) = value {
                .stringArray(elements.map(Self.text))
            } else if type == .stringArray {
                .stringArray([Self.text(of: value)])
            } else {
                .string(Self.text(of: value))
            }
        return LookupResult(encodedKey: name, value: ConfigValue(content, isSecret: true))
    }

    private static func text(of value: JSONValue) -> String { value.string ?? value.text }

    var description: String { providerName }
    var debugDescription: String { providerName }
}
