import Testing

@testable import PairingKernel

@Suite("The authority lease (I3)")
struct AuthorityLeaseTests {
    private let start = ContinuousClock.now
    private var lease = AuthorityLease(duration: .seconds(10), grace: .seconds(5))

    @Test("Nothing is held before the database confirmed, and nothing has to be closed")
    mutating func beginning() {
        #expect(!lease.isHeld(now: start))
        #expect(lease.check(now: start + .seconds(3600)) == .none)
    }

    @Test("A confirmation holds for the duration, counted from when it was asked for")
    mutating func held() {
        let resumes = lease.confirm(asked: start)
        #expect(!resumes)
        #expect(lease.isHeld(now: start + .seconds(9)))
        #expect(lease.check(now: start + .seconds(9)) == .none)
        #expect(!lease.isHeld(now: start + .seconds(10)))
    }

    @Test("After it the sessions are suspended once, after the grace closed once")
    mutating func expiry() {
        _ = lease.confirm(asked: start)
        #expect(lease.check(now: start + .seconds(10)) == .suspend)
        #expect(lease.check(now: start + .seconds(11)) == .none)
        let end = start + .seconds(15)
        #expect(lease.check(now: end) == .close)
        #expect(lease.check(now: end + .seconds(100)) == .none)
    }

    @Test(
        "A confirmation resumes suspended sessions, once; also those that began after the others were closed")
    mutating func resumption() {
        _ = lease.confirm(asked: start)
        _ = lease.check(now: start + .seconds(10))
        let resumes = lease.confirm(asked: start + .seconds(12))
        #expect(resumes)
        let again = lease.confirm(asked: start + .seconds(13))
        #expect(!again)
        #expect(lease.isHeld(now: start + .seconds(22)))
        #expect(lease.check(now: start + .seconds(23)) == .suspend)
        #expect(lease.check(now: start + .seconds(60)) == .close)
        #expect(lease.isSuspended)
        let afterClose = lease.confirm(asked: start + .seconds(61))
        #expect(afterClose)
        #expect(!lease.isSuspended)
        #expect(lease.check(now: start + .seconds(71)) == .suspend)
    }

    @Test("A process that slept through the grace closes without suspending first")
    mutating func longSleep() {
        _ = lease.confirm(asked: start)
        #expect(lease.check(now: start + .seconds(3600)) == .close)
    }
}
