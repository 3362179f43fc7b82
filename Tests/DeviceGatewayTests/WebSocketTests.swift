import NIOCore
import NIOEmbedded
import NIOWebSocket
import Testing

@testable import DeviceGateway

/// Remembers what happened on its socket.
private final class Recorder: WebSocketApplication {
    var texts: [String] = []
    var socket: WebSocket?
    var closedCount = 0
    var goneCount = 0
    var pausesAfterEach = false

    func opened(_ socket: WebSocket) { self.socket = socket }
    func received(text: ByteBuffer, on socket: WebSocket) {
        texts.append(String(buffer: text))
        if pausesAfterEach { socket.setReading(false) }
    }
    func received(binary: ByteBuffer, on socket: WebSocket) {}
    func readEnded(on socket: WebSocket) {}
    func ticked(now: NIODeadline, on socket: WebSocket) {}
    func closed() {
        closedCount += 1
        socket = nil
    }
    func gone() { goneCount += 1 }
}

@Suite("A WebSocket on a channel")
struct WebSocketTests {
    private let channel = EmbeddedChannel()
    private let recorder = Recorder()
    private let sweep: Sweep
    private let socket: WebSocket

    init() throws {
        sweep = Sweep(eventLoop: channel.embeddedEventLoop)
        socket = WebSocket(
            application: recorder,
            configuration: WebSocketConfiguration(
                limits: WebSocketLimits(messageSize: 1000, fragments: 4),
                queue: OutboundQueue.Limits(bytes: 30, frames: 3), frameRate: (perSecond: 2, burst: 4)),
            sweep: sweep, now: channel.embeddedEventLoop.now)
        try channel.pipeline.syncOperations.addHandler(socket)
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/x")).wait()
    }

    private func receive(_ bytes: [UInt8]) throws { try channel.writeInbound(ByteBuffer(bytes: bytes)) }

    private func sent() throws -> [UInt8]? {
        channel.embeddedEventLoop.run()
        return try channel.readOutbound(as: ByteBuffer.self).map { Array($0.readableBytesView) }
    }

    private func closeFrame(_ code: UInt16, _ reason: String = "") -> [UInt8] {
        let reason = Array(reason.utf8)
        return [0x88, UInt8(2 + reason.count), UInt8(code >> 8), UInt8(code & 255)] + reason
    }

    private func advance(_ time: TimeAmount) {
        channel.embeddedEventLoop.advanceTime(by: time)
        sweep.run()
    }

    @Test("A ping is answered, a message is delivered, a close is echoed and ends the socket")
    func conversation() throws {
        try receive(
            clientFrame(ping, [7]) + clientFrame(text, Array("hi".utf8)) + clientFrame(close, [3, 232]))
        #expect(try sent() == [0x8A, 1, 7])
        #expect(try sent() == closeFrame(1000))
        #expect(recorder.texts == ["hi"] && recorder.closedCount == 1)
        #expect(sweep.count == 0)
    }

    @Test("A violation closes the socket with its code, and nothing after it is read")
    func violation() throws {
        try receive(clientFrame(text, [0xFF]) + clientFrame(text, Array("late".utf8)))
        #expect(try sent()?.prefix(4) == closeFrame(1007, "text that is not valid UTF-8").prefix(4))
        #expect(recorder.texts.isEmpty && recorder.closedCount == 1)
    }

    @Test("Data after a close is not delivered")
    func afterClose() throws {
        socket.close(.policyViolation, reason: "r")
        #expect(try sent() == closeFrame(1008, "r"))
        #expect(recorder.closedCount == 1)
        try receive(clientFrame(text, Array("late".utf8)))
        #expect(recorder.texts.isEmpty)
        socket.send(text: "late".utf8)
        #expect(try sent() == nil)
        try receive(clientFrame(close, [3, 240]))
        #expect(!channel.isActive)
    }

