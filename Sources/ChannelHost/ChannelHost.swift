import Dispatch
import FoundationEssentials
public import Logging
public import PairingCore
import Synchronization

/// The channels of this process: found in one folder at the start, checked, loaded, and called from then on.
///
/// A plugin runs inside the process. What it can do wrong without ending the process harms only its own
/// devices: each channel has its own few threads, its calls have a time limit, what it returns is copied,
/// bounded and cleaned. A library is never unloaded or replaced while the process runs.
public final class ChannelHost: Sendable {
    /// The channels that are loaded, sorted by ID.
    public let channels: [ChannelDescription]
    /// The plugins that were found and are not used, in the order of their paths.
    public let refused: [ChannelsReport.Refused]
    /// Of those, the ones whose files are in order, by their paths.
    let failedStarts: [String: FailedStart]

    private let loaded: [ChannelID: LoadedChannel]
    private let watch = DispatchSemaphore(value: 0)
    private let watchEnded = DispatchSemaphore(value: 0)
    private let isStopped = Mutex(false)
    private let folder = FolderWatch()

    /// How often the host looks for calls that are out of time.
    private static let watchInterval = DispatchTimeInterval.milliseconds(25)

    /// Loads the channels of a folder. Blocks while plugins start: call it at the process's start, from a
    /// plain thread.
    ///
    /// A plugin is `NAME.so` with its manifest `NAME.json` beside it. Both, and every folder above them, must
    /// belong to root or this process's account and be writable by no one else (a folder such as `/tmp`,
    /// with the sticky bit and root's, is good enough on the way). A plugin that fails a check is in
    /// ``refused``, and in the log, with the reason.
    ///
    /// - Parameters:
    ///   - directory: the folder's path; empty where there are to be no channels.
    ///   - configurations: what each channel is configured with: a JSON object, by the channel's ID.
    public static func load(
        directory: String, configurations: [String: String] = [:],
        limits: ChannelCallLimits = ChannelCallLimits(), logger: Logger
    ) -> ChannelHost {
        var loader = ChannelLoader(configurations: configurations, limits: limits, logger: logger)
        loader.load(directory: directory)
        let host = ChannelHost(
            loaded: loader.loaded, refused: loader.refused, failedStarts: loader.failedStarts)
        do throws(Untrusted) {
            try host.startWatching()
            if !directory.isEmpty {
                let look = FolderLook(
                    directory: directory, failedStarts: host.failedStarts, loaded: loader.files)
                try host.folder.start(look, every: limits.folderLook)
            }
            return host
        } catch {
            // Without the watch no call would have a time limit.
            let refusal = ChannelsReport.Refused(path: directory, reason: error.message)
            return ChannelHost(loaded: [:], refused: loader.refused + [refusal], failedStarts: [:])
        }
    }

    private init(
        loaded: [ChannelID: LoadedChannel], refused: [ChannelsReport.Refused],
        failedStarts: [String: FailedStart]
    ) {
        self.loaded = loaded
        self.failedStarts = failedStarts
        self.refused = refused.sorted { $0.path < $1.path }
        channels = loaded.values.map(\.description).sorted { $0.id.text < $1.id.text }
    }

    private func startWatching() throws(Untrusted) {
        try startThread(named: "channel-watch") { [loaded, watch, watchEnded] in
            while watch.wait(timeout: .now() + Self.watchInterval) == .timedOut {
                let now = monotonicNanoseconds()
                for channel in loaded.values { channel.sweep(at: now) }
            }
            watchEnded.signal()
        }
    }

    /// How each loaded channel is doing, sorted by ID.
    public var status: [ChannelStatus] {
        loaded.values.map(\.status).sorted { $0.id.text < $1.id.text }
    }

    /// What this process says of its channels; costs no look at any file.
    ///
    /// What a restart would find is known to within ``ChannelCallLimits/folderLook``. Whether a plugin starts at
    /// all is not known before: nothing but a start runs its code.
    public var report: ChannelsReport {
        let survey = folder.survey
        return ChannelsReport(
            channels: zip(channels, status).map { channel, status in
                ChannelsReport.Channel(channel, status, outlook: survey?.outlook(of: channel) ?? .same)
            },
            refused: refused, newcomers: survey?.newcomers(beside: channels) ?? [],
            newlyRefused: survey?.newlyRefused(beside: channels, before: refused) ?? []
        ).cleaned
    }

    /// Whether the process should go on taking devices: no channel has lost all its threads to calls that do
    /// not return. Only a restart brings such a channel back.
    public var isReady: Bool { loaded.values.allSatisfy { !$0.hasNoThreadLeft } }

    /// The loaded channel of that ID.
    public func channel(_ id: ChannelID) -> ChannelDescription? { loaded[id]?.description }

