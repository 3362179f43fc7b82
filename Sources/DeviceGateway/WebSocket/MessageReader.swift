import NIOCore
import NIOWebSocket

/// What a socket accepts.
public struct WebSocketLimits: Sendable, Equatable {
    /// The greatest message in bytes, all fragments together.
    public var messageSize: Int
    /// The greatest number of frames one message may come in.
    public var fragments: Int
    /// Whether binary messages are understood; else they close the socket with 1003.
    public var acceptsBinary: Bool

    /// Wraps the limits.
    public init(messageSize: Int, fragments: Int, acceptsBinary: Bool = false) {
        self.messageSize = messageSize
        self.fragments = fragments
        self.acceptsBinary = acceptsBinary
    }
}

/// Turns a client's bytes into messages and control frames, checking all that RFC 6455 demands of them.
///
/// Bytes are judged as they come: a bad header, too great a length or a broken character is refused before
/// the frame that holds it is complete, and memory grows with what has arrived, never with what is announced.
struct MessageReader {
    enum Event: Equatable {
        case text(ByteBuffer)
        case binary(ByteBuffer)
        /// A frame of a message that goes on.
        case fragment
        case ping(ByteBuffer)
        case pong(ByteBuffer)
        /// The client closes; a close frame without a code has none.
        case close(code: WebSocketErrorCode?)

        /// What this costs of a client's frames. A message is one however it is cut: small devices send in small
        /// pieces. A piece is not free, or a flood of empty ones would be.
        var price: Double { self == .fragment ? 1 / 16 : 1 }
    }

    var limits: WebSocketLimits

    private var header: FrameHeader?
    /// How many bytes of the current frame's payload have been taken.
    private var taken = 0
    private var message: PartialMessage?
    private var control = ByteBuffer()

    init(limits: WebSocketLimits) { self.limits = limits }

    /// Takes bytes until something is complete.
    ///
    /// - Returns: `nil` where more bytes are needed; a header that is not complete stays in `bytes`.
    mutating func next(_ bytes: inout ByteBuffer) throws(WebSocketViolation) -> Event? {
        if header == nil {
            guard let new = try FrameHeader.read(from: &bytes) else { return nil }
            try begin(new)
        }
        guard let header else { return nil }
        try takePayload(of: header, from: &bytes)
        guard taken == header.length else { return nil }
        self.header = nil
        taken = 0
        return header.isControl ? try endControl(header.opcode) : try endData(isFinal: header.isFinal)
    }

    private mutating func begin(_ header: FrameHeader) throws(WebSocketViolation) {
        if !header.isControl { try beginData(header) }
        self.header = header
    }

    private mutating func beginData(_ header: FrameHeader) throws(WebSocketViolation) {
        switch (header.opcode, message) {
        case (.continuation, nil): throw .protocolError("a continuation without a message")
        case (.continuation, .some): break
        case (_, .some): throw .protocolError("a new message before the last one ended")
        case (.binary, nil) where !limits.acceptsBinary:
            throw WebSocketViolation(code: .unacceptableData, reason: "binary data; send JSON as text")
        case (_, nil): message = PartialMessage(isText: header.opcode == .text)
        }
        message?.fragments += 1
        guard let message, message.fragments <= limits.fragments else {
            throw .tooBig("a message in more than \(limits.fragments) fragments")
        }
        guard header.length <= limits.messageSize - message.bytes.readableBytes else {
            let length = message.bytes.readableBytes.addingReportingOverflow(header.length)
            let bytes = length.overflow ? .max : length.partialValue
            throw .tooBig("a message of \(bytes) bytes or more, where \(limits.messageSize) are accepted")
        }
    }

    private mutating func takePayload(
        of header: FrameHeader, from bytes: inout ByteBuffer
    ) throws(WebSocketViolation) {
        guard var piece = bytes.readSlice(length: min(header.length - taken, bytes.readableBytes)),
            piece.readableBytes > 0
        else { return }
        piece.unmask(header.mask, offset: taken)
        taken += piece.readableBytes
        if header.isControl {
            control.writeBuffer(&piece)
        } else if message?.append(&piece) == false {
            throw .notUTF8
        }
    }

    private mutating func endData(isFinal: Bool) throws(WebSocketViolation) -> Event? {
        guard isFinal, let message else { return .fragment }
        self.message = nil
        guard message.isText else { return .binary(message.bytes) }
        guard message.text.isComplete else { throw .notUTF8 }
        return .text(message.bytes)
    }

    private mutating func endControl(_ opcode: WebSocketOpcode) throws(WebSocketViolation) -> Event {
        let payload = control
        control = ByteBuffer()
        switch opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        default: return .close(code: try Self.closeCode(payload))
        }
    }

    /// Reads the body of a close frame (RFC 6455 §5.5.1).
    private static func closeCode(_ payload: ByteBuffer) throws(WebSocketViolation) -> WebSocketErrorCode? {
        var payload = payload
        guard payload.readableBytes > 0 else { return nil }
        guard let number = payload.readInteger(as: UInt16.self) else {
            throw .protocolError("a close frame with half a code")
        }
        // RFC 6455 §7.4 and the registry it founds: 1004 to 1006 and 1015 are never sent, 1016 to 2999 are
        // not assigned.
        switch number {
        case 1000...1003, 1007...1014, 3000...4999: break
        default: throw .protocolError("a close code that may not be sent")
        }
        var reason = UTF8Validator()
        guard reason.consume(payload.readableBytesView), reason.isComplete else { throw .notUTF8 }
        return WebSocketErrorCode(codeNumber: Int(number))
    }
}

/// A message whose last frame has not come.
private struct PartialMessage {
    let isText: Bool
    var bytes = ByteBuffer()
    var fragments = 0
    var text = UTF8Validator()

    init(isText: Bool) { self.isText = isText }

    /// - Returns: false where a text is not UTF-8.
    mutating func append(_ piece: inout ByteBuffer) -> Bool {
        let isValid = !isText || piece.withUnsafeReadableBytes { text.consume($0) }
        if bytes.capacity == 0 {
            bytes = piece
        } else {
            bytes.writeBuffer(&piece)
        }
        return isValid
    }
}

extension ByteBuffer {
    /// Undoes a client's masking (RFC 6455 §5.3) of bytes that start at `offset` of the payload.
    fileprivate mutating func unmask(_ mask: UInt32, offset: Int) {
        let rotation = UInt32(offset % 4) * 8
        let key = mask >> rotation | (rotation == 0 ? 0 : mask << (32 - rotation))
        let wide = UInt64(key) << 32 | UInt64(key)
        withUnsafeMutableReadableBytes { bytes in
            let words = bytes.count / 8
            for word in 0..<words {
                let value = bytes.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self)
                bytes.storeBytes(
                    of: value ^ UInt64(littleEndian: wide), toByteOffset: word * 8, as: UInt64.self)
            }
            for index in words * 8..<bytes.count {
                bytes[index] ^= UInt8(truncatingIfNeeded: wide >> UInt64(index % 8 * 8))
            }
        }
    }
}
