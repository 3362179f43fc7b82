import Glibc
import PairingCore
import Testing

@testable import ChannelHost

@Suite("The rules of the host, without a plugin")
struct RuleTests {
    @Test("What belongs to another account than root and ours is not trusted")
    func owner() throws {
        var status = stat()
        try checkOwner(status, named: "x")
        status.st_uid = geteuid()
        try checkOwner(status, named: "x")
        status.st_uid = geteuid() + 12345
        let error = try #require(throws: Untrusted.self) { try checkOwner(status, named: "/a/x.so") }
        #expect(
            error.message.hasPrefix("/a/x.so belongs to user \(geteuid() + 12345), expected root or user"))
    }

    @Test("Calls of one lane run one after the other, others in between, first come first served")
    func lanes() {
        var queue = CallQueue<String>(capacity: 4)
        let added = [("a1", 1), ("a2", 1), ("b1", 2), ("free", nil), ("too many", nil)].map {
            queue.add($0.0, lane: $0.1)
        }
        #expect(added == [true, true, true, true, false])
        let isClosing = queue.add("closing", lane: 1, always: true)
        #expect(isClosing)
        #expect(queue.count == 5)
        let first = (0..<4).map { _ in queue.next() }
        #expect(first == ["a1", "b1", "free", nil])
        let left = [queue.leave(lane: 1), queue.leave(lane: 2)]
        #expect(left == [true, false])
        let second = [queue.next(), queue.next()]
        #expect(second == ["a2", nil])
        let third = (queue.leave(lane: 1), queue.next(), queue.leave(lane: 1))
        #expect(third == (true, "closing", false))
        #expect(queue.count == 0)
        let fourth = (queue.add("a3", lane: 1), queue.next())
        #expect(fourth == (true, "a3"))
    }

    @Test("A queue keeps its order however it is filled and emptied")
    func order() {
        var queue = FIFO<Int>()
        var expected = 0
        for number in 0..<1000 {
            queue.append(number)
            guard number % 3 != 0 else { continue }
            #expect(queue.popFirst() == expected)
            expected += 1
        }
        while let number = queue.popFirst() {
            #expect(number == expected)
            expected += 1
        }
        #expect(expected == 1000)
    }

    @Test("A window counts what happens in a minute, and forgets it in the next")
    func window() {
        var window = MinuteWindow(bound: 2)
        let first = [window.admit(at: 60), window.isExhausted(at: 61), window.admit(at: 119)]
        #expect(first == [true, false, true])
        let full = [window.isExhausted(at: 119), window.admit(at: 119)]
        #expect(full == [true, false])
        let next = [window.isExhausted(at: 120), window.admit(at: 120)]
        #expect(next == [false, true])
    }

    @Test(
        "JSON is told from what is not, and from what the database cannot keep",
        arguments: [
            ("{}", true), (" [1, -0.5e+3, \"a\\n\\u00e9\", true, false, null] ", true), ("0", true),
            ("\"\"", true),
            ("", false), ("01", false), ("1.", false), (".5", false), ("+1", false), ("1e", false),
            ("-", false),
            ("[1,]", false), ("{\"a\"}", false), ("{\"a\":1,}", false), ("{a:1}", false), ("[1", false),
            ("tru", false), ("nul", false), ("{} {}", false), ("\"\u{1}\"", false), ("\"\\x\"", false),
            ("\"\\u12\"", false), ("\"\\u0000\"", false), ("\"\\ud800\"", false),
            ("\"\\ud83d\\ude00\"", true),
            ("\"\\udc00\"", false), ("\"", false), ("\"\\", false), ("\"\\ud83d\\u0041\"", false),
            (String(repeating: "[", count: 64) + String(repeating: "]", count: 64), true),
            (String(repeating: "[", count: 65) + String(repeating: "]", count: 65), false),
            (String(repeating: "[", count: 100_000), false),
        ])
    func json(text: String, isJSON: Bool) {
        #expect(Array(text.utf8).withUnsafeBytes { JSONText.isValue($0) } == isJSON)
    }

    @Test("Bytes that are no UTF-8 are no JSON")
    func brokenUTF8() {
        let bytes: [UInt8] = [0x22, 0xC3, 0x28, 0x22]
        #expect(bytes.withUnsafeBytes { JSONText.isValue($0) } == false)
    }
}
