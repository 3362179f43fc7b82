import CGoClawChannel
import PairingCore
import Synchronization

/// One live connection of a paired device, as its channel knows it.
///
/// Made by ``ChannelHost/open(_:onCloseRequest:)``; whoever opened it closes it.
public final class ChannelSession: Sendable {
    /// Unique for the life of the process, from 1.
    public let id: UInt64
    /// The device and its channel.
    public let opening: ChannelSessionOpening

    private struct State {
        /// What the plugin keeps for the session, as the address's bits; 0 for nothing.
        var slot: UInt = 0
        var phase = Phase.apart
        var isClosed = false
        /// The device was greeted.
        var isGreeted = false
        var silence: [Duration]?
    }

    /// How far the plugin knows the session.
    enum Phase: Sendable {
        /// It has not heard of it, or has refused it.
        case apart
        /// It is being asked.
        case opening
        /// It has accepted it, so that it has to hear of its end.
        case open
    }

    private static let lastID = Atomic<UInt64>(0)

    private let state = Mutex(State())
    private let onFrame: @Sendable (ChannelFrame) -> Void
    private let onCloseRequest: @Sendable (String) -> Void

    init(
        _ opening: ChannelSessionOpening, onFrame: @escaping @Sendable (ChannelFrame) -> Void = { _ in },
        onCloseRequest: @escaping @Sendable (String) -> Void
    ) {
        self.onFrame = onFrame
        id = Self.lastID.add(1, ordering: .relaxed).newValue
        self.opening = opening
        self.onCloseRequest = onCloseRequest
    }

    /// The device has its answer and the channel's greeting: what the channel sends by itself may follow.
    public func greeted() { state.withLock { $0.isGreeted = true } }

    /// Whether the channel may send frames by itself.
    var takesFrames: Bool { state.withLock { $0.isGreeted && !$0.isClosed } }

    /// Sends a frame that the channel made by itself, unless the session has ended.
    func emit(_ frame: ChannelFrame) { if takesFrames { onFrame(frame) } }

    /// After how long without a message its agent is to be told, as the plugin said when the session opened; `nil` where
    /// it left that to its description.
    public var silencePeriods: [Duration]? { state.withLock { $0.silence } }

    func keep(silencePeriods: [Duration]?) { state.withLock { $0.silence = silencePeriods } }

    var phase: Phase { state.withLock { $0.phase } }

    func move(to phase: Phase) { state.withLock { $0.phase = phase } }

    /// The plugin is about to be asked.
    ///
    /// - Returns: `false` where the session is closed already, so that the plugin must not hear of it.
    func beginOpening() -> Bool {
        state.withLock { state in
            if !state.isClosed { state.phase = .opening }
            return !state.isClosed
        }
    }

    /// Marks the session closed.
    ///
    /// - Returns: how far the plugin knew it; `nil` where it was closed already.
    func markClosed() -> Phase? {
        state.withLock { state in
            defer { state.isClosed = true }
            return state.isClosed ? nil : state.phase
        }
    }

    /// The channel asks for the session's end.
    ///
    /// - Returns: `false` where the host has ended it already.
    func requestClose(reason: String) -> Bool {
        guard !state.withLock({ $0.isClosed }) else { return false }
        onCloseRequest(reason)
        return true
    }

    /// Lends the session to the plugin for one call. Calls for one session come one after the other.
    func lend<Result>(_ body: (UnsafePointer<goclaw_session>) -> Result) -> Result {
        var slot = UnsafeMutableRawPointer(bitPattern: state.withLock { $0.slot })
        defer { state.withLock { [slot] in $0.slot = UInt(bitPattern: slot) } }
        return withTexts(opening.senderID.text, opening.metadata) { senderID, metadata in
            withUnsafeMutablePointer(to: &slot) { slot in
                var record = goclaw_session(
                    size: recordSize(of: goclaw_session.self),
                    credential: credential(hasKey: opening.hasKey), id: id, slot: slot,
                    sender_id: senderID, metadata: metadata, opened_ms: opening.openedAt.milliseconds)
                return body(&record)
            }
        }
    }
}
