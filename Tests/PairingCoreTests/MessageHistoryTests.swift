import Testing

@testable import PairingCore

@Suite("What was said before, page by page")
struct MessageHistoryTests {
    private static func line(_ number: Int64, _ agent: String?, at: Int64, bytes: Int = 1)
        -> MessageHistory.Line
    {
        MessageHistory.Line(
            sequence: number, agent: agent, messageID: nil, body: String(repeating: "1", count: bytes),
            at: Timestamp(milliseconds: at))
    }

    /// The device says 1 to 6, one a second; an agent answers each half a second later but the third.
    private static let sent = (1...6).map { line($0, nil, at: $0 * 1000) }
    private static let received = [1, 2, 4, 5, 6].enumerated().map { place, second in
        line(Int64(place + 1), "a", at: Int64(second) * 1000 + 500)
    }

    private static func side(
        _ lines: [MessageHistory.Line], before: Int64, limit: Int
    ) -> MessageHistory.Side {
        let fitting = Array(lines.filter { $0.sequence < before }.reversed().prefix(limit))
        return MessageHistory.Side(
            lines: fitting, floor: fitting.count < limit ? 1 : fitting.last?.sequence ?? 1)
    }

    private static func pages(limit: Int, bytes: Int = MessageHistory.maximumBytes) -> [[String]] {
        var pages: [[String]] = []
        var cursor: MessageHistory.Cursor? = MessageHistory.Cursor()
        while let before = cursor, pages.count < 20 {
            let page = MessageHistory.page(
                sent: side(sent, before: before.sent, limit: limit),
                received: side(received, before: before.received, limit: limit), before: before,
                limit: limit, bytes: bytes)
            pages.append(page.lines.map { ($0.agent ?? "d") + "\($0.sequence)" })
            cursor = page.next
        }
        return pages
    }

    private static let whole = ["d1", "a1", "d2", "a2", "d3", "d4", "a3", "d5", "a4", "d6", "a5"]

    @Test("Pages of any size make up the whole, in the order of its times, nothing twice", arguments: 1...12)
    func wholes(limit: Int) {
        let pages = Self.pages(limit: limit)
        #expect(pages.reversed().flatMap { $0 } == Self.whole)
        #expect(pages.allSatisfy { $0.count <= limit })
    }

    @Test("A page ends where its bytes do, and has one message whatever its size")
    func bytes() {
        #expect(Self.pages(limit: 50, bytes: 3).map(\.count) == [3, 3, 3, 2])
        #expect(Self.pages(limit: 50, bytes: 0).map(\.count) == Array(repeating: 1, count: 11))
    }

    @Test("A clock that was set back neither loses nor repeats a message")
    func clocks() {
        let sent = MessageHistory.Side(
            lines: [Self.line(3, nil, at: 50), Self.line(2, nil, at: 900), Self.line(1, nil, at: 10)],
            floor: 1)
        let page = MessageHistory.page(
            sent: sent, received: MessageHistory.Side(lines: [Self.line(7, "a", at: 60)], floor: 7),
            before: MessageHistory.Cursor(), limit: 2)
        #expect(page.lines.map(\.sequence) == [3, 7])
        #expect(page.next == MessageHistory.Cursor(sent: 3, received: 7))
    }

    @Test("Where nothing was found in what was looked through, the next page looks farther back")
    func windows() {
        let empty = MessageHistory.page(
            sent: MessageHistory.Side(lines: [], floor: 4000),
            received: MessageHistory.Side(lines: [], floor: 1),
            before: MessageHistory.Cursor(sent: 6000, received: 90), limit: 10)
        #expect(
            empty
                == MessageHistory.Page(
                    lines: [], next: MessageHistory.Cursor(sent: 4000, received: 1)))
        let end = MessageHistory.page(
            sent: MessageHistory.Side(lines: [], floor: 1),
            received: MessageHistory.Side(lines: [], floor: 1),
            before: MessageHistory.Cursor(sent: 4000, received: 1), limit: 10)
        #expect(end.next == nil)
    }

    @Test("I7: a conversation's name is bounded, and kept as it is or refused")
    func names() throws {
        #expect(ConversationName("agent:main:Küche 2")?.text == "agent:main:Küche 2")
        for text in ["", " a", "a\u{202E}b", "a\nb", "a\u{0}", String(repeating: "é", count: 65)] {
            #expect(ConversationName(text) == nil, "\(text.debugDescription)")
        }
        #expect(ConversationName(String(repeating: "é", count: 64)) != nil)
        #expect(ConversationName.main.isMain)
    }
}
