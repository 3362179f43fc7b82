/// What a message says to whoever reads nothing but text: its text where it has one, else its JSON.
///
/// - Parameter body: the message's JSON text.
public func spokenText(of body: String) -> String {
    guard let value = try? JSONValue(parsing: body.utf8) else { return body }
    return value.string ?? value["text"]?.string ?? body
}

extension JSONValue {
    /// The same of a message that is read already.
    public var spokenText: String { string ?? self["text"]?.string ?? text }
}
