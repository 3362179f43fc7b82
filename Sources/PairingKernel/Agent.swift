import PairingCore

/// Answers devices' messages.
public protocol Agent: Sendable {
    /// The name that the event `message` carries.
    var name: String { get }
    /// Answers one message.
    ///
    /// - Parameter body: compact JSON text, as is the answer.
    func answer(to body: String, from senderID: SenderID) async throws -> String
}

/// The built-in agent: answers each message with itself.
public struct EchoAgent: Agent {
    /// `echo`.
    public let name = "echo"

    /// Needs nothing.
    public init() {}

    /// The message itself.
    public func answer(to body: String, from senderID: SenderID) async throws -> String { body }
}
