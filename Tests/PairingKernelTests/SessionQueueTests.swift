import PairingStore
import Testing

@testable import PairingKernel

@Suite("A session's queue")
struct SessionQueueTests {
    private var queue = SessionQueue()

    private func answer(_ sequence: Int64) -> SessionQueue.Work {
        .answer(
            sequence: sequence, forwarded: [PairingStore.ForwardedMessage(agent: "", body: "\(sequence)")],
            bytes: 1)
    }

    @Test("The first work starts a runner; what comes meanwhile is taken by it, in order")
    mutating func order() {
        let starts = queue.append(.catchUp)
        #expect(starts)
        for sequence in Int64(1)...3 {
            let hasPlace = queue.reserve(bytes: 1)
            #expect(hasPlace)
            let starts = queue.append(answer(sequence))
            #expect(!starts)
        }
        var work = queue.take()
        #expect(work == [.catchUp, answer(1), answer(2), answer(3)])
        let startsAnother = queue.append(answer(4))
        #expect(!startsAnother, "the runner has not stopped yet")
        work = queue.take()
        #expect(work == [answer(4)])
        work = queue.take()
        #expect(work.isEmpty)
        let startsAgain = queue.append(answer(5))
        #expect(startsAgain)
    }

    @Test("What is open is answered once, however often that is asked for")
    mutating func asksOnce() {
        let starts = queue.append(.answerOpen)
        #expect(starts)
        for _ in 0..<100 {
            let startsAnother = queue.append(.answerOpen)
            #expect(!startsAnother)
        }
        let work = queue.take()
        #expect(work == [.answerOpen])
    }

    @Test("No more messages are taken than there is room for, reserved places included")
    mutating func capacity() {
        var taken = 0
        while taken < 10_000, queue.reserve(bytes: 1) { taken += 1 }
        #expect(taken == SessionQueue.capacity)
        queue.release(bytes: 1)
        var hasPlace = queue.reserve(bytes: 1)
        #expect(hasPlace)
        _ = queue.append(answer(1))
        hasPlace = queue.reserve(bytes: 1)
        #expect(!hasPlace, "a message that waits keeps its place")
        let work = queue.take()
        #expect(work == [answer(1)])
        hasPlace = queue.reserve(bytes: 1)
        #expect(!hasPlace, "so does one that is worked on")
        queue.release(bytes: 1)
        hasPlace = queue.reserve(bytes: 1)
        #expect(hasPlace)
        hasPlace = queue.reserve(bytes: 1)
        #expect(!hasPlace)
    }

    @Test("No more bytes are taken than there is room for, and one message always is (I10)")
    mutating func bytes() {
        var hasPlace = queue.reserve(bytes: SessionQueue.capacityBytes + 1)
        #expect(hasPlace)
        hasPlace = queue.reserve(bytes: 1)
        #expect(!hasPlace)
        queue.release(bytes: SessionQueue.capacityBytes + 1)
        hasPlace = queue.reserve(bytes: SessionQueue.capacityBytes - 1)
        #expect(hasPlace)
        hasPlace = queue.reserve(bytes: 2)
        #expect(!hasPlace)
        hasPlace = queue.reserve(bytes: 1)
        #expect(hasPlace)
    }
}
