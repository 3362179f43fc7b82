import PairingCore

/// What a server with the chat completions interface answers, read as it comes: a stream of chunks, or one document.
///
/// Pure: it is given bytes and says what of the answer's text is new.
struct ChatCompletion {
    /// What an answer may hold, as servers' documents are far smaller and far flatter.
    private static let limits = JSONLimits(depth: 64, values: 65_536)
    /// The greatest answer, in bytes of its text.
    static let maximumAnswerBytes = 256 << 10
    /// The greatest chunk, and the greatest answer that comes as one document, in bytes.
    static let maximumDocumentBytes = 1 << 20

    private var events = EventStreamReader(maximumBytes: maximumDocumentBytes)
    private var split = SplitText()
    private var text = ""
    private var finish: String?
    private var isDone = false
    private var calls = ChatToolCalls()

    /// More of a stream has come.
    ///
    /// - Returns: the new text; empty where there is none.
    mutating func append(_ bytes: some Sequence<UInt8>) throws(AgentFailure) -> String {
        let complete: [[UInt8]]
        do throws(EventStreamReader.TooLong) {
            complete = try events.append(bytes)
        } catch {
            throw Self.tooLong
        }
        var new = ""
        for event in complete { new += try chunk(event) }
        return new
    }

    /// The stream has ended.
    ///
    /// - Returns: the whole answer's text.
    /// - Throws: where it was cut off: neither `[DONE]` came nor a reason for the end.
    mutating func end() throws(AgentFailure) -> String {
        var last: [UInt8]?
        do throws(EventStreamReader.TooLong) {
            last = try events.end()
        } catch {
            throw Self.tooLong
        }
        if let last { _ = try chunk(last) }
        guard isDone || finish != nil else {
            throw AgentFailure(.unreachable, "The answer was cut off after \(text.utf8.count) bytes of text.")
        }
        return try whole()
    }

    /// Whether what still comes says nothing more.
    var isComplete: Bool { isDone }

    /// The answer came as one document, though a stream was asked for.
    mutating func document(_ bytes: [UInt8]) throws(AgentFailure) -> String {
        let answer = try parse(bytes)
        try refuse(answer)
        guard try take(answer, from: "message") != nil else {
            throw AgentFailure(.invalidAnswer, "The answer has no choices[0].message.")
        }
        return try whole()
    }

    /// What the model wants done, once the answer has ended.
    func toolCalls() throws(AgentFailure) -> [ChatToolCalls.Call] { try calls.whole() }

    /// What an answer with an error status says of itself, for people: at most 200 characters of one line.
    static func complaint(_ bytes: [UInt8]) -> String? {
        guard let answer = try? JSONValue(parsing: bytes, limits: limits) else { return nil }
        let message =
            answer["error"]?["message"]?.string ?? answer["error"]?.string ?? answer["message"]?.string
        return message.map(excerpt)
    }

    private static let tooLong = AgentFailure(
        .invalidAnswer, "The answer has a chunk of more than \(maximumDocumentBytes) bytes.")

    private static func excerpt(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 }.prefix(200))
    }

    private mutating func chunk(_ data: [UInt8]) throws(AgentFailure) -> String {
        if isDone { return "" }
        let trimmed = data.drop { $0 == UInt8(ascii: " ") }
        if trimmed.isEmpty { return "" }
        if trimmed.elementsEqual("[DONE]".utf8) {
            isDone = true
            return ""
        }
        let chunk = try parse(data)
        try refuse(chunk)
        // One with the usage alone has no choices. Servers that don't stream inside put the whole message there.
        if let new = try take(chunk, from: "delta") { return new }
        return try take(chunk, from: "message") ?? ""
    }

    private mutating func parse(_ bytes: [UInt8]) throws(AgentFailure) -> JSONValue {
        do throws(JSONSyntaxError) {
            return try JSONValue(parsing: split.escape(bytes), limits: Self.limits)
        } catch {
            throw AgentFailure(.invalidAnswer, "The answer is not JSON: \(error).")
        }
    }

    private func refuse(_ answer: JSONValue) throws(AgentFailure) {
        guard let error = answer["error"], error != .null else { return }
        let message = Self.excerpt(error["message"]?.string ?? error.string ?? "no message")
        let kind = [error["type"]?.string, error["code"]?.string].compactMap(\.self).joined(separator: " ")
        let isBusy = ["rate_limit", "overloaded", "capacity", "unavailable"].contains { kind.contains($0) }
        throw AgentFailure(isBusy ? .busy : .invalidAnswer, "It says: \(message)")
    }

    /// - Returns: the new text; `nil` where the first choice has no such member.
    private mutating func take(_ answer: JSONValue, from member: String) throws(AgentFailure) -> String? {
        guard case .array(let choices)? = answer["choices"], let choice = choices.first else { return nil }
        if let reason = choice["finish_reason"]?.string { finish = reason }
        guard let message = choice[member], message != .null else { return nil }
        try calls.take(message)
        let new = split.append(Self.content(message["content"]))
        guard text.utf8.count + new.utf8.count <= Self.maximumAnswerBytes else {
            throw AgentFailure(
                .refused, "The answer's text has more than \(Self.maximumAnswerBytes) bytes.")
        }
        text += new
        return new
    }

    /// Text, or parts of which some are text; what a model thinks beside that (`reasoning_content`) is left out.
    private static func content(_ content: JSONValue?) -> String {
        switch content {
        case .string(let text)?: text
        case .array(let parts)?: parts.compactMap { $0["text"]?.string }.joined()
        default: ""
        }
    }

    private mutating func whole() throws(AgentFailure) -> String {
        text += split.end()
        if text.isEmpty, finish == "content_filter" {
            throw AgentFailure(.refused, "The agent's filter withheld the answer.")
        }
        if text.isEmpty, finish == "length" {
            throw AgentFailure(.refused, "The answer's limit was reached before its text began.")
        }
        return text
    }
}
