import NIOCore

/// The bounded queue of what a slow client has not taken yet (I10).
///
/// Frames are handed to the channel while it is writable, and wait here while it is not. Those that deliver something
/// wait as well while the queue is suspended; answers pass them then.
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

    private struct Frame {
        let bytes: ByteBuffer
        let isDelivery: Bool
    }

    private let limits: Limits
    /// Whether deliveries are withheld.
    var isSuspended = false
    private var frames = CircularBuffer<Frame>(initialCapacity: 1)
    private var bytes = 0

    init(limits: Limits) { self.limits = limits }

    /// Whether nothing waits but what is withheld.
    var isEmpty: Bool { next == nil }

    /// Whether something waits, for whatever reason.
    var hasFrames: Bool { !frames.isEmpty }

    private var next: CircularBuffer<Frame>.Index? {
        isSuspended ? frames.firstIndex { !$0.isDelivery } : frames.isEmpty ? nil : frames.startIndex
    }

    /// Takes a frame.
    mutating func push(_ frame: ByteBuffer, isDelivery: Bool = false, isWritable: Bool) -> Outcome {
        if isWritable, isEmpty, !(isSuspended && isDelivery) { return .write }
        guard frames.count < limits.frames, bytes + frame.readableBytes <= limits.bytes else {
            return .overflow
        }
        append(Frame(bytes: frame, isDelivery: isDelivery))
        return .queued
    }

    /// Takes a frame that ends the socket: there is always room for it.
    mutating func pushLast(_ frame: ByteBuffer) { append(Frame(bytes: frame, isDelivery: false)) }

    private mutating func append(_ frame: Frame) {
        frames.append(frame)
        bytes += frame.bytes.readableBytes
    }

    /// Gives out the oldest frame.
    mutating func pop() -> ByteBuffer? {
        guard let next else { return nil }
        let frame = frames.remove(at: next).bytes
        bytes -= frame.readableBytes
        // What a burst has grown is given back, for there are thousands of these.
        if frames.isEmpty { removeAll() }
        return frame
    }

    /// Forgets what is withheld.
    mutating func removeWithheld() {
        guard isSuspended else { return }
        let kept = frames.filter { !$0.isDelivery }
        removeAll()
        for frame in kept { append(frame) }
    }

    /// Forgets what waits.
    mutating func removeAll() {
        frames = CircularBuffer(initialCapacity: 1)
        bytes = 0
    }
}
