import PairingCore
import PairingStore
import Synchronization
import Testing

@testable import PairingKernel

@Suite("Calls that may end the process")
struct SuspectCallTests {
    @Test(
        "A call that was given up for its time is not back: it may be ending the process, and is counted (I4)"
    )
    func givenUp() async throws {
        try await System.run { one, _ in
            let calls = SuspectCalls(store: one.kernel.store, limit: 2, logger: quietLogger)
            let device = try await one.pair("tablet-01")
            let session = PairingStore.LiveSession(
                senderID: device.senderID, generation: Generation(1), epoch: Epoch(1))
            let poison = PairingStore.SuspectCall(receiving: "poison", of: session)
            let made = Mutex(0)
            for _ in 0..<2 {
                let isMade = try await calls.make(poison) {
                    made.withLock { $0 += 1 }
                    return false
                }
                #expect(isMade)
            }
            #expect(try await calls.make(poison) { true } == false, "it was tried as often as it may be")
            #expect(made.withLock(\.self) == 2)
            let other = PairingStore.SuspectCall(delivering: 1, to: session)
            for _ in 0..<5 { #expect(try await calls.make(other) { true }, "one that is back is forgotten") }
        }
    }

    @Test("What a channel did not answer in time is not back, whatever else it refused is")
    func back() {
        #expect(Result<Int, Refusal>.success(1).isBack)
        #expect(Result<Int, Refusal>.failure(Refusal(.channelFailed)).isBack)
        #expect(!Result<Int, Refusal>.failure(Refusal(.channelTimeout)).isBack)
    }
}