    /// Has a request to pair reviewed by its channel.
    ///
    /// - Throws: `unknown_channel`, `key_required`, the channel's own refusal, or, retryable,
    ///   `channel_timeout`, `channel_busy`, `channel_failed` or `channel_out_of_service`.
    public func review(_ claim: ChannelClaim) async throws(Refusal) -> ChannelReview {
        try await find(claim.channel).review(claim)
    }

    /// Opens a session: the channel may refuse it.
    ///
    /// - Parameters:
    ///   - onFrame: called on a thread of the channel's with a frame that it sends by itself, after
    ///     ``ChannelSession/greeted()``, in order; it must not block.
    ///   - onCloseRequest: called, at any time and on any thread, where the channel asks for the
    ///   session's end, with a reason of at most 120 bytes; it must not block.
    /// - Returns: the session, to be closed with ``close(_:reason:)``, and frames for the device.
    /// - Throws: as ``review(_:)``, and, retryable, `channel_failing_here` where the channel failed too often on
    ///   this device's messages in this minute.
    public func open(
        _ opening: ChannelSessionOpening, onFrame: @escaping @Sendable (ChannelFrame) -> Void = { _ in },
        onCloseRequest: @escaping @Sendable (String) -> Void
    ) async throws(Refusal) -> (session: ChannelSession, frames: [ChannelFrame]) {
        try await find(opening.channel).open(opening, onFrame: onFrame, onCloseRequest: onCloseRequest)
    }

    /// Tells the channel that a session has ended; does not wait for it. A second call does nothing.
    public func close(_ session: ChannelSession, reason: String) {
        loaded[session.opening.channel]?.close(session, reason: reason)
    }

    /// Turns a device's message into agent messages and frames. Calls for one session are answered in order.
    ///
    /// - Throws: as ``open(_:onCloseRequest:)``, and `message_too_large` and `too_many_messages`.
    public func receive(
        _ message: ChannelDeviceMessage, in session: ChannelSession
    ) async throws(Refusal) -> ChannelOutput {
        let channel = try find(session.opening.channel)
        return try await waiting { channel.receive(message, in: session, completion: $0) }
    }

    /// Turns device messages of a session that arrived together into agent messages and frames, one after the other;
    /// as ``receive(_:in:)``, with one hand-over to the channel's threads and back.
    ///
    /// - Parameter message: makes the message of that place, told what came of the one before it; called once for
    ///   each, in order, on any thread.
    /// - Returns: what became of each; one's refusal is its own.
    public func receive(
        count: Int, in session: ChannelSession,
        _ message:
            @escaping @Sendable (
                _ index: Int, _ before: Result<ChannelOutput, Refusal>?
            ) -> ChannelDeviceMessage
    ) async throws(Refusal) -> [Result<ChannelOutput, Refusal>] {
        let channel = try find(session.opening.channel)
        let last = Mutex<Result<ChannelOutput, Refusal>?>(nil)
        return await CallChain.run(count: count) { index, completion in
            channel.receive(message(index, last.withLock { $0 }), in: session) { result in
                last.withLock { $0 = result }
                completion(result)
            }
        }
    }

    /// Turns an agent's message into frames for the device. Calls for one session are answered in order.
    ///
    /// - Throws: as ``open(_:onCloseRequest:)``.
    public func deliver(
        _ message: ChannelAgentMessage, in session: ChannelSession
    ) async throws(Refusal) -> [ChannelFrame] {
        let channel = try find(session.opening.channel)
        return try await waiting { channel.deliver(message, in: session, completion: $0) }
    }

    /// Turns agents' messages into frames for the device, one after the other, up to the first that fails; as
    /// ``deliver(_:in:)``, with one hand-over to the channel's threads and back.
    ///
    /// - Returns: what became of each that was tried.
    public func deliver(
        _ messages: [ChannelAgentMessage], in session: ChannelSession
    ) async throws(Refusal) -> [Result<[ChannelFrame], Refusal>] {
        let channel = try find(session.opening.channel)
        return await CallChain.run(count: messages.count, endsWithFailure: true) { index, completion in
            channel.deliver(messages[index], in: session, completion: completion)
        }
    }

    /// Ends the channels' threads and instances, when every session is closed. Blocks for at most about the
    /// time given for each channel; what does not end in it is left behind.
    public func shutdown(within limit: DispatchTimeInterval = .seconds(5)) {
        guard
            isStopped.withLock({ stopped in
                defer { stopped = true }
                return !stopped
            })
        else { return }
        folder.stop()
        for channel in loaded.values { channel.stop(within: limit) }
        watch.signal()
        watchEnded.wait()
    }

    private func find(_ id: ChannelID) throws(Refusal) -> LoadedChannel {
        guard let channel = loaded[id] else {
            let names = channels.map(\.id.text).joined(separator: ", ")
            throw Refusal(
                .unknownChannel,
                "There is no channel \"\(id)\" here. "
                    + (names.isEmpty ? "No channel is loaded." : "The channels are: \(names)."))
        }
        return channel
    }
}
