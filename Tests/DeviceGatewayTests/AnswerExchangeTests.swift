import NodesProtocol
import PairingCore
import PairingKernel
import Testing

@testable import DeviceGateway

@Suite("An HTTP request's answer")
struct AnswerExchangeTests {
    static let answer = ChatCompletionAnswer(id: "chatcmpl-m1", created: 1, model: "echo")

    static func exchange(isStream: Bool = true) -> AnswerExchange {
        AnswerExchange(answer: answer, isStream: isStream, now: .seconds(100), timeout: .seconds(60))
    }

    static func part(_ number: Int, _ text: String, agent: String = "a") -> AnswerEvent {
        .part(agent: agent, number: number, text: text)
    }

    static func whole(_ text: String) -> AnsweredMessage {
        AnsweredMessage(sequence: 7, agent: "a", body: JSONValue.object(["text": .string(text)]).text)
    }

    @Test("Pieces are shown as they come, and the rest with the end")
    func pieces() {
        var exchange = Self.exchange()
        #expect(exchange.begin() == [.begin(Self.answer.beginning)])
        #expect(exchange.told(Self.part(0, "Hel")) == [.write(Self.answer.piece("Hel"))])
        #expect(exchange.told(Self.part(1, "lo ")) == [.write(Self.answer.piece("lo "))])
        #expect(
            exchange.told(.answered([Self.whole("Hello you")]))
                == [.end(Self.answer.piece("you") + Self.answer.end, [Self.whole("Hello you")])])
        #expect(exchange.isOver)
        #expect(exchange.told(Self.part(2, "x")) == [])
    }

    @Test("A piece that is lost, and those of another agent, are made up for by the end")
    func lostPieces() {
        var exchange = Self.exchange()
        _ = exchange.told(Self.part(0, "a"))
        #expect(exchange.told(Self.part(2, "c")) == [])
        #expect(exchange.told(Self.part(0, "b", agent: "other")) == [])
        #expect(
            exchange.told(.answered([Self.whole("abcd")]))
                == [.end(Self.answer.piece("bcd") + Self.answer.end, [Self.whole("abcd")])])
    }

    @Test("While the client takes nothing in nothing is written, and then all at once")
    func slowClient() {
        var exchange = Self.exchange()
        #expect(exchange.writable(false) == [])
        #expect(exchange.told(Self.part(0, "a")) == [])
        #expect(exchange.told(Self.part(1, "🛰")) == [])
        #expect(exchange.ticked(now: .seconds(130)) == [])
        #expect(exchange.writable(true) == [.write(Self.answer.piece("a🛰"))])
    }

    @Test("An agent that begins anew ends a stream of which something was shown, and no other")
    func retry() {
        var shown = Self.exchange()
        _ = shown.told(Self.part(0, "Hel"))
        let actions = shown.told(.retrying(reason: "unreachable"))
        #expect(actions.count == 2 && actions.last == .giveUp && shown.isOver)
        guard case .end(let text, [])? = actions.first else {
            Issue.record("\(actions)")
            return
        }
        #expect(text.contains("agent_failed") && !text.contains("[DONE]"))

        var hidden = Self.exchange()
        _ = hidden.writable(false)
        _ = hidden.told(Self.part(0, "Hel"))
        #expect(hidden.told(.retrying(reason: "unreachable")) == [])
        _ = hidden.writable(true)
        #expect(hidden.told(Self.part(0, "Other")) == [.write(Self.answer.piece("Other"))])
    }

    @Test("A whole answer is one document; what fails has its status")
    func documents() {
        var exchange = Self.exchange(isStream: false)
        #expect(exchange.begin() == [])
        #expect(exchange.told(Self.part(0, "Hel")) == [])
        #expect(
            exchange.told(.answered([Self.whole("Hello"), Self.whole("you")]))
                == [
                    .document(Self.answer.document("Hello\n\nyou"), [Self.whole("Hello"), Self.whole("you")])
                ]
        )
        for (event, status) in [
            (AnswerEvent.ended(.pairingEnded), 403),
            (.unanswered(state: "undeliverable", reason: "refused"), 502),
            (.unanswered(state: "withdrawn", reason: "aborted"), 409), (.ended(.unavailable), 503),
        ] {
            var exchange = Self.exchange(isStream: false)
            guard case .refuse(let refusal)? = exchange.told(event).first else {
                Issue.record("\(event)")
                continue
            }
            #expect(refusal.chatCompletionsStatus == status)
        }
    }

    @Test("A silent stream says now and then that it is there; an answer that is late is given up")
    func clock() {
        var exchange = Self.exchange()
        #expect(exchange.ticked(now: .seconds(114)) == [])
        #expect(exchange.ticked(now: .seconds(115)) == [.write(ChatCompletionAnswer.comment)])
        #expect(exchange.ticked(now: .seconds(116)) == [])
        let late = exchange.ticked(now: .seconds(160))
        #expect(late.last == .giveUp)
        #expect(exchange.ticked(now: .seconds(161)) == [])
        var stopped = Self.exchange(isStream: false)
        let last = stopped.stop()
        #expect(last.last == .giveUp)
        #expect(stopped.stop() == [])
    }
}

extension Refusal {
    fileprivate static let pairingEnded = Refusal(.notPaired, "revoked", "Revoked.")
}
