import PairingCore
import Postgres
import Testing

@testable import PairingStore

@Suite("What is kept of a conversation")
struct HistoryTests {
    private static let kitchen = ConversationName(stored: "kitchen")

    private static func sender(_ session: PairingStore.LiveSession) -> PairingStore.PairedSender {
        PairingStore.PairedSender(senderID: session.senderID, generation: session.generation)
    }

    /// Six messages by turns in two conversations, each answered by an agent.
    private func talk(_ fixture: StoreFixture) async throws -> PairingStore.LiveSession {
        let session = try await fixture.session(fixture.paired("a"))
        let claim = PairingStore.WorkClaim(instance: StoreFixture.instances[0], lease: .seconds(60))
        for number in 1...6 {
            let conversation = number.isMultiple(of: 2) ? Self.kitchen : .main
            var message = PairingStore.InboundMessage(
                session: session, messageID: "m\(number)", body: "\"ask \(number)\"")
            message.conversation = conversation
            let accepted = try await fixture.store.accept([message], claim: claim)[0].done()
            let settled = try await fixture.store.settle(
                [
                    PairingStore.Settlement(
                        sender: Self.sender(session), sequence: accepted.sequence, messageID: "m\(number)",
                        result: .answered([.init(agent: "echo", body: "\"say \(number)\"")]),
                        conversation: conversation)
                ], for: claim)
            guard case .stored(let stored) = settled[0] else { throw Unexpected("stored", settled[0]) }
            #expect(stored.messages.map(\.conversation) == [conversation])
        }
        return session
    }

    private func page(
        _ fixture: StoreFixture, _ session: PairingStore.LiveSession, _ conversation: ConversationName,
        before: MessageHistory.Cursor = .init(), limit: Int = 10, bytes: Int = 1000
    ) async throws -> (texts: [String], next: MessageHistory.Cursor?) {
        let page = try await fixture.store.history(
            of: Self.sender(session), in: conversation, before: before, limit: limit, bytes: bytes)
        return (page.lines.map { "\($0.agent ?? "-") \($0.messageID ?? "-") \($0.body)" }, page.next)
    }

    @Test("Each conversation has its own, page by page, whatever is between them")
    func conversations() async throws {
        try await StoreFixture.run { fixture in
            let session = try await talk(fixture)
            let main = try await page(fixture, session, .main)
            #expect(
                main.texts
                    == [1, 3, 5].flatMap { ["- m\($0) \"ask \($0)\"", "echo m\($0) \"say \($0)\""] })
            #expect(main.next == nil)
            var texts: [String] = []
            var before: MessageHistory.Cursor? = .init()
            while let cursor = before {
                let part = try await page(fixture, session, Self.kitchen, before: cursor, limit: 4)
                #expect(part.texts.count <= 4)
                texts = part.texts + texts
                before = part.next
            }
            #expect(
                texts == [2, 4, 6].flatMap { ["- m\($0) \"ask \($0)\"", "echo m\($0) \"say \($0)\""] })
            #expect(try await page(fixture, session, ConversationName(stored: "hall")).texts.isEmpty)
        }
    }

    @Test("A page is bounded in bytes, and what retention removed or a device gave up is not in it")
    func bounds() async throws {
        try await StoreFixture.run { fixture in
            let session = try await talk(fixture)
            let part = try await page(fixture, session, .main, bytes: 13)
            #expect(part.texts == ["echo m5 \"say 5\""] && part.next != nil)
            try await fixture.pool.execute(
                "DELETE FROM messages WHERE sequence <= 2 OR (direction = 'out' AND sequence = 5)")
            try await fixture.pool.execute(
                "UPDATE messages SET ended = 'withdrawn' WHERE direction = 'in' AND sequence = 5")
            #expect(
                try await page(fixture, session, .main).texts
                    == ["- m3 \"ask 3\"", "echo m3 \"say 3\""])
            #expect(
                try await page(fixture, session, Self.kitchen).texts.last == "echo m6 \"say 6\"")
        }
    }

    @Test("An agent is told of the conversation that it is asked in, and of no other")
    func context() async throws {
        try await StoreFixture.run { fixture in
            let session = try await talk(fixture)
            for (conversation, numbers) in [(ConversationName.main, [1, 3, 5]), (Self.kitchen, [2, 4])] {
                let exchanges = try await fixture.store.conversation(
                    of: session.senderID, session.generation, with: "echo", in: conversation, before: 6,
                    limit: 10, bytes: 1000)
                #expect(
                    exchanges
                        == numbers.map { .init(heard: "\"ask \($0)\"", said: "\"say \($0)\"") })
            }
        }
    }
}
