import NIOCore
import NIOWebSocket
import PairingCore
import Testing

@testable import DeviceGateway

extension NIODeadline {
    /// Seconds after the tests' beginning of time.
    static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(seconds) }
}

@Suite("The life of a socket")
struct SocketLifeTests {
    var life = SocketLife(times: WebSocketTimes(), now: .at(0))

    @Test("A silent socket is pinged every 30 seconds and given up after 75")
    mutating func silence() {
        var actions: [Int64: SocketLife.Action] = [:]
        for second in Int64(1)...80 {
            let action = life.tick(now: .at(second))
            if action != .none { actions[second] = action }
        }
        #expect(
            actions == [
                30: .ping, 60: .ping, 75: .sendCloseAndEnd(.goingAway, reason: "no answer to pings"),
                77: .drop,
            ])
    }

    @Test("A socket that is heard stays, and is pinged all the same")
    mutating func heard() {
        for second in Int64(1)...600 {
            if second % 70 == 0 { life.heard(now: .at(second)) }
            let action = life.tick(now: .at(second))
            #expect(action == (second % 30 == 0 ? .ping : .none))
        }
        #expect(life.isOpen)
    }

    @Test("A close that is answered ends at once")
    mutating func answered() {
        #expect(life.close(.normalClosure, reason: "", now: .at(1)) == .sendClose(.normalClosure, reason: ""))
        #expect(!life.isOpen && life.readsFrames)
        #expect(life.closeReceived(.normalClosure, now: .at(2)) == .end)
        #expect(!life.readsFrames)
        #expect(life.tick(now: .at(3)) == .none)
        #expect(life.tick(now: .at(4)) == .drop)
        #expect(life.tick(now: .at(9)) == .none)
    }

    @Test("A close that is not answered ends after five seconds")
    mutating func unanswered() {
        _ = life.close(.policyViolation, reason: "r", now: .at(0))
        #expect(life.tick(now: .at(4)) == .none)
        #expect(life.tick(now: .at(5)) == .end)
        #expect(life.tick(now: .at(7)) == .drop)
    }

    @Test("A socket for which there is no room ends within moments, also one that is closing already")
    mutating func dismissed() {
        #expect(
            life.dismiss(.policyViolation, reason: "r", now: .at(0))
                == .sendCloseAndEnd(.policyViolation, reason: "r"))
        #expect(life.tick(now: .at(1)) == .drop)
        var closing = SocketLife(times: WebSocketTimes(), now: .at(0))
        _ = closing.close(.policyViolation, reason: "r", now: .at(0))
        #expect(closing.dismiss(.policyViolation, reason: "r", now: .at(1)) == .end)
        #expect(closing.tick(now: .at(2)) == .drop)
        var ended = SocketLife(times: WebSocketTimes(), now: .at(0))
        _ = ended.closeReceived(nil, now: .at(0))
        #expect(ended.dismiss(.policyViolation, reason: "r", now: .at(0)) == .none)
        #expect(ended.tick(now: .at(1)) == .drop)
        #expect(ended.dismiss(.policyViolation, reason: "r", now: .at(2)) == .none)
    }

    @Test("A client's close is echoed, with its code or without one")
    mutating func echoed() {
        var other = life
        #expect(life.closeReceived(.goingAway, now: .at(1)) == .sendCloseAndEnd(.goingAway, reason: ""))
        #expect(other.closeReceived(nil, now: .at(1)) == .sendCloseAndEnd(nil, reason: ""))
    }

    @Test("Only the first reason to close counts")
    mutating func once() {
        let violation = WebSocketViolation.protocolError("x")
        #expect(life.violated(violation, now: .at(1)) == .sendCloseAndEnd(.protocolError, reason: "x"))
        #expect(life.close(.normalClosure, reason: "", now: .at(1)) == .none)
        #expect(life.closeReceived(nil, now: .at(1)) == .none)
        #expect(life.violated(violation, now: .at(1)) == .none)
    }

    @Test("Nonsense instead of the answer to a close ends the socket")
    mutating func nonsense() {
        _ = life.close(.goingAway, reason: "", now: .at(1))
        #expect(life.violated(.notUTF8, now: .at(1)) == .end)
    }
}

@Suite("The outbound queue")
struct OutboundQueueTests {
    let frame = ByteBuffer(repeating: 1, count: 10)

    @Test("Frames wait in order, and those that come while others wait join them")
    func order() {
        var queue = OutboundQueue(limits: .init(bytes: 100, frames: 10))
        #expect(queue.push(frame, isWritable: true) == .write)
        #expect(queue.push(ByteBuffer(string: "a"), isWritable: false) == .queued)
        #expect(queue.push(ByteBuffer(string: "b"), isWritable: true) == .queued)
        #expect(queue.pop() == ByteBuffer(string: "a"))
        #expect(queue.pop() == ByteBuffer(string: "b"))
        #expect(queue.pop() == nil)
        #expect(queue.push(frame, isWritable: true) == .write)
    }

    @Test("While suspended answers pass deliveries, which count, keep their order, or are forgotten")
    func suspension() {
        var queue = OutboundQueue(limits: .init(bytes: 100, frames: 3))
        _ = queue.push(ByteBuffer(string: "1"), isDelivery: true, isWritable: false)
        _ = queue.push(ByteBuffer(string: "a"), isWritable: false)
        queue.isSuspended = true
        #expect(queue.push(ByteBuffer(string: "2"), isDelivery: true, isWritable: true) == .queued)
        #expect(queue.pop() == ByteBuffer(string: "a"))
        #expect(queue.pop() == nil)
        #expect(queue.isEmpty && queue.hasFrames)
        #expect(queue.push(ByteBuffer(string: "b"), isWritable: true) == .write)
        _ = queue.push(ByteBuffer(string: "c"), isWritable: false)
        #expect(queue.push(ByteBuffer(string: "3"), isDelivery: true, isWritable: true) == .overflow)
        var resumed = queue
        resumed.isSuspended = false
        #expect(resumed.pop() == ByteBuffer(string: "1"))
        #expect(resumed.pop() == ByteBuffer(string: "2"))
        queue.removeWithheld()
        #expect(queue.pop() == ByteBuffer(string: "c"))
        #expect(!queue.hasFrames)
    }

    @Test("Bytes and frames are bounded (I10), and what is taken makes room")
    func bounds() {
        var bytes = OutboundQueue(limits: .init(bytes: 25, frames: 10))
        #expect(bytes.push(frame, isWritable: false) == .queued)
        #expect(bytes.push(frame, isWritable: false) == .queued)
        #expect(bytes.push(frame, isWritable: false) == .overflow)
        _ = bytes.pop()
        #expect(bytes.push(frame, isWritable: false) == .queued)
        var frames = OutboundQueue(limits: .init(bytes: 1000, frames: 2))
        #expect(frames.push(frame, isWritable: false) == .queued)
        #expect(frames.push(frame, isWritable: false) == .queued)
        #expect(frames.push(frame, isWritable: false) == .overflow)
        frames.pushLast(frame)
        frames.removeAll()
        #expect(frames.isEmpty && frames.push(frame, isWritable: false) == .queued)
    }
}
