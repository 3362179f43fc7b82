import PairingCore
import Postgres
import Testing

@testable import PairingStore

@Suite("What an agent and a device said to each other")
struct ConversationTests {
    /// Five messages; the agents support and sales answer by turns, and nobody the last.
    private func talk(_ fixture: StoreFixture) async throws -> PairingStore.LiveSession {
        let session = try await fixture.session(fixture.paired("a"))
        for number in 1...5 {
            var message = PairingStore.InboundMessage(
                session: session, messageID: "m\(number)", body: "\"raw \(number)\"")
            message.forwarded = [PairingStore.ForwardedMessage(agent: "", body: "\"heard \(number)\"")]
            _ = try await fixture.store.accept([message])
        }
        for number in 1...4 {
            try await fixture.pool.execute(
                """
                INSERT INTO messages (sender_key, generation, direction, sequence, reply_to, agent, body, created_at)
                VALUES ($1, $2, 'out', $3, $3, $4, $5, clock_timestamp())
                """,
                [
                    .text(session.senderID.key), .int64(session.generation.number), .int64(Int64(number)),
                    .text(number.isMultiple(of: 2) ? "sales" : "support"), .text("\"said \(number)\""),
                ])
        }
        return session
    }

    private func conversation(
        _ fixture: StoreFixture, _ session: PairingStore.LiveSession, with agent: String = "support",
        before sequence: Int64 = 5, limit: Int = 10, bytes: Int = 1000
    ) async throws -> [String] {
        try await fixture.store.conversation(
            of: session.senderID, session.generation, with: agent, before: sequence, limit: limit,
            bytes: bytes
        ).map { "\($0.heard ?? "-") \($0.said)" }
    }

    private let first = "\"heard 1\" \"said 1\""
    private let third = "\"heard 3\" \"said 3\""

    @Test("It is what that agent heard and said before the message, oldest first, and nothing of another's")
    func order() async throws {
        try await StoreFixture.run { fixture in
            let session = try await talk(fixture)
            #expect(try await conversation(fixture, session) == [first, third])
            #expect(try await conversation(fixture, session, before: 3) == [first])
            #expect(try await conversation(fixture, session, with: "nobody").isEmpty)
        }
    }

    @Test("It is bounded by number and by bytes, and the newest stays")
    func bounds() async throws {
        try await StoreFixture.run { fixture in
            let session = try await talk(fixture)
            #expect(try await conversation(fixture, session, limit: 1) == [third])
            #expect(try await conversation(fixture, session, limit: 0).isEmpty)
            #expect(try await conversation(fixture, session, bytes: 43) == [third])
            #expect(try await conversation(fixture, session, bytes: 42).isEmpty)
            #expect(try await conversation(fixture, session, bytes: 86) == [first, third])
        }
    }

    @Test("What the agent said by itself is part of it, and an older pairing's conversation is not")
    func alone() async throws {
        try await StoreFixture.run { fixture in
            let session = try await talk(fixture)
            try await fixture.pool.execute(
                """
                INSERT INTO messages (sender_key, generation, direction, sequence, agent, body, created_at)
                VALUES ($1, $2, 'out', 9, 'support', '"by itself"', clock_timestamp()),
                    ($1, $2 - 1, 'out', 1, 'support', '"older"', clock_timestamp())
                """, [.text(session.senderID.key), .int64(session.generation.number)])
            #expect(try await conversation(fixture, session) == [first, third, "- \"by itself\""])
        }
    }
}
