import NodesProtocol
import PairingCore
import PairingKernel

/// One request for an answer, from the acceptance of its message to the last byte: what is written of what is told. The
/// interface's half of the exchange, without its input and output.
///
/// What was shown of a stream can't be taken back. So only what an answer begins with is shown, and an agent that
/// begins anew after that ends the stream.
struct AnswerExchange {
    /// What the shell does.
    enum Action: Equatable {
        /// Answer with this document. Once it is written the answers are handed over; where it can't be, they are given up.
        case document(String, [AnsweredMessage])
        /// Answer with a refusal, where nothing was written yet.
        case refuse(Refusal)
        /// Begin a stream with this text.
        case begin(String)
        /// Write more of the stream.
        case write(String)
        /// Write the last of the stream, and end it; the same holds for the answers.
        case end(String, [AnsweredMessage])
        /// Nobody reads an answer any more.
        case giveUp
    }

    /// How often something is written to a stream.
    static let heartbeat = Duration.seconds(15)

    private let answer: ChatCompletionAnswer
    private let isStream: Bool
    private let deadline: Duration
    private var nextBeat: Duration
    /// What was told of the answer, from its beginning on.
    private var known = ""
    /// How much of it was written, in bytes.
    private var shown = 0
    /// Whose pieces are shown, and which comes next.
    private var agent: String?
    private var nextPart = 0
    private var isWritable = true
    private(set) var isOver = false

    /// - Parameters:
    ///   - now: on a clock of the caller's.
    ///   - timeout: for the whole answer.
    init(answer: ChatCompletionAnswer, isStream: Bool, now: Duration, timeout: Duration) {
        self.answer = answer
        self.isStream = isStream
        deadline = now + timeout
        nextBeat = now + Self.heartbeat
    }

    /// The message is accepted.
    func begin() -> [Action] { isStream ? [.begin(answer.beginning)] : [] }

    /// Something was told of the answer.
    mutating func told(_ event: AnswerEvent) -> [Action] {
        if isOver { return [] }
        switch event {
        case .part(let agent, let number, let text):
            if self.agent == nil { self.agent = agent }
            // A piece that is missing can't be made up for, nor can those behind it be shown.
            guard isStream, agent == self.agent, number == nextPart else { return [] }
            nextPart += 1
            known += text
            return show()
        case .retrying(let reason):
            guard shown == 0 else { return fail(.agentFailed(reason)) + [.giveUp] }
            (known, agent, nextPart) = ("", nil, 0)
            return []
        case .answered(let messages): return finish(messages)
        case .unanswered(let state, let reason): return fail(.unanswered(state, reason))
        case .ended(let refusal): return fail(refusal)
        }
    }

    /// The client takes more in, or does not.
    mutating func writable(_ isWritable: Bool) -> [Action] {
        self.isWritable = isWritable
        return isOver ? [] : show()
    }

    /// It is time to look at the clock.
    mutating func ticked(now: Duration) -> [Action] {
        if isOver { return [] }
        if now >= deadline { return fail(.answerTimeout) + [.giveUp] }
        guard isStream, isWritable, now >= nextBeat else { return [] }
        nextBeat = now + Self.heartbeat
        return [.write(ChatCompletionAnswer.comment)]
    }

    /// This instance stops.
    mutating func stop() -> [Action] { isOver ? [] : fail(.instanceStops) + [.giveUp] }

    private mutating func show() -> [Action] {
        guard isStream, isWritable, let text = takeUnshown() else { return [] }
        return [.write(answer.piece(text))]
    }

    private mutating func takeUnshown() -> String? {
        let all = known.utf8
        guard shown < all.count else { return nil }
        defer { shown = all.count }
        return String(all.dropFirst(shown))
    }

    private mutating func finish(_ messages: [AnsweredMessage]) -> [Action] {
        isOver = true
        let text = messages.map { spokenText(of: $0.body) }.joined(separator: "\n\n")
        guard isStream else { return [.document(answer.document(text), messages)] }
        if shown == 0 || text.utf8.starts(with: known.utf8.prefix(shown)) {
            known = text
        } else {
            // What was shown is another beginning than that of the answer: the answer follows it, whole.
            known += "\n\n" + text
        }
        let rest = takeUnshown().map(answer.piece) ?? ""
        return [.end(rest + answer.end, messages)]
    }

    private mutating func fail(_ refusal: Refusal) -> [Action] {
        isOver = true
        return isStream ? [.end(ChatCompletionAnswer.failure(refusal), [])] : [.refuse(refusal)]
    }
}

extension Refusal {
    fileprivate static func agentFailed(_ reason: String) -> Refusal {
        Refusal(
            .agentFailed, "The agent failed in the middle of its answer (\(reason)). Send the message again.")
    }

    fileprivate static func unanswered(_ state: String, _ reason: String) -> Refusal {
        switch state {
        case "withdrawn":
            Refusal(
                .withdrawn, "The message was given up (\(reason)); to have it answered send it as a new one.")
        default:
            Refusal(.agentFailed, "No agent answers this message: \(reason). It is \(state).")
        }
    }

    fileprivate static let answerTimeout = Refusal(.answerTimeout)

    fileprivate static let instanceStops = Refusal(.stopping)
}
