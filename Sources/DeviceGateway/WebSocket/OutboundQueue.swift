import NIOCore

/// The bounded queue of what a slow client has not taken yet (I10).
///
/// Frames are handed to the channel while it is writable, and wait here while it is not.
public struct OutboundQueue {
    /// How much may wait.
    public struct Limits: Sendable, Equatable {
        /// In bytes.
        public var bytes: Int
        /// In frames.
        public var frames: Int

        /// Wraps the limits.
        public init(bytes: Int, frames: Int) {
            self.bytes = bytes
            self.frames = frames
        }
    }

    enum Outcome: Equatable {
        /// Write the frame now.
        case write
        /// The frame waits.
        case queued
        /// There is no room: the client is too slow.
        case overflow
    }

    private let limits: Limits
    private var frames = CircularBuffer<ByteBuffer>(initialCapacity: 1)
    private var bytes = 0

    init(limits: Limits) { self.limits = limits }

    var isEmpty: Bool { frames.isEmpty }

    /// Takes a frame.
    mutating func push(_ frame: ByteBuffer, isWritable: Bool) -> Outcome {
        if isWritable, frames.isEmpty { return .write }
        guard frames.count < limits.frames, bytes + frame.readableBytes <= limits.bytes else {
            return .overflow
        }
        pushLast(frame)
        return .queued
    }

    /// Takes a frame that ends the socket: there is always room for it.
    mutating func pushLast(_ frame: ByteBuffer) {
        frames.append(frame)
        bytes += frame.readableBytes
    }

    /// Gives out the oldest frame.
    mutating func pop() -> ByteBuffer? {
        guard let frame = frames.popFirst() else { return nil }
        bytes -= frame.readableBytes
        // What a burst has grown is given back, for there are thousands of these.
        if frames.isEmpty { removeAll() }
        return frame
    }

    /// Forgets what waits.
    mutating func removeAll() {
        frames = CircularBuffer(initialCapacity: 1)
        bytes = 0
    }
}
