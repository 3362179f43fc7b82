import PairingCore
import Testing

@Suite("Moments")
struct TimestampTests {
    private let early = Timestamp(milliseconds: .min)
    private let late = Timestamp(milliseconds: .max)
    private let now = Timestamp(milliseconds: 1_700_000_000_000)

    @Test("Moments and durations are added and subtracted in milliseconds")
    func arithmetic() {
        #expect(now + .seconds(2) == Timestamp(milliseconds: 1_700_000_002_000))
        #expect(now + .seconds(-2) - now == .seconds(-2))
        #expect((now + .microseconds(1999)).milliseconds == now.milliseconds + 1)
        #expect(now < now + .milliseconds(1))
    }

    @Test("Moments that a peer invented end nothing but their own comparison")
    func extremes() {
        #expect(late - early == .milliseconds(Int64.max))
        #expect(early - late == .milliseconds(Int64.min))
        #expect((early - now).milliseconds == .min)
        #expect((late - now).milliseconds == .max - now.milliseconds)
        #expect(late + .seconds(1) == late)
        #expect(early + .seconds(-1) == early)
    }
}
