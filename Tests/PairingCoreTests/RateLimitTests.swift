import PairingCore
import Testing

@Suite("Rate limits")
struct RateLimitTests {
    @Test("A bucket gives its burst at once, then says how long to wait")
    func burst() {
        var bucket = TokenBucket(perSecond: 2, burst: 3, now: .seconds(100))
        for _ in 0..<3 { #expect(bucket.take(now: .seconds(100)) == nil) }
        #expect(bucket.take(now: .seconds(100)) == .milliseconds(500))
        #expect(bucket.take(now: .seconds(100) + .milliseconds(250)) == .milliseconds(250))
        #expect(bucket.take(now: .seconds(100) + .milliseconds(500)) == nil)
        #expect(bucket.take(now: .seconds(100) + .milliseconds(500)) != nil)
    }

    @Test("Whoever waits as long as told gets one", arguments: [0.1, 0.3, 1, 7, 1000.0])
    func waiting(_ perSecond: Double) throws {
        var bucket = TokenBucket(perSecond: perSecond, burst: 1, now: .zero)
        var now = Duration.zero
        for _ in 0..<50 {
            while let wait = bucket.take(now: now) {
                #expect(wait > .zero)
                now += wait
            }
        }
        #expect(now >= .seconds(49 / perSecond) - .seconds(1))
    }

    @Test("A bucket never holds more than its burst")
    func full() {
        var bucket = TokenBucket(perSecond: 10, burst: 2, now: .zero)
        _ = bucket.take(now: .zero)
        #expect(!bucket.isFull(now: .zero))
        #expect(bucket.isFull(now: .milliseconds(100)))
        #expect(bucket.take(now: .seconds(3600)) == nil)
        #expect(bucket.take(now: .seconds(3600)) == nil)
        #expect(bucket.take(now: .seconds(3600)) != nil)
    }

    @Test("A time that goes back gives nothing")
    func timeGoesBack() {
        var bucket = TokenBucket(perSecond: 1, burst: 1, now: .seconds(10))
        #expect(bucket.take(now: .seconds(10)) == nil)
        #expect(bucket.take(now: .seconds(1)) != nil)
        #expect(bucket.take(now: .seconds(10)) != nil)
        #expect(bucket.take(now: .seconds(11)) == nil)
    }

    @Test("Each key has a bucket of its own")
    func keys() {
        var buckets = KeyedTokenBuckets(perSecond: 1, burst: 2, capacity: 10, now: .zero)
        for key in ["a", "b"] {
            #expect(buckets.take(key, now: .zero) == nil)
            #expect(buckets.take(key, now: .zero) == nil)
            #expect(buckets.take(key, now: .zero) == .seconds(1))
        }
        #expect(buckets.take("a", now: .seconds(1)) == nil)
    }

    @Test("Keys beyond the capacity share one bucket; those that are known keep theirs")
    func capacity() {
        var buckets = KeyedTokenBuckets(perSecond: 1, burst: 5, capacity: 3, now: .zero)
        for key in ["a", "b", "c"] { #expect(buckets.take(key, now: .zero) == nil) }
        var granted = 0
        for index in 0..<1000 where buckets.take("flood-\(index)", now: .zero) == nil { granted += 1 }
        #expect(granted == 5)
        for key in ["a", "b", "c"] { #expect(buckets.take(key, now: .zero) == nil) }
    }

    @Test("Buckets that are full again make room for others")
    func forgetting() {
        var buckets = KeyedTokenBuckets(perSecond: 1, burst: 1, capacity: 2, now: .zero)
        #expect(buckets.take("a", now: .zero) == nil)
        #expect(buckets.take("b", now: .zero) == nil)
        #expect(buckets.take("c", now: .zero) == nil)  // the shared one
        #expect(buckets.take("d", now: .zero) != nil)
        #expect(buckets.take("e", now: .seconds(1)) == nil)
        #expect(buckets.take("f", now: .seconds(1)) == nil)
        #expect(buckets.take("e", now: .seconds(1)) != nil)
    }

    @Test("A flood of new keys looks through all buckets once a second at most")
    func flood() {
        var buckets = KeyedTokenBuckets(perSecond: 2, burst: 1, capacity: 1, now: .zero)
        #expect(buckets.take("known", now: .zero) == nil)
        #expect(buckets.take("flood-1", now: .zero) == nil)  // looked, and took the shared one
        // The known key's bucket is full since half a second, which nobody has looked for.
        #expect(buckets.take("flood-2", now: .milliseconds(999)) == nil)
        #expect(buckets.take("flood-3", now: .milliseconds(999)) != nil)
        // Now it makes room.
        #expect(buckets.take("flood-4", now: .milliseconds(1000)) == nil)
    }
}
