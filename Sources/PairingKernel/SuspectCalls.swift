import Logging
import PairingCore
import PairingStore

/// Sees to it that a message which ends the process in its channel's code meets it a bounded number of times: each
/// attempt is recorded before it is made, and forgotten when it is back.
///
/// Only calls that may have ended a process before go this way; the others cost nothing more.
struct SuspectCalls: Sendable {
    /// What came of a call that was made before.
    private enum Repeat {
        /// It ended processes as often as it may.
        case notMade
        case made(isBack: Bool)
    }

    private struct Call: Sendable {
        let name: PairingStore.SuspectCall
        let body: @Sendable () async -> Bool
    }

    private let first: Batcher<PairingStore.SuspectCall, Bool>
    private let again: Batcher<Call, Repeat>
    private let cleared: Batcher<PairingStore.SuspectCall, Void>
    private let logger: Logger

    /// - Parameter limit: how often a call is made.
    init(store: PairingStore, limit: Int, logger: Logger) {
        self.logger = logger
        first = Batcher { calls in
            let new = try await store.recordSuspects(calls)
            return calls.map(new.contains)
        }
        // One at a time, so that of all that were under way when a process ended only the guilty one goes on counting.
        again = Batcher(maximumBatch: 1, bounds: .init(time: .seconds(60))) { calls in
            var results: [Repeat] = []
            for call in calls {
                let isMade = try await store.repeatSuspect(call.name) <= limit
                results.append(isMade ? .made(isBack: await call.body()) : .notMade)
            }
            return results
        }
        cleared = Batcher {
            try await store.clearSuspects($0)
            return $0.map { _ in () }
        }
    }

    /// Makes a call.
    ///
    /// - Parameter body: says whether the call is back. One that was given up for its time is not: it may be ending the
    ///   process at this moment, which takes seconds where a backtrace is written and the machine is busy.
    /// - Returns: whether it was made; not where it ended processes as often as it may.
    /// - Throws: what keeps it from being recorded; it was not made then.
    func make(
        _ call: PairingStore.SuspectCall, _ body: @escaping @Sendable () async -> Bool
    ) async throws -> Bool {
        let isBack: Bool
        if try await first.submit(call) {
            isBack = await body()
        } else {
            guard case .made(let isBackAgain) = try await again.submit(Call(name: call, body: body)) else {
                return false
            }
            isBack = isBackAgain
        }
        guard isBack else { return true }
        do {
            try await cleared.submit(call)
        } catch {
            // It is made alone the next time, which is all.
            logger.debug("A call that is back stays recorded", metadata: ["error": "\(error)"])
        }
        return true
    }
}

/// Which of a session's messages may have ended the process before.
struct SuspectMessages: Sendable {
    /// Messages to the device up to this number.
    private(set) var outbound: Int64 = 0
    /// So many of the next messages from the device.
    private var inbound = 0

    /// None: the session before ended as sessions do.
    init() {}

    /// The session before ended without a word.
    ///
    /// - Parameters:
    ///   - uncleanEnds: how many in a row did. A device may have sent as many as its window holds; one that sends others
    ///     first is watched for longer the second time.
    ///   - newest: the newest message to the device.
    init(uncleanEnds: Int, newest: Int64) {
        guard uncleanEnds > 0 else { return }
        outbound = newest
        inbound = uncleanEnds == 1 ? 256 : 4096
    }

    /// The device sends so many messages.
    ///
    /// - Returns: whether any of them is one.
    mutating func takeInbound(_ count: Int) -> Bool {
        defer { inbound = max(0, inbound - count) }
        return inbound > 0
    }
}

extension Result where Failure == Refusal {
    /// Whether a call that came to this is back from its channel.
    var isBack: Bool {
        switch self {
        case .success: true
        case .failure(let refusal): !refusal.isOf(.channelTimeout)
        }
    }
}

extension Refusal {
    /// The message has ended the process too often: it does not come to the channel again.
    static let channelCrashed = Refusal(.channelCrashed)
}
