/// The built-in agent: answers each message with itself.
package struct EchoAgent: Agent {
    package let name: String

    /// Needs nothing.
    package init(name: String = "echo") { self.name = name }

    /// The message itself.
    package func answerAtOnce(to body: String) -> AgentAnswer? { .reply(body) }

    /// The message itself.
    package func answer(
        _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> AgentAnswer { .reply(request.body) }
}
