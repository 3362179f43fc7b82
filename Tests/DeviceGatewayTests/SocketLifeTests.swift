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

@Suite("Admission")
struct SocketAdmissionTests {
    @Test("Strangers are bounded by address, by /64 and in all, and leave room for paired devices")
    func strangers() throws {
        var admission = SocketAdmission(sockets: 10, strangers: 4, strangersPerAddress: 2)
        let first = try #require(ClientAddress("2001:db8::1"))
        let sameNetwork = try #require(ClientAddress("2001:db8::ffff"))
        let second = try #require(ClientAddress("10.0.0.1"))
        let third = try #require(ClientAddress("10.0.0.2"))
        try admission.open(first)
        try admission.open(sameNetwork)
        #expect(throws: SocketAdmission.Refusal.address) { try admission.open(first) }
        try admission.open(second)
        try admission.open(second)
        #expect(throws: SocketAdmission.Refusal.instance) { try admission.open(third) }
        admission.authenticated(second)
        try admission.open(third)
        #expect(admission.strangerCount == 4 && admission.authenticatedCount == 1)
    }

    @Test("Sockets are bounded in all")
    func total() throws {
        var admission = SocketAdmission(sockets: 2, strangers: 1, strangersPerAddress: 1)
        let address = try #require(ClientAddress("10.0.0.1"))
        for _ in 0..<2 {
            try admission.open(address)
            admission.authenticated(address)
        }
        #expect(throws: SocketAdmission.Refusal.instance) { try admission.open(address) }
        admission.close(address, wasAuthenticated: true)
        try admission.open(address)
    }

    @Test("What is opened and closed leaves nothing behind")
    func balance() throws {
        let empty = SocketAdmission(sockets: 10, strangers: 5, strangersPerAddress: 5)
        var admission = empty
        let address = try #require(ClientAddress("10.0.0.1"))
        try admission.open(address)
        try admission.open(address)
        admission.authenticated(address)
        admission.close(address, wasAuthenticated: true)
        admission.close(address, wasAuthenticated: false)
        #expect(admission == empty)
    }
}
