import PairingCore
import Synchronization

/// Lets a few through at once and a bounded number wait, so that those whom nobody knows yet neither take the
/// database's connections from paired devices nor fill the room in which these wait for one (I10). They wait by network
/// block and in turn, not in the order in which they came (I13), and not for ever.
final class Gate: Sendable {
    private struct State {
        var machine: GateMachine
        var lastTicket: GateMachine.Ticket = 0
        var waiting: [GateMachine.Ticket: Waiter] = [:]
        /// Whose patience ended before they had begun to wait.
        var late: [GateMachine.Ticket: any Error] = [:]
    }

    private typealias Waiter = CheckedContinuation<Void, any Error>

    private let state: Mutex<State>
    private let patience: Duration

    /// - Parameters:
    ///   - width: how many may be inside at once.
    ///   - capacity: how many may wait for that; more are refused, of those who hold most of the room first.
    ///   - patience: how long one waits at most.
    init(width: Int, capacity: Int = 512, patience: Duration = .seconds(3)) {
        state = Mutex(State(machine: GateMachine(width: width, capacity: capacity)))
        self.patience = patience
    }

    /// How many wait to be let in.
    var waiting: Int { state.withLock(\.machine.waiting) }

    /// Carries out `body` once it is this caller's turn.
    ///
    /// - Throws: what `body` throws; a `RESOURCE_EXHAUSTED` refusal where too many wait, an `UNAVAILABLE` one where it
    ///   took too long; `CancellationError`.
    func pass<Value: Sendable>(
        _ address: ClientAddress, _ body: () async throws -> Value
    ) async throws -> Value {
        try await enter(address)
        defer { leave() }
        return try await body()
    }

    private func enter(_ address: ClientAddress) async throws {
        let ticket = state.withLock { state -> GateMachine.Ticket? in
            if state.machine.enterAtOnce() { return nil }
            state.lastTicket += 1
            return state.lastTicket
        }
        guard let ticket else { return }
        defer { state.withLock { $0.late[ticket] = nil } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [patience] in
                // Cancelled when it is the caller's turn, or with the caller.
                let isCancelled = (try? await Task.sleep(for: patience)) == nil
                self.giveUp(ticket, isCancelled ? CancellationError() as any Error : Refusal.waitedTooLong)
            }
            defer { group.cancelAll() }
            try await withCheckedThrowingContinuation { self.arrive(ticket, address, $0) }
        }
    }

    private func arrive(_ ticket: GateMachine.Ticket, _ address: ClientAddress, _ waiter: Waiter) {
        var displaced: Waiter?
        let answer = state.withLock { state -> Result<Void, any Error>? in
            if let reason = state.late[ticket] { return .failure(reason) }
            switch state.machine.arrive(ticket, from: address) {
            case .enters: return .success(())
            case .refused: return .failure(Refusal.overloaded)
            case .waitsDisplacing(let other): displaced = state.waiting.removeValue(forKey: other)
            case .waits: break
            }
            state.waiting[ticket] = waiter
            return nil
        }
        displaced?.resume(throwing: Refusal.overloaded)
        if let answer { waiter.resume(with: answer) }
    }

    private func giveUp(_ ticket: GateMachine.Ticket, _ reason: any Error) {
        let waiter = state.withLock { state in
            state.machine.remove(ticket)
            state.late[ticket] = reason
            return state.waiting.removeValue(forKey: ticket)
        }
        waiter?.resume(throwing: reason)
    }

    private func leave() {
        let next = state.withLock { state in
            state.machine.leave().flatMap { state.waiting.removeValue(forKey: $0) }
        }
        next?.resume()
    }
}
