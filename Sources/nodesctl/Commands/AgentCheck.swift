import Agents
import FoundationEssentials
import PairingCore
import Synchronization

/// How an agent answered one message.
struct AgentCheck: Equatable {
    /// What it made of the message.
    var answer: AgentAnswer
    /// From the question to the first part; `nil` where it came in one piece.
    var firstPart: Duration?
    /// From the question to the whole answer.
    var whole: Duration

    /// Asks once.
    ///
    /// - Throws: ``CommandFailure`` in the words of the command line.
    static func run(_ agent: any Agent, message: String) async throws(CommandFailure) -> AgentCheck {
        guard let channel = ChannelID("check"), let sender = SenderID("nodesctl-check") else {
            throw CommandFailure(.failure, "The check has no sender.")
        }
        let request = AgentRequest(
            key: "check.\(UUID().uuidString)", channel: channel, senderID: sender,
            body: JSONValue.string(message).text)
        let first = FirstPart()
        let began = ContinuousClock.now
        do throws(AgentFailure) {
            let answer = try await agent.answer(request) { _ in first.came() }
            return AgentCheck(
                answer: answer, firstPart: first.instant.map { $0 - began },
                whole: ContinuousClock.now - began)
        } catch {
            throw CommandFailure(error, of: agent.name)
        }
    }

    /// For a program.
    func json(_ name: String, _ url: String) -> JSONValue {
        let reply: JSONValue = if case .reply(let body) = answer { .string(body) } else { .null }
        return .object([
            "agent": .string(name), "url": url.isEmpty ? .null : .string(url), "answers": .bool(true),
            "later": .bool(answer == .accepted), "reply": reply,
            "firstPartMs": firstPart.map { .integer($0.milliseconds) } ?? .null,
            "answerMs": .integer(whole.milliseconds),
        ])
    }

    /// For a person.
    func text(_ name: String, _ url: String) -> String {
        var sheet = TextSheet()
        sheet.add("Agent", name)
        sheet.add("Address", url)
        sheet.add("First part", firstPart.map { "after \($0.milliseconds) ms" })
        switch answer {
        case .reply(let body):
            sheet.add("Answer", "after \(whole.milliseconds) ms, \(body.utf8.count) bytes")
            sheet.add("It says", body.count > 200 ? "\(body.prefix(200))…" : body)
        case .accepted:
            sheet.add(
                "Answer", "taken after \(whole.milliseconds) ms; it answers later, through message.push")
        }
        return sheet.text
    }
}

/// When the first part came.
private final class FirstPart: Sendable {
    private let state = Mutex<ContinuousClock.Instant?>(nil)

    var instant: ContinuousClock.Instant? { state.withLock { $0 } }

    func came() {
        state.withLock { $0 = $0 ?? .now }
    }
}

extension CommandFailure {
    /// Why an agent did not answer, and what to look at.
    init(_ failure: AgentFailure, of name: String) {
        let (status, verdict): (ExitStatus, String) =
            switch failure.reason {
            case .unreachable:
                (.unavailable, "cannot be reached. Check its address, and whether it runs")
            case .timedOut: (.unavailable, "did not answer in time")
            case .busy: (.tryAgain, "is too busy")
            case .refused: (.refused, "refuses the message")
            case .invalidAnswer: (.refused, "answers what is no answer")
            case .cancelled: (.failure, "was not waited for")
            }
        self.init(status, "The agent \(name) \(verdict). \(failure.message)")
    }
}
