import Testing

@testable import Agents

@Suite("Circuit breaker")
struct CircuitBreakerTests {
    private let start = ContinuousClock.now

    @Test("It opens after so many failures in a row, and no sooner")
    func opens() {
        var breaker = CircuitBreaker(threshold: 3, pause: .seconds(10))
        breaker.failed(now: start)
        breaker.failed(now: start)
        breaker.succeeded()
        breaker.failed(now: start)
        breaker.failed(now: start)
        #expect(breaker.wait(now: start) == nil)
        breaker.failed(now: start)
        #expect(breaker.wait(now: start + .seconds(4)) == .seconds(6))
    }

    @Test("After the pause one request tries; its end decides")
    func tries() {
        var breaker = CircuitBreaker(threshold: 1, pause: .seconds(10))
        breaker.failed(now: start)
        let later = start + .seconds(10)
        #expect(breaker.wait(now: later) == nil)
        #expect(breaker.wait(now: later) == .seconds(10))
        breaker.failed(now: later)
        #expect(breaker.wait(now: later + .seconds(9)) == .seconds(1))
        #expect(breaker.wait(now: later + .seconds(10)) == nil)
        breaker.succeeded()
        #expect(breaker.state == .closed)
    }

    @Test("A trial that is given up lets the next one try at once")
    func abandoned() {
        var breaker = CircuitBreaker(threshold: 1, pause: .seconds(10))
        breaker.failed(now: start)
        let later = start + .seconds(10)
        #expect(breaker.wait(now: later) == nil)
        breaker.abandoned(now: later)
        #expect(breaker.wait(now: later) == nil)
    }
}
