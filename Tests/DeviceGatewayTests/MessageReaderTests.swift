import NIOCore
import NIOWebSocket
import Testing

@testable import DeviceGateway

/// A client's frame, masked.
func clientFrame(
    _ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true, reserved: UInt8 = 0,
    mask: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D]
) -> [UInt8] {
    var frame = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
    let masked: UInt8 = mask == nil ? 0 : 0x80
    switch payload.count {
    case ...125: frame.append(masked | UInt8(payload.count))
    case ...0xFFFF: frame += [masked | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
    default:
        frame.append(masked | 127)
        frame += (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
    }
    guard let mask else { return frame + payload }
    return frame + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
}

let text: UInt8 = 1
let binary: UInt8 = 2
let continuation: UInt8 = 0
let close: UInt8 = 8
let ping: UInt8 = 9
let pong: UInt8 = 10

@Suite("Reading WebSocket messages")
struct MessageReaderTests {
    static let limits = WebSocketLimits(messageSize: 1000, fragments: 4, acceptsBinary: true)

    /// Feeds bytes in pieces and returns what came of them, and the violation that ended it.
    static func read(
        _ bytes: [UInt8], pieces: Int = .max, limits: WebSocketLimits = limits
    ) -> (events: [MessageReader.Event], violation: WebSocketViolation?) {
        var reader = MessageReader(limits: limits)
        var events: [MessageReader.Event] = []
        var unread = ByteBuffer()
        var rest = bytes[...]
        repeat {
            unread.writeBytes(rest.prefix(pieces))
            rest = rest.dropFirst(pieces)
            do {
                while let event = try reader.next(&unread) { events.append(event) }
            } catch {
                return (events, error)
            }
        } while !rest.isEmpty
        return (events, nil)
    }

    @Test(
        "Messages and control frames are the same however their bytes arrive",
        arguments: [1, 2, 3, 5, 7, .max])
    func pieces(size: Int) {
        let long = Array(repeating: UInt8(ascii: "x"), count: 300)
        let bytes =
            clientFrame(text, Array("Hé".utf8)) + clientFrame(text, Array("o".utf8), isFinal: false)
            + clientFrame(ping, [1, 2]) + clientFrame(continuation, long) + clientFrame(binary, [0xFF, 0xFE])
            + clientFrame(pong) + clientFrame(text) + clientFrame(close, [3, 232] + Array("bye".utf8))
        let (events, violation) = Self.read(bytes, pieces: size)
        #expect(violation == nil)
        #expect(
            events == [
                .text(ByteBuffer(string: "Hé")), .fragment, .ping(ByteBuffer(bytes: [1, 2])),
                .text(ByteBuffer(bytes: [UInt8(ascii: "o")] + long)),
                .binary(ByteBuffer(bytes: [0xFF, 0xFE])), .pong(ByteBuffer()),
                .text(ByteBuffer()), .close(code: .normalClosure),
            ])
    }

    @Test(
        "What breaks RFC 6455 is a violation with its close code",
        arguments: [
            (clientFrame(text, [65], mask: nil), 1002, "a frame that is not masked"),
            (clientFrame(ping, mask: nil), 1002, "a ping that is not masked"),
            (clientFrame(text, reserved: 4), 1002, "RSV1"), (clientFrame(text, reserved: 2), 1002, "RSV2"),
            (clientFrame(text, reserved: 1), 1002, "RSV3"), (clientFrame(3), 1002, "a reserved data opcode"),
            (clientFrame(7), 1002, "a reserved data opcode"),
            (clientFrame(11), 1002, "a reserved control opcode"),
            (clientFrame(15), 1002, "a reserved control opcode"),
            (clientFrame(ping, isFinal: false), 1002, "a fragmented ping"),
            (clientFrame(close, isFinal: false), 1002, "a fragmented close"),
            (clientFrame(ping, Array(repeating: 0, count: 126)), 1002, "a long ping"),
            (clientFrame(continuation), 1002, "a continuation of nothing"),
            (clientFrame(text, isFinal: false) + clientFrame(text), 1002, "a message within a message"),
            ([0x82, 0xFE, 0, 125], 1002, "125 in 16 bits"),
            ([0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], 1002, "65535 in 64 bits"),
            ([0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], 1002, "the highest bit of a length"),
            (clientFrame(close, [3]), 1002, "half a close code"),
            (clientFrame(close, [3, 237]), 1002, "1005"),
            (clientFrame(close, [3, 238]), 1002, "1006"), (clientFrame(close, [3, 247]), 1002, "1015"),
            (clientFrame(close, [0, 0]), 1002, "0"), (clientFrame(close, [0x13, 0x88]), 1002, "5000"),
            (clientFrame(close, [3, 232, 0xC0]), 1007, "a close reason that is not UTF-8"),
            (clientFrame(text, [0xED, 0xA0, 0x80]), 1007, "a surrogate"),
            (clientFrame(text, [0xC3]), 1007, "a text that ends within a character"),
            (
                Array(clientFrame(text, [0xF4, 0x90, 65, 65]).prefix(8)), 1007,
                "a bad byte of an unfinished frame"
            ),
            (clientFrame(binary, Array(repeating: 0, count: 1001)), 1009, "a great message"),
            ([0x82, 0xFF, 0x7F] + Array(repeating: 0xFF, count: 7) + [0, 0, 0, 0], 1009, "2^63 - 1 bytes"),
            (
                clientFrame(binary, Array(repeating: 0, count: 600), isFinal: false)
                    + Array(clientFrame(continuation, Array(repeating: 0, count: 401)).prefix(8)), 1009,
                "a great message in fragments"
            ),
            (
                clientFrame(text, isFinal: false)
                    + (0..<4).flatMap { _ in clientFrame(continuation, isFinal: false) }, 1009,
                "five fragments"
            ),
        ] as [([UInt8], Int, String)])
    func violations(bytes: [UInt8], code: Int, what: String) {
        for size in [1, .max] {
            let violation = Self.read(bytes, pieces: size).violation
            #expect(violation?.code == WebSocketErrorCode(codeNumber: code), "\(what)")
            #expect((violation?.reason.utf8.count ?? 0) <= 123)
        }
    }

    @Test("Binary messages are refused where only text is understood")
    func textOnly() {
        let limits = WebSocketLimits(messageSize: 10, fragments: 1)
        #expect(Self.read(clientFrame(binary), limits: limits).violation?.code == .unacceptableData)
    }

    @Test("A limit that is raised counts from the next frame on")
    func raisedLimit() throws {
        var reader = MessageReader(limits: WebSocketLimits(messageSize: 4, fragments: 1))
        reader.limits.messageSize = 8
        var bytes = ByteBuffer(bytes: clientFrame(text, Array("12345678".utf8)))
        #expect(try reader.next(&bytes) == .text(ByteBuffer(string: "12345678")))
    }

    @Test("An announced length costs no memory before its bytes arrive")
    func announced() throws {
        var reader = MessageReader(limits: WebSocketLimits(messageSize: 1 << 40, fragments: 1))
        var bytes = ByteBuffer(bytes: [0x81, 0xFF, 0, 0, 0, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 65])
        #expect(try reader.next(&bytes) == nil)
    }

    @Test("The validator and the standard library agree on every short sequence")
    func utf8() {
        func check(_ bytes: [UInt8]) {
            var validator = UTF8Validator()
            let isValid = validator.consume(bytes) && validator.isComplete
            if isValid != (String(validating: bytes, as: UTF8.self) != nil) { Issue.record("\(bytes)") }
        }
        let edges: [UInt8] = [
            0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
            0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ]
        for first in UInt8.min ... .max {
            check([first])
            for second in edges { check([first, second]) }
        }
        for first in edges {
            for second in edges {
                for third in edges {
                    check([first, second, third])
                    for fourth: UInt8 in [0x41, 0x80, 0xBF] { check([first, second, third, fourth]) }
                }
            }
        }
    }
}
