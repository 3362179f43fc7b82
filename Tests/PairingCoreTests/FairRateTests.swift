import Testing

@testable import PairingCore

@Suite("A rate shared by network block (I13)")
struct FairRateTests {
    private func address(_ text: String) throws -> ClientAddress { try #require(ClientAddress(text)) }

    @Test("One network alone gets about half of the rate, and is told how long to wait")
    func alone() throws {
        var rate = FairRate(perSecond: 100, now: .zero)
        let flood = try address("198.51.100.1")
        var taken = 0
        for millisecond in 0..<10_000 where rate.take(flood, now: .milliseconds(millisecond)) == nil {
            taken += 1
        }
        #expect((450...600).contains(taken), "\(taken)")
        var refused: Duration?
        while refused == nil { refused = rate.take(flood, now: .seconds(10)) }
        let wait = try #require(refused)
        #expect(wait > .zero && wait <= .seconds(1))
    }

    @Test("However many networks flood, one that took little finds all it asks for")
    func flood() throws {
        var rate = FairRate(perSecond: 200, now: .zero)
        let floods = try (0..<6).map { try address("198.51.\($0).1") }
        let device = try address("203.0.113.9")
        var granted = 0
        for millisecond in 0..<4000 {
            let now = Duration.milliseconds(millisecond)
            for flood in floods { _ = rate.take(flood, now: now) }
            if millisecond >= 1000, millisecond % 100 == 0, rate.take(device, now: now) == nil {
                granted += 1
            }
        }
        #expect(granted == 30)
    }

    @Test(
        "An address that took nothing lately finds one in the very network of a flood, and so does its own device"
    )
    func sameNetwork() throws {
        var rate = FairRate(perSecond: 200, now: .zero)
        let floods = try (1...6).map { try address("127.0.0.\($0)") }
        let device = try address("127.0.0.99")
        var granted = 0
        for millisecond in 0..<3000 {
            let now = Duration.milliseconds(millisecond)
            for flood in floods { _ = rate.take(flood, now: now) }
            if millisecond % 100 == 0, rate.take(device, now: now) == nil {
                granted += 1
                rate.giveBack(device, now: now)
            }
        }
        #expect(granted == 30)
    }

    @Test("A thousand networks at once lead to twice the rate at most, and are forgotten within seconds")
    func bounds() throws {
        var rate = FairRate(perSecond: 100, now: .zero)
        var taken = 0
        for number in 0..<5000 {
            let flood = try address("10.\(number / 250).\(number % 250).1")
            if rate.take(flood, now: .milliseconds(number / 5)) == nil { taken += 1 }
        }
        #expect((100...400).contains(taken), "\(taken)")
        _ = rate.take(try address("192.0.2.1"), now: .seconds(20))
        #expect(rate.remembered == 2)
    }
}
