import Agents
import PairingCore
import PairingStore

extension PairingStore {
    /// What an agent is asked, with what it wants to be told of the conversation before.
    ///
    /// - Throws: a failure to be tried again, where the conversation cannot be read.
    func request(
        _ ask: AgentWorkMachine.Ask, of agent: any Agent, tools: AgentTools?
    ) async throws(AgentFailure) -> AgentRequest {
        let (senderID, generation) = (ask.sender.senderID, ask.sender.generation)
        let context: [AgentRequest.Turn]
        do {
            context = try await self.context(
                for: agent, of: senderID, generation, in: ask.conversation,
                before: ask.first ?? ask.sequence)
        } catch {
            throw AgentFailure(.unreachable, "The conversation before the message could not be read.")
        }
        let numbers = (ask.first.map { "\($0)-" } ?? "") + "\(ask.sequence)"
        return AgentRequest(
            key: "\(senderID.key)/\(generation.number)/\(numbers)/\(ask.part)",
            channel: ask.channel, senderID: senderID, body: ask.body, context: context,
            conversation: ask.conversation, tools: tools)
    }

    /// What an agent wants to be told of its conversation with a device, oldest first.
    ///
    /// - Parameter sequence: the device's message that it is asked about.
    private func context(
        for agent: any Agent, of senderID: SenderID, _ generation: Generation,
        in conversation: ConversationName, before sequence: Int64
    ) async throws -> [AgentRequest.Turn] {
        let limits = agent.context
        // An exchange is two messages.
        let exchanges = try await self.conversation(
            of: senderID, generation, with: agent.name, in: conversation, before: sequence,
            limit: (limits.messages + 1) / 2, bytes: limits.bytes)
        return exchanges.flatMap { exchange in
            let heard = exchange.heard.map { AgentRequest.Turn(isFromDevice: true, body: $0) }
            return (heard.map { [$0] } ?? []) + [AgentRequest.Turn(isFromDevice: false, body: exchange.said)]
        }
    }
}

extension AgentWorkMachine.Answer {
    /// The same of what was no question: nobody is told what the agent says to it, nor that it was told in vain.
    var ofNotice: Self {
        if case .failed(_, .some) = self { self } else { .replied(nil) }
    }

    init(_ answer: AgentAnswer, of agent: any Agent) {
        self =
            switch answer {
            case .reply(let body): .replied(PairingStore.AgentReply(agent: agent.name, body: body))
            case .accepted: .replied(nil)
            }
    }
}
