import Agents
import PairingCore
import PairingStore

extension DeviceSessions {
    /// Asks the agent that the channel named, or the channel's own.
    ///
    /// - Parameters:
    ///   - sequence: the number of the device's message.
    ///   - part: which of the messages that it became.
    func answer(
        _ message: PairingStore.ForwardedMessage, sequence: Int64, part: Int, for grant: SessionGrant
    ) async throws -> PairingStore.Reply.Answer {
        guard let agents else {
            let body = try await agent.answer(to: message.body, from: grant.senderID)
            return PairingStore.Reply.Answer(agent: agent.name, body: body)
        }
        let agent =
            message.agent.isEmpty
            ? agents.defaultAgent(for: grant.channel) : try agents.agent(named: message.agent)
        let request = AgentRequest(
            key: "\(grant.senderID.key)/\(grant.generation.number)/\(sequence)/\(part)",
            channel: grant.channel, senderID: grant.senderID, body: message.body,
            context: try await store.context(
                for: agent, of: grant.senderID, grant.generation, before: sequence))
        switch try await RetryingAgent(agent).answer(request, part: { _ in }) {
        case .reply(let body): return PairingStore.Reply.Answer(agent: agent.name, body: body)
        case .accepted: return PairingStore.Reply.Answer(agent: agent.name, body: "null")
        }
    }
}
