import PairingCore

/// JSON values whose texts are replaced: by ones as long as a host lets pass, for a plugin that quotes what it
/// refuses, and by ones that JSON escapes, for one that copies what it was given into JSON of its own.
enum ReplacedTexts {
    private static let maximum = 16
    /// A longer list is taken to have elements that are alike.
    private static let maximumElements = 2
    /// What members are often called.
    private static let names = ["at", "id", "name", "status", "text", "type"]

    /// Each text in a value replaced by a long one, each object with one member more that has a long name,
    /// and an object of members that many channels have.
    ///
    /// - Parameters:
    ///   - text: the value; the last of the results does not need one.
    ///   - limit: how many bytes a result may have.
    static func overlong(in text: String, within limit: Int) -> [(String, String)] {
        var values: [(String, JSONValue)] = []
        if let value = try? JSONValue(parsing: text.utf8) {
            // A member more has quotes, a colon, a digit and a comma.
            let filler = String(repeating: "x", count: max(0, limit - value.text.utf8.count - 8))
            values = Array(
                variants(of: value, "the text", filler, "of \(filler.utf8.count) bytes").prefix(maximum))
        }
        let share = String(repeating: "x", count: max(0, limit / names.count - 16))
        let usual = Dictionary(uniqueKeysWithValues: names.map { ($0, JSONValue.string(share)) })
        values.append(("long texts in \(names.joined(separator: ", "))", .object(usual)))
        return values.map { ($0, $1.text) }.filter { $0.1.utf8.count <= limit }
    }

    /// Characters that stand in JSON only when they are escaped, by what they are called.
    static let escaped: [(what: String, text: String)] = [
        ("with a quote", #"say "hello" twice"#), ("with a backslash", #"C:\tmp\"#),
        ("with a newline", "two\nlines"),
    ]

    /// Each text in a value replaced by some that have to be escaped in JSON.
    static func escaped(in text: String, within limit: Int) -> [(String, String)] {
        guard let value = try? JSONValue(parsing: text.utf8) else { return [] }
        return escaped.flatMap { what, filler in
            variants(of: value, "the text", filler, what).prefix(maximum)
        }
        .map { ($0, $1.text) }.filter { $0.1.utf8.count <= limit }
    }

    /// - Parameters:
    ///   - place: what the value is called.
    ///   - how: what is said of the replacement.
    private static func variants(
        of value: JSONValue, _ place: String, _ filler: String, _ how: String
    ) -> [(String, JSONValue)] {
        switch value {
        case .null, .bool, .integer, .number, .numeral: return []
        case .string: return [("\(place) being \(how)", .string(filler))]
        case .array(let elements):
            return elements.indices.prefix(maximumElements).flatMap { index in
                variants(of: elements[index], place, filler, how).map { what, changed in
                    var list = elements
                    list[index] = changed
                    return (what, .array(list))
                }
            }
        case .object(let members):
            var more = members
            more[filler] = .integer(1)
            return [("a member's name \(how)", .object(more))]
                + members.sorted { $0.key < $1.key }.flatMap { name, member in
                    variants(of: member, name, filler, how).map { what, changed in
                        var object = members
                        object[name] = changed
                        return (what, .object(object))
                    }
                }
        }
    }
}
