import Testing

@testable import PairingKernel

@Suite("Devices whose sessions replace each other are slowed")
struct ContentionPaceTests {
    @Test("A few replacements are let pass, more of them wait, and time makes them count for less")
    func pace() {
        var pace = ContentionPace()
        for _ in 0..<5 { pace.replaced("a", now: .zero) }
        #expect(pace.wait(of: "a", now: .zero) == nil)
        pace.replaced("a", now: .zero)
        let wait = pace.wait(of: "a", now: .zero)
        #expect(wait == .seconds(15))
        #expect(pace.wait(of: "b", now: .zero) == nil)
        #expect(pace.wait(of: "a", now: .seconds(1)) != nil)
        #expect(pace.wait(of: "a", now: .seconds(15)) == nil)
    }

    @Test("However often they did, the wait has an end")
    func bounded() {
        var pace = ContentionPace()
        for _ in 0..<1000 { pace.replaced("a", now: .zero) }
        let wait = pace.wait(of: "a", now: .zero)
        #expect(wait != nil && wait ?? .zero <= .seconds(120))
    }
}
