import Cryptography
import PairingCore

/// The tool calls of an answer, put together from the pieces in which they come.
///
/// Servers differ: some send a call whole, some its arguments letter by letter; some leave out the index, the
/// identifier, or the arguments of a tool that takes none, and some write the arguments as an object.
struct ChatToolCalls {
    /// One call as the model spells it.
    struct Call: Sendable, Equatable {
        /// The server's identifier.
        var id: String
        /// The name that the tool was offered by.
        var name = ""
        /// JSON text, if the model made no mistake.
        var arguments = ""
    }

    /// The most calls of an answer, and the most bytes of their names, identifiers and arguments together.
    static let limits = (calls: 16, bytes: 64 << 10)

    private var calls: [(index: Int64, call: Call)] = []
    private var bytes = 0

    /// The message, or a piece of it, has come.
    mutating func take(_ message: JSONValue) throws(AgentFailure) {
        guard case .array(let pieces)? = message["tool_calls"] else { return }
        for piece in pieces {
            let place = try place(of: piece)
            let function = piece["function"]
            let arguments: String =
                switch function?["arguments"] {
                case .string(let text)?: text
                case .object(let members)?: JSONValue.object(members).text
                default: ""
                }
            // Some servers repeat the name with every piece.
            if calls[place].call.name.isEmpty { calls[place].call.name = function?["name"]?.string ?? "" }
            calls[place].call.arguments += arguments
            bytes += arguments.utf8.count + (function?["name"]?.string?.utf8.count ?? 0)
            guard bytes <= Self.limits.bytes else {
                throw AgentFailure(.refused, "Its tool calls have more than \(Self.limits.bytes) bytes.")
            }
        }
    }

    /// What was called, in the order in which it came.
    func whole() throws(AgentFailure) -> [Call] {
        guard calls.allSatisfy({ !$0.call.name.isEmpty }) else {
            throw AgentFailure(.invalidAnswer, "The answer has a tool call without a name.")
        }
        return calls.map(\.call)
    }

    private mutating func place(of piece: JSONValue) throws(AgentFailure) -> Int {
        let id = piece["id"]?.string ?? ""
        bytes += id.utf8.count
        if let index = piece["index"]?.wholeNumber {
            if let place = calls.firstIndex(where: { $0.index == index }) { return place }
            return try add(index, id)
        }
        // Without an index, an identifier or a name begins another call.
        if !id.isEmpty, let place = calls.firstIndex(where: { $0.call.id == id }) { return place }
        if calls.isEmpty || !id.isEmpty || piece["function"]?["name"]?.string?.isEmpty == false {
            return try add((calls.map(\.index).max() ?? -1) + 1, id)
        }
        return calls.count - 1
    }

    private mutating func add(_ index: Int64, _ id: String) throws(AgentFailure) -> Int {
        guard calls.count < Self.limits.calls, index < .max else {
            throw AgentFailure(.refused, "The answer has more than \(Self.limits.calls) tool calls.")
        }
        calls.append((index, Call(id: id.isEmpty ? "call_\(calls.count)" : id)))
        return calls.count - 1
    }
}

/// The tools of a request by the names that the interface allows: up to 64 letters, digits, hyphens and underscores.
struct ChatTools {
    private let tools: AgentTools
    private let named: [(name: String, tool: AgentTools.Tool)]

    init(_ tools: AgentTools) {
        self.tools = tools
        var taken: Set<String> = []
        named = tools.offered.map { tool in
            let allowed = Self.allowed(tool.name)
            var (name, number) = (allowed, 1)
            while !taken.insert(name).inserted {
                number += 1
                name = allowed.prefix(64 - 4) + "_\(number)"
            }
            return (name, tool)
        }
    }

    /// The request's member `tools`.
    var offer: JSONValue {
        .array(
            named.map { name, tool in
                var function: [String: JSONValue] = ["name": .string(name), "parameters": tool.parameters]
                if !tool.summary.isEmpty { function["description"] = .string(tool.summary) }
                return .object(["type": .string("function"), "function": .object(function)])
            })
    }

    /// Has one call carried out.
    ///
    /// - Parameter place: names the call among those of the conversation.
    /// - Returns: what the model is told.
    func run(_ call: ChatToolCalls.Call, place: String) async -> String {
        guard let tool = named.first(where: { $0.name == call.name })?.tool else {
            return Self.problem("There is no tool of this name.")
        }
        let text = call.arguments.isEmpty ? "{}" : call.arguments
        guard let arguments = try? JSONValue(parsing: text.utf8), case .object = arguments else {
            return Self.problem("The arguments are not a JSON object.")
        }
        let key = sha256("\(place)\n\(tool.name)\n\(arguments.text)".utf8).prefix(16)
        return await tools.run(AgentTools.Call(key: hexadecimal(key), name: tool.name, arguments: arguments))
    }

    private static func problem(_ sentence: String) -> String {
        JSONValue.object(["error": .string(sentence)]).text
    }

    private static func allowed(_ name: String) -> String {
        let characters = name.utf8.prefix(64).map { byte -> UInt8 in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                byte
            default: UInt8(ascii: "_")
            }
        }
        return characters.isEmpty ? "_" : String(decoding: characters, as: UTF8.self)
    }
}
