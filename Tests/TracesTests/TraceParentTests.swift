import Testing

@testable import Traces

@Suite("The header traceparent")
struct TraceParentTests {
    private let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test("The standard's example is read, and written as it was")
    func example() throws {
        let parent = try #require(TraceParent(header: text))
        #expect(parent.traceID == "0af7651916cd43dd8448eb211c80319c")
        #expect(parent.spanID == "b7ad6b7169203331")
        #expect(parent.isSampled && parent.header == text)
    }

    @Test(
        "What the standard calls invalid is none",
        arguments: [
            "", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-0",
        ])
    func invalid(_ header: String) { #expect(TraceParent(header: header) == nil) }

    @Test("Of a version yet to come the parts that every version has are read")
    func later() throws {
        let parent = try #require(TraceParent(header: "cc" + text.dropFirst(2) + "-what-follows"))
        #expect(parent.header == text)
        #expect(TraceParent(header: "cc" + text.dropFirst(2) + ".") == nil)
    }

    @Test(
        "Other flags than the first say nothing here", arguments: [("03", true), ("02", false), ("ff", true)])
    func flags(_ flags: String, _ isSampled: Bool) throws {
        #expect(try #require(TraceParent(header: text.dropLast(2) + flags)).isSampled == isSampled)
    }

    @Test("New numbers are valid, and no two the same")
    func new() {
        let all = (0..<100).map { _ in TraceParent.new() }
        #expect(all.allSatisfy { TraceParent(header: $0.header) == $0 })
        #expect(Set(all.map(\.traceID)).count == 100 && Set(all.map(\.spanID)).count == 100)
    }
}
