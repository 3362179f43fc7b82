import Testing

@testable import Agents

@Suite("Server-sent events")
struct EventStreamReaderTests {
    /// Every way in which two events with the data `one` and `two` are sent.
    static let spellings: [(name: String, text: String)] = [
        ("line feeds", "data: one\n\ndata: two\n\n"),
        ("carriage returns and line feeds", "data: one\r\n\r\ndata: two\r\n\r\n"),
        ("carriage returns alone", "data: one\r\rdata: two\r\r"),
        ("no blank after the colon", "data:one\n\ndata:two\n\n"),
        ("comments as keep-alive", ": ping\n\ndata: one\n\n:\n\ndata: two\n\n: ping\n"),
        ("other fields", "event: message\nid: 7\ndata: one\nretry: 10\n\ndata: two\n\n"),
        ("a byte-order mark", "\u{FEFF}data: one\n\ndata: two\n\n"),
        ("many empty lines", "\n\n\ndata: one\n\n\n\ndata: two\n\n\n"),
        ("no empty line at the end", "data: one\n\ndata: two\n"),
        ("no line's end at all", "data: one\n\ndata: two"),
    ]

    @Test("Every spelling of two events is read, in one piece", arguments: spellings.indices)
    func whole(index: Int) throws {
        var reader = EventStreamReader(maximumBytes: 100)
        var events = try reader.append(Self.spellings[index].text.utf8)
        if let last = try reader.end() { events.append(last) }
        #expect(events == [Array("one".utf8), Array("two".utf8)], "\(Self.spellings[index].name)")
    }

    @Test("Events are the same wherever the stream is cut", arguments: spellings.indices)
    func cuts(index: Int) throws {
        let bytes = Array(Self.spellings[index].text.utf8)
        for cut in bytes.indices {
            var reader = EventStreamReader(maximumBytes: 100)
            var events = try reader.append(bytes[..<cut])
            events += try reader.append(bytes[cut...])
            if let last = try reader.end() { events.append(last) }
            #expect(events == [Array("one".utf8), Array("two".utf8)], "cut at \(cut)")
        }
    }

    @Test("Data in several lines is one event, with the lines' ends between")
    func lines() throws {
        var reader = EventStreamReader(maximumBytes: 100)
        #expect(try reader.append("data: a\ndata:\ndata:  b\n\n".utf8) == [Array("a\n\n b".utf8)])
    }

    @Test("A line or an event beyond the bound is refused, not gathered")
    func bounds() {
        #expect(throws: EventStreamReader.TooLong.self) {
            var reader = EventStreamReader(maximumBytes: 8)
            _ = try reader.append("data: 123456789".utf8)
        }
        #expect(throws: EventStreamReader.TooLong.self) {
            var reader = EventStreamReader(maximumBytes: 8)
            for _ in 0..<10 { _ = try reader.append("data:12\n".utf8) }
        }
    }
}
