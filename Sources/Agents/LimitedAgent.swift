import Metrics
import Synchronization

/// An agent behind its limits: how many are asked at once, how many may wait for that, and a breaker that spares one
/// that fails. So a slow or failing agent slows only those who ask it (I10).
package final class LimitedAgent: Agent {
    /// What the configuration allows.
    package struct Limits: Sendable, Equatable {
        /// Requests under way at once.
        package var concurrency = 16
        /// Requests that wait for one of those to end; more are refused.
        package var waiting = 256
        /// Failures in a row after which nobody asks for a while.
        package var failures = 5
        /// How long nobody asks then.
        package var pause = Duration.seconds(15)
        /// When what failed is tried again, by whoever asks.
        package var retries = RetryPolicy()

        /// The limits as shipped.
        package init() {}
    }

    /// How an agent is doing.
    package struct Report: Sendable, Equatable {
        /// Whether it is asked, is spared, or is being tried.
        package enum State: String, Sendable { case working, paused, trying }

        package var name: String
        package var state: State
        /// Requests under way.
        package var active: Int
        /// Requests that wait for their turn.
        package var waiting: Int
        /// Answers since the process began.
        package var answers: Int
        /// Failures since the process began.
        package var failures: Int
        /// What the newest failure was.
        package var lastFailure: AgentFailure?
        /// How long the last hundred answers took, shortest first.
        package var latencies: [Duration]
    }

    fileprivate struct State {
        var breaker: CircuitBreaker
        var active = 0
        var waiters: [(id: Int, continuation: CheckedContinuation<Bool, Never>)] = []
        var nextWaiter = 0
        var answers = 0
        var failures = 0
        var lastFailure: AgentFailure?
        var latencies: [Duration] = []
    }

    package var name: String { agent.name }
    package var retries: RetryPolicy { limits.retries }
    package var context: ContextLimits { agent.context }
    package var usesTools: Bool { agent.usesTools }
    package var hearsNotices: Bool { agent.hearsNotices }
    private let agent: any Agent
    private let limits: Limits
    private let state: Mutex<State>
    private let latency: Metrics.Timer

    /// Bounds what is asked of `agent`.
    package init(_ agent: any Agent, limits: Limits = Limits()) {
        self.agent = agent
        self.limits = limits
        state = Mutex(State(breaker: CircuitBreaker(threshold: limits.failures, pause: limits.pause)))
        latency = Metrics.Timer(label: "agent_answer", dimensions: [("agent", agent.name)])
    }

    /// How it is doing now.
    package var report: Report {
        state.withLock { state in
            let condition: Report.State =
                switch state.breaker.state {
                case .closed: .working
                case .open: .paused
                case .trying: .trying
                }
            return Report(
                name: name, state: condition, active: state.active, waiting: state.waiters.count,
                answers: state.answers, failures: state.failures, lastFailure: state.lastFailure,
                latencies: state.latencies.sorted())
        }
    }

    /// What the agent knows at once: nothing that a limit could spare it.
    package func answerAtOnce(to body: String) -> AgentAnswer? {
        guard let answer = agent.answerAtOnce(to: body) else { return nil }
        latency.recordNanoseconds(0)
        state.withLock { $0.answered(after: .zero) }
        return answer
    }

    /// Asks the agent once it is this request's turn.
    ///
    /// - Throws: `busy` at once where too many wait, or while the agent is spared.
    package func answer(
        _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> AgentAnswer {
        try await enter()
        defer { leave() }
        if let wait = state.withLock({ $0.breaker.wait(now: .now) }) {
            throw AgentFailure(.busy, "\(name) failed too often and is not asked for now.", retryAfter: wait)
        }
        let began = ContinuousClock.now
        do throws(AgentFailure) {
            let answer = try await agent.answer(request, part: part)
            let took = ContinuousClock.now - began
            latency.recordNanoseconds(took.nanoseconds)
            state.withLock { $0.answered(after: took) }
            return answer
        } catch {
            state.withLock { $0.failed(error) }
            Counter(
                label: "agent_failures", dimensions: [("agent", name), ("reason", error.reason.rawValue)]
            ).increment()
            throw error
        }
    }

    private func enter() async throws(AgentFailure) {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        let entered = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> Bool? in
                    if Task.isCancelled { return false }
                    if state.active < limits.concurrency {
                        state.active += 1
                        return true
                    }
                    guard state.waiters.count < limits.waiting else { return false }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
                guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
                return state.waiters.remove(at: index).continuation
            }
            waiter?.resume(returning: false)
        }
        if entered { return }
        if Task.isCancelled { throw AgentFailure(.cancelled, "The answer was not waited for.") }
        throw AgentFailure(
            .busy, "\(limits.waiting) requests wait for \(name) already.", retryAfter: .seconds(5))
    }

    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.waiters.isEmpty else {
                state.active -= 1
                return nil
            }
            return state.waiters.removeFirst().continuation
        }
        next?.resume(returning: true)
    }
}

extension LimitedAgent.State {
    fileprivate mutating func answered(after duration: Duration) {
        breaker.succeeded()
        answers += 1
        if latencies.count == 100 { latencies.removeFirst() }
        latencies.append(duration)
    }

    fileprivate mutating func failed(_ failure: AgentFailure) {
        switch failure.reason {
        case .cancelled:
            breaker.abandoned(now: .now)
            return
        case .refused: breaker.succeeded()
        case .unreachable, .timedOut, .busy, .invalidAnswer: breaker.failed(now: .now)
        }
        failures += 1
        lastFailure = failure
    }
}

extension Duration {
    fileprivate var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
