import Testing

@testable import NodesConfiguration

@Suite("Values of settings")
struct ValueTests {
    @Test("Durations and sizes are read with their units and written as short as possible")
    func quantities() {
        #expect(Quantities.duration("500ms") == .milliseconds(500))
        #expect(Quantities.duration("90s") == .seconds(90))
        #expect(Quantities.duration("30d") == .seconds(30 * 86400))
        #expect(Quantities.duration("٣s") == nil)
        #expect(Quantities.text(.seconds(5400)) == "90m")
        #expect(Quantities.text(.zero) == "0ms")
        #expect(Quantities.size("64KiB") == 65536)
        #expect(Quantities.size("1000") == 1000)
        #expect(Quantities.size("1 KiB") == nil)
        #expect(Quantities.text(bytes: 65536) == "64KiB")
    }
}
