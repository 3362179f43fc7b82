import PairingCore
import Synchronization
import Testing

@testable import Agents

/// Answers when it is told to.
private final class SlowAgent: Agent {
    let name = "slow"
    private let outcome: Result<AgentAnswer, AgentFailure>
    let asked = AsyncStream.makeStream(of: Void.self)
    private let gates = Mutex<[CheckedContinuation<Void, Never>]>([])

    init(_ outcome: Result<AgentAnswer, AgentFailure> = .success(.reply("1"))) { self.outcome = outcome }

    func answer(
        _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> AgentAnswer {
        await withCheckedContinuation { continuation in
            gates.withLock { $0.append(continuation) }
            asked.continuation.yield()
        }
        return try outcome.get()
    }

    func release() {
        let open = gates.withLock { gates in
            defer { gates = [] }
            return gates
        }
        for continuation in open { continuation.resume() }
    }
}

/// Fails, or answers, at once.
private struct QuickAgent: Agent {
    let name = "quick"
    let outcome: Result<AgentAnswer, AgentFailure>

    func answer(
        _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> AgentAnswer { try outcome.get() }
}

@Suite("An agent behind its limits")
struct LimitedAgentTests {
    @Test("As many are asked at once as may be, as many wait, and the next is refused at once")
    func bounds() async throws {
        let slow = SlowAgent()
        var limits = LimitedAgent.Limits()
        limits.concurrency = 2
        limits.waiting = 1
        let agent = LimitedAgent(slow, limits: limits)
        let request = try request("1")
        let tasks = (0..<3).map { _ in Task { try await agent.answer(request) { _ in } } }
        var asked = slow.asked.stream.makeAsyncIterator()
        await asked.next()
        await asked.next()
        while agent.report.waiting < 1 { await Task.yield() }
        #expect(agent.report.active == 2)
        let refusal = await #expect(throws: AgentFailure.self) { try await agent.answer(request) { _ in } }
        #expect(refusal?.reason == .busy)
        slow.release()
        await asked.next()
        slow.release()
        for task in tasks { #expect(try await task.value == .reply("1")) }
        #expect(agent.report.active == 0)
        #expect(agent.report.answers == 3)
    }

    @Test("One that is cancelled while it waits leaves its place")
    func cancellation() async throws {
        let slow = SlowAgent()
        var limits = LimitedAgent.Limits()
        limits.concurrency = 1
        limits.waiting = 1
        let agent = LimitedAgent(slow, limits: limits)
        let request = try request("1")
        let first = Task { try await agent.answer(request) { _ in } }
        var asked = slow.asked.stream.makeAsyncIterator()
        await asked.next()
        let second = Task { try await agent.answer(request) { _ in } }
        while agent.report.waiting < 1 { await Task.yield() }
        second.cancel()
        let failure = await #expect(throws: AgentFailure.self) { try await second.value }
        #expect(failure?.reason == .cancelled)
        #expect(agent.report.waiting == 0)
        slow.release()
        #expect(try await first.value == .reply("1"))
    }

    @Test("An agent that fails again and again is spared, and says when it is asked again")
    func breaker() async throws {
        var limits = LimitedAgent.Limits()
        limits.failures = 2
        let agent = LimitedAgent(
            QuickAgent(outcome: .failure(AgentFailure(.unreachable, "down"))), limits: limits)
        let request = try request("1")
        for _ in 0..<2 {
            let failure = await #expect(throws: AgentFailure.self) {
                try await agent.answer(request) { _ in }
            }
            #expect(failure?.reason == .unreachable)
        }
        let spared = await #expect(throws: AgentFailure.self) { try await agent.answer(request) { _ in } }
        #expect(spared?.reason == .busy)
        #expect(spared?.retryAfter != nil)
        #expect(agent.report.state == .paused)
        #expect(agent.report.failures == 2)
    }

    @Test("A request that is refused for good says nothing against the agent")
    func refusals() async throws {
        var limits = LimitedAgent.Limits()
        limits.failures = 1
        let agent = LimitedAgent(QuickAgent(outcome: .failure(AgentFailure(.refused, "no"))), limits: limits)
        for _ in 0..<3 {
            let request = try request("1")
            await #expect(throws: AgentFailure.self) { try await agent.answer(request) { _ in } }
        }
        #expect(agent.report.state == .working)
    }
}
