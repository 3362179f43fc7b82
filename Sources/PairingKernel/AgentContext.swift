import Agents
import PairingCore
import PairingStore

extension PairingStore {
    /// What an agent wants to be told of its conversation with a device, oldest first.
    ///
    /// - Parameter sequence: the device's message that it is asked about.
    func context(
        for agent: some Agents.Agent, of senderID: SenderID, _ generation: Generation, before sequence: Int64
    ) async throws -> [AgentRequest.Turn] {
        let limits = agent.context
        // An exchange is two messages.
        let exchanges = try await conversation(
            of: senderID, generation, with: agent.name, before: sequence, limit: (limits.messages + 1) / 2,
            bytes: limits.bytes)
        return exchanges.flatMap { exchange in
            let heard = exchange.heard.map { AgentRequest.Turn(isFromDevice: true, body: $0) }
            return (heard.map { [$0] } ?? []) + [AgentRequest.Turn(isFromDevice: false, body: exchange.said)]
        }
    }
}
