/// An answer of a server with the chat completions interface, told by its first byte to be a stream of events or one
/// document: a type that says otherwise is common.
///
/// Pure: it is given bytes and says what of the answer's text is new.
struct ChatAnswer {
    private enum Form { case unknown, stream, document }

    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    private var form = Form.unknown
    private var completion = ChatCompletion()
    /// What came before the form was known, or the document.
    private var held: [UInt8] = []
    private var received = 0
    private let maximumBytes: Int

    /// - Parameter maximumBytes: of whatever the answer consists of; a token of text may come with hundreds.
    init(maximumBytes: Int = 32 << 20) { self.maximumBytes = maximumBytes }

    /// Whether what still comes says nothing more.
    var isComplete: Bool { completion.isComplete }

    /// More of the answer has come.
    ///
    /// - Returns: the new text; empty where there is none.
    mutating func append(_ bytes: some Collection<UInt8>) throws(AgentFailure) -> String {
        received += bytes.count
        guard received <= maximumBytes else {
            throw AgentFailure(.refused, "The answer has more than \(maximumBytes) bytes.")
        }
        switch form {
        case .stream: return try completion.append(bytes)
        case .document: try hold(bytes)
        case .unknown:
            try hold(bytes)
            let text = held.starts(with: Self.byteOrderMark) ? held.dropFirst(3) : held[...]
            // A mark may come in pieces; its first byte is no letter of a form.
            if Self.byteOrderMark.starts(with: held) { return "" }
            guard let first = text.first(where: { !Self.isBlank($0) }) else { return "" }
            form = try Self.form(beginningWith: first)
            if form == .stream {
                defer { held = [] }
                return try completion.append(held)
            }
            held = Array(text)
        }
        return ""
    }

    /// The answer has ended.
    ///
    /// - Returns: its whole text.
    mutating func end() throws(AgentFailure) -> String {
        form == .document ? try completion.document(held) : try completion.end()
    }

    /// What the model wants done, once the answer has ended.
    func toolCalls() throws(AgentFailure) -> [ChatToolCalls.Call] { try completion.toolCalls() }

    private mutating func hold(_ bytes: some Collection<UInt8>) throws(AgentFailure) {
        guard held.count + bytes.count <= ChatCompletion.maximumDocumentBytes else {
            throw AgentFailure(
                .refused,
                "The answer is one document of more than \(ChatCompletion.maximumDocumentBytes) bytes.")
        }
        held += bytes
    }

    /// Events begin with a comment, or one of the fields data, event, id and retry.
    private static func form(beginningWith first: UInt8) throws(AgentFailure) -> Form {
        if first == UInt8(ascii: "{") { return .document }
        if ":deir".utf8.contains(first) { return .stream }
        throw AgentFailure(
            .invalidAnswer,
            "The answer is neither a stream of events nor a JSON object; is the address right?")
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        [UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t")].contains(byte)
    }
}
