import Logging
import PairingCore
import PairingStore
import Synchronization

/// Claims: taken where there is work, renewed while there is, and given back.
extension AgentDispatcher {
    func claimWanted() async {
        for await _ in claims.calls {
            while true {
                let batch = state.withLock { $0.machine.takeClaims(limit: 16) }
                if batch.isEmpty { break }
                do {
                    let outcomes = try await store.claimWork(of: batch, for: claim)
                    apply { machine in
                        for (senderID, _) in batch {
                            machine.claimed(senderID, outcomes[senderID.key] ?? .nothing, now: .now)
                        }
                    }
                } catch {
                    apply { machine in for (senderID, _) in batch { machine.claimFailed(senderID, now: .now) }
                    }
                    if StoreFailure(error) == .cancelled { return }
                }
            }
        }
    }

    func giveBack() async {
        for await _ in releases.calls {
            var keys = state.withLock { $0.machine.takeReleases() }
            do {
                // Whoever has locked a device does so for a moment; waiting out its claim would take far longer.
                for _ in 0..<50 where !keys.isEmpty {
                    let locked = try await store.releaseWork(of: keys, by: claim.instance)
                    if !locked.isEmpty { try await Task.sleep(for: .milliseconds(20)) }
                    keys = state.withLock { state in locked.filter { state.machine.devices[$0] == nil } }
                }
            } catch {
                // They end by themselves.
                logger.debug("Claims could not be given back", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Once a second: takes the work that nobody does.
    func lookForWork() async {
        while !Task.isCancelled {
            // What becomes free tells nobody: a gateway that died cannot. Jitter, so that instances which started
            // together do not look together.
            try? await Task.sleep(for: .milliseconds(.random(in: 800...1200)))
            apply { $0.timePassed(now: .now) }
            metrics.record(state.withLock { ($0.machine.heldMessages, $0.machine.callCount) })
            while state.withLock({ $0.machine.hasRoom() }), !Task.isCancelled {
                do {
                    let work = try await store.claimDueWork(limit: 16, for: claim)
                    apply { machine in for device in work { machine.adopt(device, now: .now) } }
                    if work.count < 16 { break }
                } catch {
                    logger.debug("No look for agents' work", metadata: ["error": "\(error)"])
                    break
                }
            }
        }
    }

    func renew() async {
        while !Task.isCancelled {
            // Three renewals may fail before a claim ends.
            try? await Task.sleep(for: claim.lease / 4)
            var rest = state.withLock { $0.machine.claimedKeys }[...]
            while !rest.isEmpty, !Task.isCancelled {
                let keys = Array(rest.prefix(500))
                rest = rest.dropFirst(500)
                do {
                    let held = try await store.renewWork(of: keys, for: claim)
                    apply { $0.lose(keys.filter { !held.contains($0) }) }
                } catch {
                    logger.debug("Claims could not be renewed", metadata: ["error": "\(error)"])
                    break
                }
            }
        }
    }

    /// While something waits for its time: sees to it that it comes.
    func keepTime() async {
        for await _ in timers.calls {
            // The shortest time that anything waits for; one look serves all that is due by then.
            try? await Task.sleep(for: .milliseconds(50))
            apply { $0.timePassed(now: .now) }
        }
    }
}
