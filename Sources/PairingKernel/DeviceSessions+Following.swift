import Logging
import PairingCore
import PairingStore
import ServiceLifecycle
import Synchronization

extension DeviceSessions {
    /// How often the sessions are compared with the database, notified or not.
    private var reconcileInterval: Duration { settings.authorityLease / 4 }

    /// Follows the event feed, keeps the lease and reconciles, until graceful shutdown.
    ///
    /// Never returns or throws because the database is away.
    public func run() async throws {
        let (following, isFollowing) = AsyncStream.makeStream(of: Void.self)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.followHints() }
            group.addTask { await self.followFeed { isFollowing.finish() } }
            group.addTask {
                // What happened before the feed is followed is for the first comparison to find.
                for await _ in following {}
                await self.reconcileRegularly()
            }
            group.addTask { await self.passOnDecisions() }
            group.addTask { await self.watchAdministrators() }
            group.addTask { await self.tick() }
            group.addTask { await self.watchLease() }
            group.addTask { await self.carryOutDeliveries() }
            group.addTask { await self.lookForAnswers() }
            group.addTask { await self.dispatcher.run(telling: self) }
            group.addTask {
                await SilenceWatch(
                    store: self.store, agents: self.agents, channels: self.channels, logger: self.logger
                ).run()
            }
            try? await gracefulShutdown()
            group.cancelAll()
        }
        endQuestions(.stopping)
        await dispatcher.stop()
        await flushEnded()
        do {
            try await store.retire(instanceID)
        } catch {
            logger.warning(
                "The lease ends by itself: it could not be returned", metadata: ["error": "\(error)"])
        }
    }

    /// Acts on a notification of a replaced session at once; all others only wake the feed's follower.
    private func followHints() async {
        for await hint in hints.hints {
            switch hint {
            case .readFeed:
                wakes.continuation.yield()
            case .replaced(let sessions, on: let instance) where instance == instanceID:
                for replaced in sessions {
                    let sockets = change(because: "replaced") {
                        $0.table.replace(replaced.senderKey, below: replaced.epoch)
                    }
                    for socket in sockets {
                        noteReplacement(of: replaced.senderKey)
                        socket.close(.replaced)
                    }
                }
            case .wake(let wake, let devices, on: let instance) where instance == instanceID:
                act(on: wake, of: devices)
            case .replaced, .wake: continue
            }
        }
    }

    /// Another instance has something for devices of this one.
    private func act(on wake: PairingStore.Wake, of devices: [String]) {
        switch wake {
        case .deliver: look(for: devices)
        case .work: dispatcher.want(devices.compactMap { SenderID($0) })
        case .abort:
            for device in devices {
                let parts = device.split(separator: "=")
                guard parts.count == 2, let sequence = Int64(parts[1]) else { continue }
                dispatcher.abort(sequence, of: String(parts[0]))
            }
        }
    }

    /// Reads the feed from the last position on. The only reader, so every event is acted on once and in order.
    ///
    /// - Parameter onStart: called once the newest position is known.
    private func followFeed(onStart: () -> Void) async {
        var position: Int64?
        for await _ in wakes.stream {
            do {
                if position == nil {
                    position = try await store.newestPosition()
                    onStart()
                }
                while let from = position {
                    let events = try await store.events(after: from, limit: 500)
                    for event in events { await act(on: event) }
                    if !events.isEmpty, let reader = feedReader.withLock({ $0 }) { reader(events) }
                    if !events.isEmpty { feedListener.withLock { $0 }?() }
                    position = events.last?.position ?? from
                    if events.isEmpty, let newest = try await positionIfRestored(since: from) {
                        position = newest
                        try await reconcile()
                        continue
                    }
                    if events.count < 500 { break }
                }
            } catch {
                if StoreFailure(error) == .cancelled { return }
                logger.warning("The event feed could not be read", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Where the feed is, if the database was taken back to before a position that was read: what was decided after it
    /// is undone, and what is decided from now on would be taken for read.
    private func positionIfRestored(since position: Int64) async throws -> Int64? {
        let newest = try await store.newestPosition()
        guard newest < position else { return nil }
        logger.warning(
            """
            The database was taken back to an earlier moment while this gateway ran: stop every server, run nodesctl \
            backup restored, and start them again
            """, metadata: ["read": "\(position)", "newest": "\(newest)"])
        feedReader.withLock { $0 }?([])
        return newest
    }

    /// Reconciles every few seconds; beside the feed, so that no event waits for it.
    private func reconcileRegularly() async {
        while !Task.isCancelled {
            do {
                try await reconcile()
                try? await Task.sleep(for: reconcileInterval)
            } catch {
                if StoreFailure(error) == .cancelled { return }
                logger.warning(
                    "The sessions could not be compared with the database", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: min(.seconds(1), reconcileInterval))
            }
        }
    }

    private func act(on event: PairingStore.Event) async {
        guard let senderID = event.senderID.flatMap({ SenderID($0) }) else { return }
        switch EventName(rawValue: event.event) {
        case .pairingRevoked:
            let generation = Generation(event.generation ?? .max)
            let sockets = change(because: "revoked") { $0.table.revoke(senderID, below: generation) }
            for socket in sockets { socket.close(.revoked) }
            endQuestions(of: senderID, below: generation)
            dispatcher.revoke(senderID, below: generation)
        case .commandEnded:
            let call = (try? JSONValue(parsing: event.details.utf8))?["callId"]?.string
            if let call { commandWaits.wake(call) }
        case .pairingApproved, .pairingDenied, .pairingExpired:
            guard let id = event.requestID.flatMap({ RequestID($0) }) else { return }
            // Not here: an approval asks the database, and a revocation behind it must not wait for that.
            passOn([(id, senderID)])
        default: return
        }
    }

    /// How many decisions are passed on at once: each asks the database a few times, and many together must not take
    /// the room in which paired devices wait for it (I10).
    private static let decisionsAtOnce = 8

    /// Has the sockets that wait for these requests told how they ended.
    private func passOn(_ requests: [(id: RequestID, senderID: SenderID)]) {
        let hasDecisions = state.withLock { state in
            for (id, senderID) in requests where !state.table.waiting(for: id, of: senderID).isEmpty {
                state.decided[id] = senderID
            }
            return !state.decided.isEmpty
        }
        if hasDecisions { decisions.continuation.yield() }
    }

    /// Passes decisions on, a few at once. One whose device's channel takes its time holds up its own place only.
    private func passOnDecisions() async {
        await withTaskGroup(of: Void.self) { group in
            var running = 0
            for await _ in decisions.stream {
                while let (id, senderID) = state.withLock({ $0.decided.popFirst() }) {
                    if running == Self.decisionsAtOnce {
                        await group.next()
                        running -= 1
                    }
                    running += 1
                    group.addTask { await self.resolve(id, of: senderID) }
                }
            }
        }
    }

    /// Closes the sockets of administrators whose authority has ended. Apart from the lease, which must not wait for
    /// however many there are.
    private func watchAdministrators() async {
        while !Task.isCancelled {
            let administrators = state.withLock { $0.table.administrators }
            do {
                let live = try await accounts.live(among: administrators.map(\.authority))
                for (id, socket, authority) in administrators where !live.contains(authority) {
                    state.withLock { $0.table.leave(id) }
                    socket.close(.authorityEnded)
                }
            } catch {
                if StoreFailure(error) == .cancelled { return }
                logger.warning(
                    "The administrators' sockets could not be compared with the database",
                    metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: min(.seconds(1), reconcileInterval))
        }
    }

    /// Tells the sockets that wait for a request how it ended.
    func resolve(_ id: RequestID, of senderID: SenderID) async {
        do {
            guard let request = try await store.request(id), request.state != .pending else { return }
            let newest =
                request.state == .approved ? try await store.waitingSocket(of: id, on: instanceID) : nil
            // Taken out at once: whoever comes second finds none to tell.
            let waiting = state.withLock { state in
                let waiting = state.table.waiting(for: id, of: senderID)
                for waiter in waiting { state.table.authorise(waiter.id, as: senderID) }
                return waiting
            }
            for waiter in waiting {
                switch request.state {
                case .approved:
                    let grant = waiter.id == newest ? await grant(of: request, to: waiter.socket) : nil
                    waiter.socket.resolve(.approved(id, grant))
                    if let grant {
                        begin(grant, on: waiter.socket)
                    } else {
                        state.withLock { $0.table.abandon(waiter.id) }
                    }
                case .denied:
                    state.withLock { $0.table.abandon(waiter.id) }
                    waiter.socket.resolve(.denied(id, reason: request.reason))
                    waiter.socket.close(.denied)
                case .expired, .pending:
                    state.withLock { $0.table.abandon(waiter.id) }
                    waiter.socket.resolve(.expired(id))
                }
            }
        } catch {
            logger.warning(
                "A decision could not be passed on yet",
                metadata: ["requestId": "\(id)", "error": "\(error)"])
        }
    }

    /// Makes the newest waiting socket the session of the device that was just paired.
    private func grant(of request: PairingRequest, to socket: any DeviceSocket) async -> SessionGrant? {
        do {
            guard
                let device = try await store.activeDevices(of: [request.senderID])[request.senderID.key],
                device.requestID == request.id
            else { return nil }
            return try await begin(
                device.generation, of: device, at: socket.address, on: socket, comesWithApproval: true)
        } catch {
            logger.warning(
                "A device was approved and has to connect by itself",
                metadata: ["senderId": "\(request.senderID)", "error": "\(error)"])
            return nil
        }
    }

    /// Compares what this instance believes with the database, and closes what is no more (I3).
    private func reconcile() async throws {
        let asked = ContinuousClock.now
        let (live, waiting) = state.withLock { ($0.table.live, $0.table.waitingRequests) }
        let ends = try await store.reconcile(
            live.map(\.grant.liveSession), on: instanceID, name: name, lease: settings.authorityLease)
        for (_, socket, grant) in live {
            switch ends[grant.liveSession] {
            case .revoked: end(grant, on: socket, .revoked, because: "revoked")
            case .replaced: end(grant, on: socket, .replaced, because: "replaced")
            case nil: continue
            }
        }
        confirmLease(asked: asked)
        // What a notification would have told, had it not been lost.
        let delivered = state.withLock { state in
            state.table.live.map { live in
                (live.grant.liveSession, state.work[live.id]?.delivery.delivered ?? .max)
            }
        }
        look(for: try await store.sessionsBehind(delivered).map(\.senderID.key))
        let ended = try await store.endedRequests(among: waiting.map(\.request))
        passOn(waiting.filter { ended[$0.request] != nil }.map { ($0.request, $0.senderID) })
        // And what became of messages that are worked on elsewhere.
        wantsAnswers.continuation.yield()
        await publishChannels()
    }

    /// The database has confirmed the sessions as they were when it was asked.
    private func confirmLease(asked: ContinuousClock.Instant) {
        let resumes = state.withLock { state in
            let resumes = state.lease.confirm(asked: asked)
            if resumes { for (_, socket, _) in state.table.live { socket.resume() } }
            return resumes
        }
        if resumes { logger.notice("The database confirms this instance's sessions again") }
    }

    /// Once a second: wakes the follower, and passes on ended sessions.
    private func tick() async {
        while !Task.isCancelled {
            wakes.continuation.yield()
            if isAnsweredElsewhere { wantsAnswers.continuation.yield() }
            await flushEnded()
            try? await Task.sleep(for: min(.seconds(1), reconcileInterval))
        }
    }

    /// Suspends and closes the sessions when the lease ends. Asks the database nothing: one that hangs must
    /// not delay this (I3).
    private func watchLease() async {
        while !Task.isCancelled {
            let action = state.withLock { state in
                let action = state.lease.check(now: .now)
                // Under the lock: a socket suspended after its `resume` would stay so for ever.
                if action == .suspend { for (_, socket, _) in state.table.live { socket.suspend() } }
                return action
            }
            switch action {
            case .none: break
            case .suspend:
                logger.error(
                    "The database has not confirmed this instance's sessions for too long: they pause")
            case .close:
                logger.error("The database is still away: this instance's sessions are closed")
                for (_, socket, grant) in state.withLock({ $0.table.live }) {
                    end(grant, on: socket, .authorityLost, because: "the database is away")
                }
                endQuestions(.unavailable)
            }
            try? await Task.sleep(for: min(.seconds(1), reconcileInterval))
        }
    }

    /// Tells the database of the sessions that ended; what fails is told next time.
    private func flushEnded() async {
        let (ended, unproven) = state.withLock { state in
            defer { state.unproven = [] }
            return (state.table.takeEnded(), state.unproven)
        }
        if ended.isEmpty { return }
        do {
            try await store.endSessions(ended.map(\.liveSession), on: instanceID, unproven: unproven)
        } catch {
            state.withLock { state in
                state.table.giveBack(ended: ended)
                state.unproven.formUnion(unproven)
            }
        }
    }
}