    @Test("Silence is pinged, then closed with 1001")
    func silence() throws {
        advance(.seconds(30))
        #expect(try sent() == [0x89, 0])
        advance(.seconds(45))
        #expect(try sent() == closeFrame(1001, "no answer to pings"))
    }

    @Test("A slow client's frames wait, and too many of them close it with 1008 (I10)")
    func overflow() throws {
        channel.isWritable = false
        for _ in 0..<3 { socket.send(text: "x".utf8) }
        #expect(try sent() == nil)
        socket.send(text: "x".utf8)
        #expect(recorder.closedCount == 1)
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        #expect(try sent() == closeFrame(1008, "the client reads too slowly"))
        #expect(try sent() == nil)
    }

    @Test("What waits is written in order when the client reads again")
    func drained() throws {
        channel.isWritable = false
        socket.send(text: "a".utf8)
        socket.send(text: "b".utf8)
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        #expect(try sent() == [0x81, 1, 97])
        #expect(try sent() == [0x81, 1, 98])
    }

    @Test("A lost authority drops what waits (I3)")
    func discarding() throws {
        channel.isWritable = false
        socket.send(text: "secret".utf8)
        socket.close(WebSocketErrorCode(codeNumber: 4001), reason: "", discarding: true)
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        #expect(try sent() == closeFrame(4001))
    }

    @Test("A paused socket delivers what it had read when it is resumed")
    func paused() throws {
        recorder.pausesAfterEach = true
        try receive(clientFrame(text, [97]) + clientFrame(text, [98]))
        #expect(recorder.texts == ["a"])
        socket.setReading(true)
        #expect(recorder.texts == ["a", "b"])
    }

    @Test("A suspended socket reads and answers, and delivers nothing until it is resumed (I3)")
    func suspended() throws {
        socket.setSuspended(true)
        socket.send(text: "d".utf8, isDelivery: true)
        try receive(clientFrame(text, [97]))
        #expect(recorder.texts == ["a"])
        #expect(try sent() == nil)
        socket.send(text: "b".utf8)
        #expect(try sent() == [0x81, 1, 98])
        #expect(try sent() == nil)
        socket.setSuspended(false)
        #expect(try sent() == [0x81, 1, 100])
    }

    @Test("A suspended socket that is closed sends its answers first, and never what it withheld (I3)")
    func suspendedClose() throws {
        socket.setSuspended(true)
        socket.send(text: "d".utf8, isDelivery: true)
        socket.send(text: "b".utf8)
        socket.close(.policyViolation, reason: "")
        #expect(try sent() == [0x81, 1, 98])
        #expect(try sent() == closeFrame(1008))
        #expect(try sent() == nil)
    }

    @Test("Frames beyond the rate wait for it, and none is lost")
    func rate() throws {
        for letter in "abcdefghijkl".utf8 { try receive(clientFrame(text, [letter])) }
        #expect(recorder.texts.joined() == "abcde")
        for expected in ["abcdef", "abcdefg", "abcdefgh", "abcdefghi"] {
            channel.embeddedEventLoop.advanceTime(by: .milliseconds(500))
            #expect(recorder.texts.joined() == expected)
        }
    }

    @Test("A message costs one frame of the rate in few pieces or many, and pieces without end wait")
    func fragments() throws {
        let message =
            clientFrame(text, [97], isFinal: false) + clientFrame(0, [98], isFinal: false)
            + clientFrame(0, isFinal: false) + clientFrame(0, [99])
        for _ in 0..<3 { try receive(message) }
        #expect(recorder.texts == ["abc", "abc", "abc"])
        // Four at once hold three messages of 1 3/16 each. The next is delivered and waits for its price.
        try receive(message + message)
        #expect(recorder.texts.count == 4)
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1000))
        #expect(recorder.texts.count == 5)
    }

    @Test("A connection that breaks tells the application once")
    func broken() throws {
        channel.pipeline.fireErrorCaught(ChannelError.inputClosed)
        #expect(recorder.closedCount == 1 && sweep.count == 0)
    }
}
