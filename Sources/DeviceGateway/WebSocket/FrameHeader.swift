import NIOCore
import NIOWebSocket

/// What a client did against RFC 6455 or this server's limits, and how its socket is closed for it.
struct WebSocketViolation: Error, Equatable {
    var code: WebSocketErrorCode
    /// At most 123 bytes, the room in a close frame.
    var reason: String

    static func protocolError(_ reason: String) -> WebSocketViolation {
        WebSocketViolation(code: .protocolError, reason: reason)
    }

    static func tooBig(_ reason: String) -> WebSocketViolation {
        WebSocketViolation(code: .messageTooLarge, reason: reason)
    }

    static let notUTF8 = WebSocketViolation(
        code: .dataInconsistentWithMessage, reason: "text that is not valid UTF-8")
}

/// The header of a frame from a client (RFC 6455 §5.2).
struct FrameHeader: Equatable {
    var isFinal: Bool
    var opcode: WebSocketOpcode
    var length: Int
    /// The masking key, first byte lowest.
    var mask: UInt32

    var isControl: Bool { opcode.isControlOpcode }

    /// Reads a header as soon as all of it is there, and refuses a bad one as soon as its bad part is.
    ///
    /// NIO's decoder is not used here: it checks neither masking nor reserved bits, hands a frame out only
    /// once it has all of it, and cannot change its size limit when a device has connected.
    ///
    /// - Returns: `nil`, and nothing is taken from `bytes`, where more bytes are needed.
    static func read(from bytes: inout ByteBuffer) throws(WebSocketViolation) -> FrameHeader? {
        let start = bytes.readerIndex
        guard let first = bytes.getInteger(at: start, as: UInt8.self) else { return nil }
        guard first & 0x70 == 0 else { throw .protocolError("a reserved bit is set") }
        let isFinal = first & 0x80 != 0
        guard let opcode = WebSocketOpcode(encodedWebSocketOpcode: first & 0x0F), !opcode.isReserved else {
            throw .protocolError("a reserved opcode")
        }
        guard isFinal || !opcode.isControlOpcode else { throw .protocolError("a fragmented control frame") }

        guard let second = bytes.getInteger(at: start + 1, as: UInt8.self) else { return nil }
        guard second & 0x80 != 0 else { throw .protocolError("a frame that is not masked") }
        let short = second & 0x7F
        guard short <= 125 || !opcode.isControlOpcode else {
            throw .protocolError("a control frame of more than 125 bytes")
        }
        guard let (length, size) = try length(short, in: bytes, at: start + 2),
            let mask = bytes.getInteger(at: start + 2 + size, endianness: .little, as: UInt32.self)
        else { return nil }
        bytes.moveReaderIndex(forwardBy: 2 + size + 4)
        return FrameHeader(isFinal: isFinal, opcode: opcode, length: length, mask: mask)
    }

    private static func length(
        _ short: UInt8, in bytes: ByteBuffer, at index: Int
    ) throws(WebSocketViolation) -> (length: Int, size: Int)? {
        switch short {
        case 126:
            guard let length = bytes.getInteger(at: index, as: UInt16.self) else { return nil }
            guard length > 125 else { throw .protocolError("a length that is not in its shortest form") }
            return (Int(length), 2)
        case 127:
            guard let length = bytes.getInteger(at: index, as: UInt64.self) else { return nil }
            guard length > UInt16.max else {
                throw .protocolError("a length that is not in its shortest form")
            }
            guard let length = Int(exactly: length) else {
                throw .protocolError("a length with its highest bit set")
            }
            return (length, 8)
        default: return (Int(short), 0)
        }
    }

    /// Writes the header of an unfragmented frame from the server; servers do not mask (§5.1).
    static func write(_ opcode: WebSocketOpcode, length: Int, to bytes: inout ByteBuffer) {
        bytes.writeInteger(0x80 | UInt8(webSocketOpcode: opcode))
        switch length {
        case ...125: bytes.writeInteger(UInt8(length))
        case ...Int(UInt16.max):
            bytes.writeInteger(126 as UInt8)
            bytes.writeInteger(UInt16(length))
        default:
            bytes.writeInteger(127 as UInt8)
            bytes.writeInteger(UInt64(length))
        }
    }

    /// The greatest size of what ``write(_:length:to:)`` writes.
    static let maximumWrittenSize = 10
}

extension WebSocketOpcode {
    fileprivate var isReserved: Bool {
        switch self {
        case .continuation, .text, .binary, .connectionClose, .ping, .pong: false
        default: true
        }
    }
}
