import PairingCore

/// Arguments for the calls: ordinary, extreme and hostile. A host passes all of them but those that say they
/// are beyond the contract.
enum Samples {
    private static let longest = String(repeating: "a", count: 128)
    private static let largestMetadata = 16 * 1024
    private static let odd = "A.b_c:d@e-9"
    /// A JSON text as deep as a host lets pass, less what a channel may wrap around it.
    static let deep = String(repeating: "[", count: 60) + "1" + String(repeating: "]", count: 60)
    private static let unicode = #""žluť 漢字 👩‍👩‍👧 \ud83d\ude00 e\u0301 \u202e\u200b\u0001\uffff""#

    static func ordinary(_ subject: CheckSubject, id: String?) -> [TestClaim] {
        let senders = subject.senderID.map { [$0] } ?? ["check-1"] + (id.map { ["\($0)-1"] } ?? [])
        let metadata = subject.metadata.map { [$0] } ?? ["", "{}"]
        return senders.flatMap { sender in
            metadata.map { TestClaim(what: "an ordinary device (\(sender))", senderID: sender, metadata: $0) }
        }
    }

    static func extreme(_ claim: TestClaim) -> [TestClaim] {
        func with(_ what: String, _ change: (inout TestClaim) -> Void) -> TestClaim {
            var changed = claim
            changed.what = what
            change(&changed)
            return changed
        }
        let filler = String(repeating: "x", count: 16 * 1024 - 12)
        let many = (0..<1000).map { #""k\#($0)":\#($0)"# }.joined(separator: ",")
        return [
            with("a sender ID of 1 byte") { $0.senderID = "a" },
            with("a sender ID of 128 bytes") { $0.senderID = longest },
            with("a sender ID of every kind of character") { $0.senderID = odd },
            with("no display name") { $0.displayName = "" },
            with("a display name of 64 characters") { $0.displayName = String(repeating: "漢", count: 64) },
            with("a display name of joined and reversed characters") {
                $0.displayName = "👩‍👩‍👧‍👦 e\u{301}\u{300} עברית"
            },
            with("no metadata") { $0.metadata = "" },
            with("empty metadata") { $0.metadata = "{}" },
            with("metadata with spaces") { $0.metadata = " { \n } " },
            with("metadata of 16 KiB in one string") { $0.metadata = #"{"text":"\#(filler)"}"# },
            with("metadata of 1,000 members") { $0.metadata = "{\(many)}" },
            with("metadata of unusual characters") { $0.metadata = "{\(unicode):\(unicode)}" },
        ]
    }

    static func hostile(_ claim: TestClaim) -> [TestClaim] {
        let metadata =
            objects(from: claim.metadata) + [
                ("deep metadata", #"{"a":\#(deep)}"#),
                ("a member twice", #"{"a":1,"a":"2","a":null}"#),
                ("an empty member's name", #"{"":{"":[]}}"#),
                (
                    "numbers beyond every type",
                    #"{"a":1e999,"b":-1e999,"c":99999999999999999999,"d":-0.0,"e":1e-999}"#
                ),
                ("control characters", #"{"name":"\u0001\u001b[31m\u007f","\u202e":"\u2028"}"#),
            ] + ReplacedTexts.overlong(in: claim.metadata, within: largestMetadata)
            + ReplacedTexts.escaped(in: claim.metadata, within: largestMetadata)
        return metadata.map { what, text in
            var changed = claim
            (changed.what, changed.metadata) = ("metadata with \(what)", text)
            return changed
        }
            + ReplacedTexts.escaped.map { what, text in
                var changed = claim
                (changed.what, changed.displayName) = ("a display name \(what)", text)
                return changed
            }
    }

    /// Every member of an object replaced by something of each type, or left out.
    private static func objects(from text: String) -> [(String, String)] {
        guard let value = try? JSONValue(parsing: text.utf8), case .object(let members) = value else {
            return []
        }
        let others: [(String, JSONValue)] = [
            ("null", .null), ("true", .bool(true)), ("-1", .integer(-1)), ("a great number", .number(1e300)),
            ("an empty string", .string("")), ("a long string", .string(String(repeating: "9", count: 8000))),
            ("an empty list", .array([])), ("a list of lists", .array([.array([.null]), .integer(1)])),
            ("an empty object", .object([:])),
        ]
        return members.keys.sorted().prefix(8).flatMap { name in
            var without = members
            without[name] = nil
            return [("\(name) left out", JSONValue.object(without).text)]
                + others.map { what, other in
                    var changed = members
                    changed[name] = other
                    return ("\(name) being \(what)", JSONValue.object(changed).text)
                }
        }
    }

    static func ordinaryMessages(_ subject: CheckSubject) -> [TestMessage] {
        let bodies = subject.message.map { [$0] } ?? [#"{"text":"hello"}"#, #""hello""#, "{}", "1"]
        return bodies.map { TestMessage(what: "the ordinary message \(short($0))", body: $0) }
    }

    /// What an agent says to such a device.
    static func agentMessage(_ subject: CheckSubject, number: Int64 = 1) -> TestMessage {
        TestMessage(
            what: "an agent's ordinary message", body: subject.agentMessage ?? #"{"text":"hello"}"#,
            number: number)
    }

    static func extremeMessages(largest: Int) -> [TestMessage] {
        let filler = String(repeating: "x", count: max(0, largest - 2))
        let elements = max(1, (min(largest, 200_000) - 2) / 2)
        let list = "[" + Array(repeating: "1", count: elements).joined(separator: ",") + "]"
        var messages = ["null", "true", "false", "0", "-1", "1.5e300", #""""#, "[]", "{}", unicode].map {
            TestMessage(what: "the body \(short($0))", body: $0)
        }
        messages.append(TestMessage(what: "a body of \(filler.utf8.count + 2) bytes", body: #""\#(filler)""#))
        messages.append(TestMessage(what: "a list of \(elements) numbers", body: list))
        return messages
    }

    static func hostileMessages(_ message: TestMessage?, largest: Int) -> [TestMessage] {
        var messages = [
            ("a deep body", deep), ("a member twice", #"{"type":1,"type":"text","text":1,"text":2}"#),
            ("numbers beyond every type", "[1e999,-1e999,99999999999999999999,-0.0,1e-999]"),
            ("control characters", #"{"type":"\u0000b","text":"\u0001\u001b\u202e"}"#),
            ("members of other types", #"{"type":[],"text":{},"id":-1,"at":"never","readings":7}"#),
        ].map {
            TestMessage(what: "a message with \($0.0)", body: $0.1.replacing("\\u0000", with: "\\u0002"))
        }
        let body = message?.body ?? ""
        messages += (objects(from: body) + ReplacedTexts.overlong(in: body, within: largest)).map {
            TestMessage(what: "a message with \($0.0)", body: $0.1)
        }
        // The usual forms too: what is taken may not be all that is.
        let usual = [#"{"text":"hello"}"#, #""hello""#].filter { $0 != body }
        for (what, text) in ([body] + usual).flatMap({ ReplacedTexts.escaped(in: $0, within: largest) }) {
            messages.append(TestMessage(what: "a message with \(what)", body: text))
        }
        return messages
    }

    /// The same body under unusual numbers and IDs.
    static func unusual(_ message: TestMessage) -> [TestMessage] {
        func with(_ what: String, _ change: (inout TestMessage) -> Void) -> TestMessage {
            var changed = message
            changed.what = what
            change(&changed)
            return changed
        }
        return [
            with("the number 1 again") { $0.number = 1 },
            with("the greatest number") { $0.number = .max },
            with("the number 0") { ($0.number, $0.isBeyondContract) = (0, true) },
            with("the least number") { ($0.number, $0.isBeyondContract) = (.min, true) },
            with("an ID of 128 bytes") { $0.id = longest },
            with("no ID") { $0.id = "" },
            with("an ID of unusual characters") { $0.id = "👩‍👩‍👧\u{202e}\u{1}" },
        ]
            + ReplacedTexts.escaped.flatMap { what, text in
                [with("an ID \(what)") { $0.id = text }, with("an agent's name \(what)") { $0.agent = text }]
            }
    }

    /// Configurations that a host may pass, whatever they mean to the channel.
    static let hostileConfigurations: [(what: String, text: String, isBeyondContract: Bool)] = [
        ("an unknown key", #"{"no such key of any channel":1}"#, false),
        ("members of other types", #"{"a":[],"b":{},"c":-1,"":null,"requireKey":"yes"}"#, false),
        ("deep members", #"{"a":\#(deep)}"#, false),
        ("1 MiB of text", #"{"a":"\#(String(repeating: "x", count: 1 << 20))"}"#, false),
        ("unusual characters", "{\(unicode):\(unicode)}", false),
        ("a list", "[1,2]", true),
        ("a number", "17", true),
        ("no bytes", "", true),
        ("an object cut short", #"{"a":"#, true),
        ("no JSON", "not JSON at all", true),
        ("a NUL among the bytes", "{\"a\":\"\u{0}\"}", true),
        ("10,000 levels", String(repeating: "[", count: 10_000), true),
    ]
}
